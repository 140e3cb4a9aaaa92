//! `--output`: each snapshot a file, whole or not at all.

use crate::sys::{self, Descriptor, Result, files};
use core::ffi::CStr;
use linux_raw_sys::general::{O_CREAT, O_DIRECTORY, O_EXCL, O_PATH, O_WRONLY};

/// The name of a file while it is being written.
const PARTIAL: &CStr = c".vm_anon_name.partial";

/// The directory that takes the files.
pub(crate) struct Directory(Descriptor);

impl Directory {
    pub(crate) fn open(path: &CStr) -> Result<Self> {
        files::open(sys::HERE, path, O_PATH | O_DIRECTORY).map(Directory)
    }

    /// Writes `bytes` to the file `name`, which takes its name only when all of
    /// it is there: an older file of that name stays whole until then.
    pub(crate) fn write(&self, name: &CStr, bytes: &[u8]) -> Result {
        // What an interrupted run has left behind.
        let _ = files::unlink(self.0, PARTIAL);
        let file = files::open(self.0, PARTIAL, O_WRONLY | O_CREAT | O_EXCL)?;
        let written = sys::write_all(file, bytes);
        let closed = files::close(file);
        let renamed = written
            .and(closed)
            .and_then(|()| files::rename(self.0, PARTIAL, name));
        if renamed.is_err() {
            let _ = files::unlink(self.0, PARTIAL);
        }
        renamed
    }
}
