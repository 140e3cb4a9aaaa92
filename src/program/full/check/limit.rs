//! The limit on mappings, lowered while PID 1 checks.
//!
//! Two cases map up to the limit. That takes them most of a second at the 65,530 that
//! Linux begins with, and as PID 1 nobody else is there to miss what is not allowed.

use crate::sys::{self, Result, files, memory};
use heapless::Vec;
use linux_raw_sys::general::O_RDWR;

/// What a process is left with.
pub(super) const LOWERED: &[u8] = b"1024";

/// The limit as it is told.
pub(super) type Digits = Vec<u8, 24>;

/// Sets the limit to `after`, and leaves in `before` what it was.
pub(super) fn set(after: &[u8], before: &mut Digits) -> Result {
    let file = files::open(sys::HERE, c"/proc/sys/vm/max_map_count", O_RDWR)?;
    memory::read_from_start(file, before)?;
    memory::write_to_start(file, after)?;
    files::close(file)
}
