//! Messages about processes whose memory cannot be read.

use crate::{
    cold,
    commands::status,
    console::{Console, error},
    subject::{ENDED, NO_MEMORY},
    sys::{Errno, file},
};
use vm_anon_name::scan::line;

/// Reports why the process `pid` could not be read, and returns the exit status for it.
pub(crate) fn report(pid: u32, errno: Errno, console: &mut Console) -> u8 {
    let reason = match errno {
        Errno::ENOENT if !has_proc(console) => return status::NO_PROC,
        Errno::ENOENT => 0,
        Errno::EACCES | Errno::EPERM => 1,
        ENDED => 2,
        NO_MEMORY => 3,
        _ => {
            error!(console, "process {}: {errno}", pid, errno);
            return status::FAILED;
        }
    };
    error!(console, "process {}: {}", pid, line(&cold::REASONS, reason));
    status::FAILED
}

/// Whether there is a /proc. Reports an error if not.
pub(crate) fn has_proc(console: &mut Console) -> bool {
    let has_proc = file::read_link(c"/proc/self", &mut [0; 16]).is_ok();
    if !has_proc {
        error!(console, "no /proc");
    }
    has_proc
}
