//! Every system call that the program makes, with types.
//!
//! A wrapper takes and returns what Rust can check: slices, C strings, errors as
//! values. Names follow the manual's section 2. Above this file there are no
//! call numbers, no raw pointers and no errno in disguise.
//!
//! # Safety
//!
//! Unsafe, because the kernel is handed addresses. Each block says why the kernel
//! may read or write there. Mappings are plain addresses, never references, so
//! that unmapping one takes nothing away from Rust.
#![allow(unsafe_code)]

use core::{ffi::CStr, mem::MaybeUninit, ops::Range, ptr};
use linux_raw_sys::{
    general::*,
    prctl::{PR_SET_VMA, PR_SET_VMA_ANON_NAME},
};
use syscalls::{Sysno, syscall};

#[cfg(feature = "explain")]
pub(crate) mod files;
#[cfg(feature = "check")]
pub(crate) mod memory;

pub(crate) use syscalls::Errno;

/// What a call gives, or the error number it fails with.
pub(crate) type Result<T = ()> = core::result::Result<T, Errno>;

/// An open file's number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptor(i32);

pub(crate) const STDIN: Descriptor = Descriptor(0);
pub(crate) const STDOUT: Descriptor = Descriptor(1);
pub(crate) const STDERR: Descriptor = Descriptor(2);

/// How often in a row a call may be interrupted, or not be ready, before that is
/// taken for a failure: nothing here waits in circles for ever.
const PATIENCE: u32 = 100;

/// `getpid(2)`.
pub(crate) fn getpid() -> u32 {
    // SAFETY: No memory is involved.
    unsafe { syscall!(Sysno::getpid) }.unwrap_or_default() as u32
}

/// `exit_group(2)`.
pub(crate) fn exit(status: u8) -> ! {
    loop {
        // SAFETY: Nothing runs afterwards that could miss anything.
        let _ = unsafe { syscall!(Sysno::exit_group, status) };
    }
}

/// `write(2)`, until all of `bytes` are written.
pub(crate) fn write_all(to: Descriptor, mut bytes: &[u8]) -> Result {
    while !bytes.is_empty() {
        let written = patiently(to, POLLOUT, || {
            // SAFETY: The kernel reads `bytes`.
            unsafe { syscall!(Sysno::write, to.0, bytes.as_ptr(), bytes.len()) }
        })?;
        let (done, rest) = bytes.split_at_checked(written).ok_or(Errno::EIO)?;
        if done.is_empty() {
            return Err(Errno::EIO);
        }
        bytes = rest;
    }
    Ok(())
}

/// `read(2)`: one byte, or `None` at the end.
pub(crate) fn read_byte(from: Descriptor) -> Result<Option<u8>> {
    let mut byte = 0u8;
    let read = patiently(from, POLLIN, || {
        // SAFETY: The kernel writes the one byte of `byte`.
        unsafe { syscall!(Sysno::read, from.0, &raw mut byte, 1) }
    })?;
    Ok((read == 1).then_some(byte))
}

/// Makes `call` again while it is interrupted, and, when it is not ready, after
/// waiting for `events` on `descriptor`; not for ever.
fn patiently(
    descriptor: Descriptor,
    events: u32,
    mut call: impl FnMut() -> Result<usize>,
) -> Result<usize> {
    let mut result = call();
    for _ in 0..PATIENCE {
        match result {
            Err(Errno::EAGAIN) => wait(descriptor, events),
            Err(Errno::EINTR) => {}
            _ => break,
        }
        result = call();
    }
    result
}

/// `ppoll(2)`: until one of `events` comes, or a signal.
fn wait(descriptor: Descriptor, events: u32) {
    let mut poll = pollfd {
        fd: descriptor.0,
        events: events as i16,
        revents: 0,
    };
    // SAFETY: The kernel reads and writes the one entry `poll`.
    let _ = unsafe {
        syscall!(
            Sysno::ppoll,
            &raw mut poll,
            1,
            ptr::null::<u8>(),
            ptr::null::<u8>()
        )
    };
}

/// `ppoll(2)` on nothing: until a signal comes.
pub(crate) fn sleep() {
    // SAFETY: No memory is involved: there are no entries, and no time or mask.
    let _ = unsafe {
        syscall!(
            Sysno::ppoll,
            ptr::null::<u8>(),
            0,
            ptr::null::<u8>(),
            ptr::null::<u8>()
        )
    };
}

/// `mmap(2)`: `length` bytes of anonymous memory, readable and writable, at `hint`
/// if that is free.
pub(crate) fn mmap(hint: usize, length: usize, shared: bool) -> Result<Range<usize>> {
    let sharing = if shared { MAP_SHARED } else { MAP_PRIVATE };
    // SAFETY: Without MAP_FIXED the kernel takes memory that nobody uses.
    let start = unsafe {
        syscall!(
            Sysno::mmap,
            hint,
            length,
            PROT_READ | PROT_WRITE,
            sharing | MAP_ANONYMOUS,
            -1isize,
            0
        )
    }?;
    Ok(start..start + length)
}

/// `munmap(2)`.
///
/// # Safety
///
/// Nothing uses `memory`, now or later.
pub(crate) unsafe fn munmap(memory: &Range<usize>) -> Result {
    // SAFETY: The caller's promise.
    unsafe { syscall!(Sysno::munmap, memory.start, memory.len()) }.map(drop)
}

/// `prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME)`: names `memory`, or takes its name away.
pub(crate) fn set_anon_name(memory: &Range<usize>, name: Option<&CStr>) -> Result {
    let name = name.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: The kernel reads `name` up to its NUL; a name changes no content.
    unsafe {
        syscall!(
            Sysno::prctl,
            PR_SET_VMA,
            PR_SET_VMA_ANON_NAME,
            memory.start,
            memory.len(),
            name
        )
    }
    .map(drop)
}

/// How [`reboot`] leaves the machine.
#[derive(Clone, Copy)]
pub(crate) enum Reboot {
    /// Switched off.
    PowerOff = LINUX_REBOOT_CMD_POWER_OFF as isize,
    /// Starting again.
    Restart = LINUX_REBOOT_CMD_RESTART as isize,
    /// Standing still.
    Halt = LINUX_REBOOT_CMD_HALT as isize,
}

/// `sync(2)`, then `reboot(2)`. Returns only on failure.
pub(crate) fn reboot(how: Reboot) -> Errno {
    // SAFETY: No memory is involved.
    let _ = unsafe { syscall!(Sysno::sync) };
    // SAFETY: No memory is involved.
    let result = unsafe {
        syscall!(
            Sysno::reboot,
            LINUX_REBOOT_MAGIC1,
            LINUX_REBOOT_MAGIC2,
            how as u32
        )
    };
    result.err().unwrap_or(Errno::EIO)
}

/// Whether the terminal at `descriptor` shows what is typed; false if it is none.
pub(crate) fn echoes(descriptor: Descriptor) -> bool {
    let mut terminal = MaybeUninit::<termios>::uninit();
    // SAFETY: The kernel writes a `termios`.
    let result = unsafe {
        syscall!(
            Sysno::ioctl,
            descriptor.0,
            linux_raw_sys::ioctl::TCGETS,
            terminal.as_mut_ptr()
        )
    };
    // SAFETY: It did so if the call succeeded.
    result.is_ok() && unsafe { terminal.assume_init() }.c_lflag & ECHO != 0
}
