//! Terminals.
//!
//! # Safety
//!
//! As in [`sys`](super).
#![allow(unsafe_code)]

use super::Fd;
use core::mem::MaybeUninit;
use linux_raw_sys::{
    general::{ECHO, termios},
    ioctl::TCGETS,
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
