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

use core::{ffi::CStr, mem::MaybeUninit, ptr};
use linux_raw_sys::{
    errno,
    general::*,
    prctl::{PR_SET_VMA, PR_SET_VMA_ANON_NAME},
};
use syscalls::{Sysno, raw_syscall};

/// Makes a system call: its number, then its arguments.
macro_rules! call {
    ($($argument:expr),* $(,)?) => { Errno::check(raw_syscall!($($argument),*)) };
}

#[cfg(feature = "explain")]
pub(crate) mod files;
#[cfg(feature = "check")]
pub(crate) mod memory;

/// The number of an error. As wide as a result, so that a function returns either
/// in registers: with 32 bits, as in the crate `syscalls`, it goes through memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(usize);

impl Errno {
    /// Tells an error from a result: the last 4095 numbers are errors.
    fn check(result: usize) -> Result<usize> {
        let number = result.wrapping_neg();
        if (1..4096).contains(&number) {
            Err(Errno(number))
        } else {
            Ok(result)
        }
    }

    /// Error `number`, such as `EINVAL`.
    pub(crate) const fn new(number: u32) -> Self {
        Errno(number as usize)
    }

    pub(crate) const EAGAIN: Self = Self::new(errno::EAGAIN);
    pub(crate) const EINTR: Self = Self::new(errno::EINTR);
    /// Also what a call fails with that should not have returned.
    pub(crate) const EIO: Self = Self::new(errno::EIO);

    /// Its number.
    pub(crate) fn number(self) -> i32 {
        self.0 as i32
    }
}

/// What a call gives, or the error number it fails with.
pub(crate) type Result<T = ()> = core::result::Result<T, Errno>;

/// An open file's number, as wide as an [`Errno`] for the same reason.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptor(isize);

pub(crate) const STDIN: Descriptor = Descriptor(0);
pub(crate) const STDOUT: Descriptor = Descriptor(1);
pub(crate) const STDERR: Descriptor = Descriptor(2);

/// How often in a row a call may be interrupted, or not be ready, before that is
/// taken for a failure: nothing here waits in circles for ever.
const PATIENCE: u32 = 100;

/// `getpid(2)`.
pub(crate) fn getpid() -> u32 {
    // SAFETY: No memory is involved. It cannot fail.
    unsafe { raw_syscall!(Sysno::getpid) as u32 }
}

/// `exit_group(2)`.
pub(crate) fn exit(status: u8) -> ! {
    loop {
        // SAFETY: Nothing runs afterwards that could miss anything.
        unsafe { raw_syscall!(Sysno::exit_group, status) };
    }
}

/// `write(2)`, until all of `bytes` are written.
pub(crate) fn write_all(to: Descriptor, mut bytes: &[u8]) -> Result {
    while !bytes.is_empty() {
        // SAFETY: The kernel reads `bytes`.
        let written = unsafe { transfer(Sysno::write, to, bytes.as_ptr(), bytes.len()) }?;
        let (done, rest) = bytes.split_at_checked(written).ok_or(Errno::EIO)?;
        if done.is_empty() {
            return Err(Errno::EIO);
        }
        bytes = rest;
    }
    Ok(())
}

/// `read(2)`: how many bytes of `buffer` have come; 0 at the end.
pub(crate) fn read(from: Descriptor, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: The kernel writes to `buffer`.
    unsafe { transfer(Sysno::read, from, buffer.as_mut_ptr(), buffer.len()) }
}

/// `read(2)` or `write(2)`, again while it is interrupted and, when it is not ready,
/// after waiting until it is; not for ever.
///
/// # Safety
///
/// The kernel may read, or write if `call` is `read`, `length` bytes at `start`.
#[inline(never)] // A copy costs more than a call.
unsafe fn transfer(
    call: Sysno,
    descriptor: Descriptor,
    start: *const u8,
    length: usize,
) -> Result<usize> {
    let mut patience = PATIENCE;
    loop {
        // SAFETY: The caller's promise.
        let result = unsafe { call!(call, descriptor.0, start, length) };
        if !matches!(result, Err(Errno::EINTR | Errno::EAGAIN)) || patience == 0 {
            return result;
        }
        patience -= 1;
        if result == Err(Errno::EAGAIN) {
            poll(&mut [pollfd {
                fd: descriptor.0 as i32,
                events: (POLLIN | POLLOUT) as i16,
                revents: 0,
            }]);
        }
    }
}

/// `ppoll(2)`: until something happens to `entries`, or a signal comes.
pub(crate) fn poll(entries: &mut [pollfd]) {
    let nothing = ptr::null::<u8>();
    let (start, length) = (entries.as_mut_ptr(), entries.len());
    // SAFETY: The kernel reads and writes `entries`, and gets no time and no mask.
    let _ = unsafe { call!(Sysno::ppoll, start, length, nothing, nothing) };
}

/// Mapped memory, by its address: nothing in Rust refers to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) start: usize,
    pub(crate) length: usize,
}

impl Memory {
    /// No memory.
    pub(crate) const NONE: Memory = Memory {
        start: 0,
        length: 0,
    };

    /// The address after the last one.
    pub(crate) fn end(self) -> usize {
        self.start + self.length
    }
}

/// `mmap(2)`: `length` bytes of anonymous memory, readable and writable, at `hint`
/// if that is free.
pub(crate) fn mmap(hint: usize, length: usize, shared: bool) -> Result<Memory> {
    let sharing = if shared { MAP_SHARED } else { MAP_PRIVATE };
    let (protection, flags) = (PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS);
    // SAFETY: Without MAP_FIXED the kernel takes memory that nobody uses.
    let start = unsafe { call!(Sysno::mmap, hint, length, protection, flags, -1isize, 0) }?;
    Ok(Memory { start, length })
}

/// `munmap(2)`.
pub(crate) fn munmap(memory: Memory) -> Result {
    // SAFETY: Nothing in Rust refers to what a `Memory` stands for.
    unsafe { call!(Sysno::munmap, memory.start, memory.length) }.map(drop)
}

/// `prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME)`: names `memory`, or takes its name away.
pub(crate) fn set_anon_name(memory: Memory, name: Option<&CStr>) -> Result {
    let (option, attribute) = (PR_SET_VMA, PR_SET_VMA_ANON_NAME);
    let (start, length) = (memory.start, memory.length);
    let name = name.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: The kernel reads `name` up to its NUL; a name changes no content.
    unsafe { call!(Sysno::prctl, option, attribute, start, length, name) }.map(drop)
}

/// The same, naming nothing: it succeeds where the feature is.
#[cfg(feature = "explain")]
pub(crate) fn probe() -> core::result::Result<(), i32> {
    set_anon_name(Memory::NONE, None).map_err(Errno::number)
}

/// The C string at the head of `bytes`, whose last byte is a NUL. This is
/// `CStr::from_bytes_until_nul` in 60 bytes of code instead of 250.
#[cfg(feature = "check")]
pub(crate) fn c_string(bytes: &[u8]) -> Option<&CStr> {
    match bytes {
        // SAFETY: There is a NUL, at the latest in the end, and `bytes` outlive it.
        [.., 0] => Some(unsafe { CStr::from_ptr(bytes.as_ptr().cast()) }),
        _ => None,
    }
}

/// How [`reboot`] leaves the machine: the command of that name.
#[derive(Clone, Copy)]
#[repr(u32)]
#[cfg_attr(not(feature = "explain"), expect(dead_code))] // It only switches off.
pub(crate) enum Reboot {
    /// Switched off.
    PowerOff = LINUX_REBOOT_CMD_POWER_OFF,
    /// Starting again.
    Restart = LINUX_REBOOT_CMD_RESTART,
    /// Standing still.
    Halt = LINUX_REBOOT_CMD_HALT,
}

/// `sync(2)`, then `reboot(2)`. Returns only on failure.
pub(crate) fn reboot(how: Reboot) -> Errno {
    let (magic1, magic2) = (LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2);
    // SAFETY: No memory is involved. It cannot fail.
    unsafe { raw_syscall!(Sysno::sync) };
    // SAFETY: No memory is involved.
    let result = unsafe { call!(Sysno::reboot, magic1, magic2, how as u32) };
    result.err().unwrap_or(Errno::EIO)
}

/// Whether the terminal at `descriptor` shows what is typed; false if it is none.
pub(crate) fn echoes(descriptor: Descriptor) -> bool {
    let mut terminal = MaybeUninit::<termios>::uninit();
    // SAFETY: The kernel writes a `termios`.
    let result = unsafe {
        call!(
            Sysno::ioctl,
            descriptor.0,
            linux_raw_sys::ioctl::TCGETS,
            terminal.as_mut_ptr()
        )
    };
    // SAFETY: It did so if the call succeeded.
    result.is_ok() && unsafe { terminal.assume_init() }.c_lflag & ECHO != 0
}
