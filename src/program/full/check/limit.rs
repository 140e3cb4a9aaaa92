//! The limit on mappings, lowered while PID 1 checks.
//!
//! Two cases map up to the limit. That takes them most of a second at the 65,530 that
//! Linux begins with, and as PID 1 nobody else is there to miss what is not allowed.

use crate::sys::{Descriptor, Result, files, memory};
use core::ffi::CStr;
use heapless::Vec;
use linux_raw_sys::general::O_RDWR;

/// Where the limit is told and set.
const LIMIT: &CStr = c"/proc/sys/vm/max_map_count";

/// What a process is left with.
const LOWERED: &[u8] = b"1024";

/// The limit as it was.
pub(super) struct Limit {
    file: Descriptor,
    before: Vec<u8, 24>,
}

impl Limit {
    /// Lowers it.
    pub(super) fn lower() -> Result<Self> {
        let file = files::open(None, LIMIT, O_RDWR)?;
        let mut before = Vec::new();
        memory::read_from_start(file, &mut before)?;
        memory::write_to_start(file, LOWERED)?;
        Ok(Limit { file, before })
    }

    /// Sets it as it was.
    pub(super) fn restore(self) -> Result {
        memory::write_to_start(self.file, &self.before)
    }
}
