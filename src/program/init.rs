//! Being PID 1: when it ends, so does the machine.

use crate::sys::{self, Reboot, Result};

/// The process that the kernel starts first.
pub(crate) const PID: u32 = 1;

/// Exits with `status`. The kernel panics when PID 1 exits, so PID 1 leaves the
/// machine as `how` says instead, and returns only if that is refused.
#[inline(always)] // It is called once in each build.
pub(crate) fn end(pid: u32, status: u8, how: Reboot) -> Result {
    if pid != PID {
        sys::exit(status);
    }
    sys::reboot(how)
}

/// What is left to do for PID 1 then.
#[inline(always)] // As above.
pub(crate) fn sleep() -> ! {
    loop {
        sys::poll(&mut []);
    }
}
