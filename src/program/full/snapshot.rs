//! Copies of `/proc/self/maps`, in memory that the maps do not show.

use crate::sys::{Errno, Result, files};
use core::ffi::CStr;
use heapless::{Vec, VecView};
use linux_raw_sys::general::O_RDONLY;
use vm_anon_name::maps::{self, Vma};

/// Room for one copy. The maps of the stages are about ten lines; the longest line
/// is that of the executable, whose path may have 4096 bytes.
pub(crate) const ROOM: usize = 8192;

/// The maps as they were, or nothing.
pub(crate) type Snapshot = Vec<u8, ROOM>;

/// Where they are read.
pub(crate) const FILE: &CStr = c"/proc/self/maps";

/// Reads the maps as they are now to `copy`, which is empty and on the stack: these
/// are pages that the kernel has reserved for it from the start, so that reading
/// changes nothing of what is read. One thread alone maps nothing between two reads
/// of the file.
///
/// # Errors
///
/// Of open or read; `EOVERFLOW` if there are more bytes than room; `EIO` if the file
/// ended before the stack, or is no maps file of this process. Then the copy stays empty.
pub(crate) fn take(copy: &mut VecView<u8>) -> Result {
    let result = read(copy);
    if result.is_err() {
        copy.clear();
    }
    result
}

fn read(copy: &mut VecView<u8>) -> Result {
    let maps = files::open(None, FILE, O_RDONLY)?;
    let whole = files::read_to_end(maps, copy);
    files::close(maps).and(whole)?;
    // The stack, where these bytes are, comes last.
    let here = copy.as_ptr().addr() as u64;
    match find(copy, here) {
        Some(_) => Ok(()),
        None => Err(Errno::EIO),
    }
}

/// The VMA at `address` in a copy, if it is before the first line that is none.
pub(crate) fn find(copy: &[u8], address: u64) -> Option<Vma<'_>> {
    maps::vmas(copy).find(|vma| vma.start <= address && address < vma.end)
}
