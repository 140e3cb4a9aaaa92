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

/// `tcgetattr(3)`: the settings of a terminal; `None` if `file` is not one.
fn settings(file: &Fd) -> Option<termios> {
    let mut settings = MaybeUninit::<termios>::uninit();
    // SAFETY: The kernel writes a `struct termios`.
    let result = unsafe { call!(Sysno::ioctl, file.0, TCGETS, settings.as_mut_ptr()) };
    // SAFETY: The call succeeded, so the kernel has written it.
    result.ok().map(|_| unsafe { settings.assume_init() })
}

/// Whether `file` is a terminal.
pub(crate) fn is_terminal(file: &Fd) -> bool {
    settings(file).is_some()
}

/// Whether `file` is a terminal with the flag ECHO: it shows the input.
pub(crate) fn echoes(file: &Fd) -> bool {
    settings(file).is_some_and(|settings| settings.c_lflag & ECHO != 0)
}

/// `ioctl(TIOCOUTQ)`: the number of bytes that the terminal's driver has not yet handed
/// to the hardware, or a socket to the network; 0 for other files.
pub(crate) fn unsent(file: &Fd) -> i32 {
    let mut count = 0;
    // SAFETY: The kernel writes an `int`.
    let _ = unsafe { call!(Sysno::ioctl, file.0, TIOCOUTQ, &raw mut count) };
    count
}

/// `tcdrain(3)`: waits until the terminal `file` has sent all output.
pub(crate) fn drain(file: &Fd) {
    // SAFETY: No memory is involved.
    let _ = unsafe { call!(Sysno::ioctl, file.0, linux_raw_sys::ioctl::TCSBRK, 1) };
}
