//! The maps files of `--output`. A file gets its name only when it is complete.

use crate::sys::{
    Fd, Result,
    file::{self, CWD},
    io,
};
use core::ffi::CStr;
use linux_raw_sys::general::{O_CREAT, O_DIRECTORY, O_EXCL, O_PATH, O_WRONLY};

/// The name of a file while it is being written.
const PARTIAL: &CStr = c".vm_anon_name.partial";

/// The directory for the files.
pub(crate) struct Directory(Fd);

impl Directory {
    pub(crate) fn open(path: &CStr) -> Result<Self> {
        file::open(&CWD, path, O_PATH | O_DIRECTORY).map(Directory)
    }

    /// Writes `bytes` to the file `name`. Until the file is complete, an older file of that name
    /// stays as it is.
    pub(crate) fn write(&self, name: &CStr, bytes: &[u8]) -> Result {
        // A run that was killed may have left it.
        let _ = file::unlink(&self.0, PARTIAL);
        let file = file::open(&self.0, PARTIAL, O_WRONLY | O_CREAT | O_EXCL)?;
        let written = io::write_all(&file, bytes);
        let closed = file::close(file);
        let renamed = written
            .and(closed)
            .and_then(|()| file::rename(&self.0, PARTIAL, name));
        if renamed.is_err() {
            let _ = file::unlink(&self.0, PARTIAL);
        }
        renamed
    }
}
