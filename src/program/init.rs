//! Being PID 1: when it ends, so does the machine.

use crate::{
    console::Console,
    sys::{self, Reboot},
};
use vm_anon_name::text::Value::Number;

/// The process that the kernel starts first.
pub(crate) const PID: u32 = 1;

/// Exits with `status`. The kernel panics when PID 1 exits, so PID 1 leaves the
/// machine as `how` says instead, and sleeps if that is refused.
pub(crate) fn end(pid: u32, status: u8, how: Reboot) -> ! {
    if pid != PID {
        sys::exit(status);
    }
    let errno = sys::reboot(how);
    let errno = Number(errno.into_raw() as u64);
    Console::new().complain(b"reboot: errno %", &[errno]);
    loop {
        sys::sleep();
    }
}
