//! Terminals.
//!
//! # Safety
//!
//! As in [`sys`](super).
#![allow(unsafe_code)]
#![cfg_attr(not(feature = "full"), allow(dead_code))]

use super::Fd;
use core::mem::MaybeUninit;
use linux_raw_sys::{
    general::{ECHO, termios},
    ioctl::{TCGETS, TIOCOUTQ},
};
use syscalls::Sysno;

/// Whether `file` is a terminal that echoes what is typed.
pub(crate) fn echoes(file: &Fd) -> bool {
    let mut settings = MaybeUninit::<termios>::uninit();
    // SAFETY: The kernel writes a `struct termios`.
    let result = unsafe { call!(Sysno::ioctl, file.0, TCGETS, settings.as_mut_ptr()) };
    // SAFETY: The call succeeded, so the kernel has written it.
    result.is_ok() && unsafe { settings.assume_init() }.c_lflag & ECHO != 0
}

/// `ioctl(TIOCOUTQ)`: the number of bytes that the terminal's driver has not yet handed
/// to the hardware; 0 if `file` is not a terminal.
pub(crate) fn unsent(file: &Fd) -> i32 {
    let mut count = 0;
    // SAFETY: The kernel writes an `int`.
    let _ = unsafe { call!(Sysno::ioctl, file.0, TIOCOUTQ, &raw mut count) };
    count
}

/// Whether `file` is a terminal.
pub(crate) fn is_terminal(file: &Fd) -> bool {
    let mut count = 0i32;
    // SAFETY: The kernel writes an `int`.
    unsafe { call!(Sysno::ioctl, file.0, TIOCOUTQ, &raw mut count) }.is_ok()
}

/// `tcdrain(3)`: waits until the terminal `file` has sent all output.
pub(crate) fn drain(file: &Fd) {
    // SAFETY: No memory is involved.
    let _ = unsafe { call!(Sysno::ioctl, file.0, linux_raw_sys::ioctl::TCSBRK, 1) };
}
