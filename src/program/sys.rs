//! System calls with types.
//!
//! The documentation of most wrappers begins with their call; some retry it, or make
//! others. A wrapper takes and returns what Rust can check: slices, C strings, errors
//! as values.
//!
//! # Safety
//!
//! Unsafe, because the kernel gets addresses. Each block says why the kernel may
//! read or write there. Mappings are plain addresses, never references, so that
//! unmapping one leaves no dangling reference.
#![allow(unsafe_code)]

use core::num::NonZero;
use linux_raw_sys::errno;

/// Makes a system call: its number, then its arguments.
macro_rules! call {
    ($($argument:expr),* $(,)?) => {
        $crate::sys::Errno::check(syscalls::raw_syscall!($($argument),*))
    };
}

#[cfg(feature = "full")]
pub(crate) mod file;
#[cfg(feature = "full")]
pub(crate) mod io;
pub(crate) mod memory;
#[cfg(not(feature = "full"))]
pub(crate) mod minimal;
pub(crate) mod process;
#[cfg(feature = "full")]
pub(crate) mod raw;
pub(crate) mod system;
pub(crate) mod terminal;

/// An error number as the kernel returns it: negated, and as wide as a result, so
/// that a [`Result`] fits in registers. (With 32 bits, as in the crate `syscalls`,
/// results are passed in memory, which takes 500 bytes of the compressed executable.)
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(NonZero<usize>);

/// A call's result, or its error number.
pub(crate) type Result<T = ()> = core::result::Result<T, Errno>;

#[cfg_attr(not(feature = "full"), allow(dead_code))]
impl Errno {
    pub(crate) const EACCES: Self = Self::new(errno::EACCES);
    pub(crate) const EAGAIN: Self = Self::new(errno::EAGAIN);
    pub(crate) const EBADF: Self = Self::new(errno::EBADF);
    pub(crate) const EBUSY: Self = Self::new(errno::EBUSY);
    pub(crate) const EEXIST: Self = Self::new(errno::EEXIST);
    pub(crate) const EINTR: Self = Self::new(errno::EINTR);
    /// Also used where a result makes no sense, such as a write of 0 bytes.
    pub(crate) const EIO: Self = Self::new(errno::EIO);
    pub(crate) const ENOTTY: Self = Self::new(errno::ENOTTY);
    pub(crate) const ENOENT: Self = Self::new(errno::ENOENT);
    pub(crate) const EPERM: Self = Self::new(errno::EPERM);
    pub(crate) const ESRCH: Self = Self::new(errno::ESRCH);
    pub(crate) const EOVERFLOW: Self = Self::new(errno::EOVERFLOW);

    /// Separates an error from a result: the last 4095 values are errors.
    fn check(result: usize) -> Result<usize> {
        match NonZero::new(result) {
            Some(error) if result > -4096_isize as usize => Err(Errno(error)),
            _ => Ok(result),
        }
    }

    /// Error `number`, such as `EINVAL`; a constant above 0.
    pub(crate) const fn new(number: u32) -> Self {
        match NonZero::new((number as usize).wrapping_neg()) {
            Some(error) => Errno(error),
            None => panic!("0 is not an error"),
        }
    }

    /// Its number, from 1 to 4095.
    pub(crate) fn number(self) -> i32 {
        self.0.get().wrapping_neg() as i32
    }
}

/// A file descriptor. It is not `Copy`, so that no descriptor is used after
/// `close`. As wide as an [`Errno`], for the same reason.
#[derive(PartialEq, Eq)]
pub(crate) struct Fd(isize);

pub(crate) const STDIN: Fd = Fd(0);
pub(crate) const STDOUT: Fd = Fd(1);
pub(crate) const STDERR: Fd = Fd(2);

#[cfg(feature = "full")]
impl From<Errno> for vm_anon_name::format::Value<'_> {
    fn from(errno: Errno) -> Self {
        vm_anon_name::format::Value::Number(errno.number() as u64)
    }
}
