//! The system: names, sleeping, mounts, powering off.
//!
//! # Safety
//!
//! As in [`sys`](super).
#![allow(unsafe_code)]
#![cfg_attr(not(feature = "full"), allow(dead_code, unused_imports))]

use super::{Errno, Result};
use crate::arch::call;
use core::{ffi::CStr, mem::MaybeUninit, ptr};
use linux_raw_sys::general::*;
use syscalls::{Sysno, raw_syscall};

/// How [`reboot`] ends the machine.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Reboot {
    PowerOff = LINUX_REBOOT_CMD_POWER_OFF,
    Restart = LINUX_REBOOT_CMD_RESTART,
    Halt = LINUX_REBOOT_CMD_HALT,
    /// Does not end the machine, but lets Ctrl-Alt-Del do so at once.
    CtrlAltDel = LINUX_REBOOT_CMD_CAD_ON,
}

/// `sync(2)`, then `reboot(2)`. Returns only on failure, or for [`Reboot::CtrlAltDel`].
pub(crate) fn reboot(how: Reboot) -> Result {
    let (magic1, magic2) = (LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2);
    // SAFETY: No memory is involved. The call cannot fail.
    unsafe { raw_syscall!(Sysno::sync) };
    // SAFETY: No memory is involved.
    unsafe { call!(Sysno::reboot, magic1, magic2, how as u32) }.map(drop)
}

/// `pause(2)`: sleeps until a signal comes.
pub(crate) fn pause() {
    let nothing = ptr::null::<u8>();
    // SAFETY: There are no entries, no timeout and no mask.
    let _ = unsafe { call!(call::ppoll, nothing, 0, nothing, nothing) };
}

/// Sleeps for some seconds.
pub(crate) fn sleep(seconds: u32) {
    sleep_for([seconds.into(), 0]);
}

/// Sleeps for 10 ms.
pub(crate) fn sleep_10_ms() {
    sleep_for([0, 10_000_000]);
}

/// `ppoll(2)` of nothing: sleeps for the seconds and nanoseconds of `timeout`.
fn sleep_for(mut timeout: [i64; 2]) {
    let nothing = ptr::null::<u8>();
    // SAFETY: The kernel reads and writes `timeout`; there are no entries and no mask.
    let _ = unsafe { call!(call::ppoll, nothing, 0, &raw mut timeout, nothing) };
}

/// `mount(2)`: mounts a `kind` of file system at `place`. EBUSY counts as success: it
/// is mounted there already.
pub(crate) fn mount(kind: &CStr, place: &CStr) -> Result {
    let (kind, place) = (kind.as_ptr(), place.as_ptr());
    // SAFETY: The kernel reads the C strings; there is no data.
    let mounted = unsafe { call!(Sysno::mount, kind, place, kind, 0, ptr::null::<u8>()) };
    match mounted {
        Err(errno) if errno != Errno::EBUSY => Err(errno),
        _ => Ok(()),
    }
}

/// `umount2(2)`: detaches the last mount at `place`.
pub(crate) fn unmount(place: &CStr) -> Result {
    // SAFETY: The kernel reads the C string.
    unsafe { call!(Sysno::umount2, place.as_ptr(), MNT_DETACH) }.map(drop)
}

/// The length of a field of uname(2), including its NUL: `__NEW_UTS_LEN` + 1.
const FIELD: usize = 65;

/// The names of the kernel, from uname(2).
///
/// The struct of `linux_raw_sys` has fields of C's `char`, whose sign depends on the
/// architecture.
#[repr(C)]
pub(crate) struct Uname {
    system: [u8; FIELD],
    node: [u8; FIELD],
    release: [u8; FIELD],
    version: [u8; FIELD],
    machine: [u8; FIELD],
    domain: [u8; FIELD],
}

impl Uname {
    /// `uname(2)`. If the call fails, which a filter can cause, all names are `unknown`.
    #[inline(never)] // Inlined, it would copy the 390 bytes into each caller.
    pub(crate) fn get() -> Self {
        let mut names = MaybeUninit::<Self>::uninit();
        // SAFETY: The kernel writes a `struct new_utsname`, which `Uname` repeats.
        if unsafe { call!(Sysno::uname, names.as_mut_ptr()) }.is_err() {
            names = MaybeUninit::zeroed();
        }
        // SAFETY: The kernel has written all of it, or it is zeros, and all of it is bytes.
        unsafe { names.assume_init() }
    }

    /// The kernel's release, such as `6.12.57`.
    pub(crate) fn release(&self) -> &[u8] {
        field(&self.release)
    }

    /// Release, version and machine, as `uname -rvm` prints them.
    pub(crate) fn all(&self) -> [&[u8]; 3] {
        [
            field(&self.release),
            field(&self.version),
            field(&self.machine),
        ]
    }
}

fn field(bytes: &[u8; FIELD]) -> &[u8] {
    match vm_anon_name::scan::split(bytes, 0).0 {
        [] => b"unknown",
        name => name,
    }
}
