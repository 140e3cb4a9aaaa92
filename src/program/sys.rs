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

use core::{ffi::CStr, mem::MaybeUninit, num::NonZero, ptr};
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

#[cfg(not(feature = "explain"))]
pub(crate) mod bare;
#[cfg(feature = "explain")]
pub(crate) mod files;
#[cfg(feature = "check")]
pub(crate) mod memory;
#[cfg(feature = "explain")]
mod patient;
#[cfg(feature = "explain")]
pub(crate) use patient::{Buffer, read, write_all};

/// An error, in the form that the kernel gives it: its number, negated. As wide as a
/// result, so that a function returns either in registers: with 32 bits, as in the
/// crate `syscalls`, it goes through memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(NonZero<usize>);

impl Errno {
    /// Tells an error from a result: the last 4095 numbers are errors.
    fn check(result: usize) -> Result<usize> {
        match NonZero::new(result) {
            Some(error) if result > -4096_isize as usize => Err(Errno(error)),
            _ => Ok(result),
        }
    }

    /// Error `number`, such as `EINVAL`.
    pub(crate) const fn new(number: u32) -> Self {
        match NonZero::new((number as usize).wrapping_neg()) {
            Some(error) => Errno(error),
            // No error has number 0. A panic would link what it takes to report one.
            None => Errno(NonZero::<usize>::MAX),
        }
    }

    /// Also what a call fails with that should not have returned.
    pub(crate) const EIO: Self = Self::new(errno::EIO);

    /// Its number.
    pub(crate) fn number(self) -> i32 {
        self.0.get().wrapping_neg() as i32
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

/// The working directory, for calls that take one.
#[cfg(feature = "explain")]
pub(crate) const HERE: Descriptor = Descriptor(AT_FDCWD as isize);

/// `getpid(2)`.
pub(crate) fn getpid() -> u32 {
    // SAFETY: No memory is involved. It cannot fail.
    unsafe { raw_syscall!(Sysno::getpid) as u32 }
}

/// `exit_group(2)`.
#[cfg_attr(not(feature = "explain"), inline(always))] // It is called once there.
pub(crate) fn exit(status: u8) -> ! {
    loop {
        // SAFETY: Nothing runs afterwards that could miss anything.
        unsafe { raw_syscall!(Sysno::exit_group, status) };
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
    #[cfg_attr(not(feature = "explain"), expect(dead_code))] // The minimal build ends without.
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
#[inline(always)] // A `Memory` would go through memory.
pub(crate) fn mmap(hint: usize, length: usize, shared: bool) -> Result<Memory> {
    map(hint, length, shared).map(|start| Memory { start, length })
}

/// The same, but gives the address alone.
#[cfg_attr(feature = "explain", inline(never))] // It is called three times.
fn map(hint: usize, length: usize, shared: bool) -> Result<usize> {
    let sharing = if shared { MAP_SHARED } else { MAP_PRIVATE };
    let (protection, flags) = (PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS);
    // SAFETY: Without MAP_FIXED the kernel takes memory that nobody uses.
    unsafe { call!(Sysno::mmap, hint, length, protection, flags, -1isize, 0) }
}

/// `munmap(2)`.
pub(crate) fn munmap(memory: Memory) -> Result {
    // SAFETY: Nothing in Rust refers to what a `Memory` stands for.
    unsafe { call!(Sysno::munmap, memory.start, memory.length) }.map(drop)
}

/// `prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME)`: names `memory`, or takes its name away.
#[cfg_attr(feature = "explain", inline(never))] // It is called three times.
pub(crate) fn set_anon_name(memory: Memory, name: Option<&CStr>) -> Result {
    let (option, attribute) = (PR_SET_VMA, PR_SET_VMA_ANON_NAME);
    let (start, length) = (memory.start, memory.length);
    let name = name.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: The kernel reads `name` up to its NUL; a name changes no content.
    unsafe { call!(Sysno::prctl, option, attribute, start, length, name) }.map(drop)
}

/// Whether memory can be named at all: first by naming nothing, which changes nothing
/// and succeeds where the feature is; if that fails, by naming a page, lest a kernel
/// that is wrong about nothing be taken for one without the feature.
#[cfg(feature = "explain")]
pub(crate) fn probe() -> Result {
    let Err(errno) = set_anon_name(Memory::NONE, None) else {
        return Ok(());
    };
    let start = name_page(false).or(Err(errno))?;
    munmap(Memory { start, length: 1 })
}

/// Maps a page - a byte, which the kernel rounds up - names it, and gives its address. One
/// that cannot be named is unmapped.
#[cfg(feature = "explain")]
pub(crate) fn name_page(shared: bool) -> Result<usize> {
    let page = mmap(0, 1, shared)?;
    let named = set_anon_name(page, Some(c"probe"));
    if named.is_err() {
        let _ = munmap(page); // The first failure tells more.
    }
    named.map(|()| page.start)
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
pub(crate) fn reboot(how: Reboot) -> Result {
    let (magic1, magic2) = (LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2);
    // SAFETY: No memory is involved. It cannot fail.
    unsafe { raw_syscall!(Sysno::sync) };
    // SAFETY: No memory is involved.
    unsafe { call!(Sysno::reboot, magic1, magic2, how as u32) }.map(drop)
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
