//! A file in a tmpfs, which names treat as memory while nothing links to it.

use crate::sys::{Descriptor, Errno, Result, files, memory::is_in_memory};
use core::ffi::CStr;
use linux_raw_sys::{errno, general::*};

const ENOENT: Errno = Errno::new(errno::ENOENT);

/// Where a tmpfs may be. The last is the root of an initramfs.
const PLACES: [&CStr; 3] = [
    c"/dev/shm/.vm_anon_name",
    c"/tmp/.vm_anon_name",
    c"/.vm_anon_name",
];

/// A new file in the first tmpfs found; `ENOENT` without one.
pub(super) fn create() -> Result<Descriptor> {
    remove(); // What a killed case has left behind.
    for path in PLACES {
        let Ok(file) = files::open(None, path, O_RDWR | O_CREAT | O_EXCL) else {
            continue;
        };
        if is_in_memory(file) {
            return Ok(file);
        }
        remove();
        files::close(file)?;
    }
    Err(ENOENT)
}

/// Removes what [`create`] has made, if it is there.
pub(super) fn remove() {
    for path in PLACES {
        let _ = files::unlink(None, path);
    }
}
