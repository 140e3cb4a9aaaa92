//! Being PID 1: when it ends, so does the machine.

use crate::{
    console::Console,
    sys::{self, Reboot},
};
use vm_anon_name::text::Sink;

/// The process that the kernel starts first.
pub(crate) const PID: u32 = 1;

/// Exits with `status`. The kernel panics when PID 1 exits, so PID 1 leaves the
/// machine as `how` says instead, and sleeps if that is refused.
pub(crate) fn end(pid: u32, status: u8, how: Reboot, console: &mut Console) -> ! {
    if pid != PID {
        sys::exit(status);
    }
    let errno = sys::reboot(how);
    console.begin_complaint();
    console.put(b"reboot: errno ");
    console.decimal(errno.number() as usize);
    console.end_complaint();
    loop {
        sys::poll(&mut []);
    }
}
