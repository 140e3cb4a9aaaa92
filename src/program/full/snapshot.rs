//! Copies of `/proc/self/maps`, in memory that the maps do not show.

use crate::sys::{self, Errno, Result, files};
use core::ffi::CStr;
use heapless::VecView;
use linux_raw_sys::general::O_RDONLY;
use vm_anon_name::maps::Vma;

/// Room for one copy. The maps of the stages are about ten lines; the longest line
/// is that of the executable, whose path may have 4096 bytes.
pub(crate) const ROOM: usize = 8192;

/// Where they are read.
pub(crate) const FILE: &CStr = c"/proc/self/maps";

/// Appends the maps as they are now to `copies`, which must be on the stack: these
/// are pages that the kernel has reserved for it from the start, so that reading
/// changes nothing of what is read. One thread alone maps nothing between two reads
/// of the file.
///
/// # Errors
///
/// Of open or read; `EOVERFLOW` if there are more bytes than room; `EIO` if the file
/// ended before the stack, or is no maps file of this process. Then nothing has
/// been appended.
pub(crate) fn take(copies: &mut VecView<u8>) -> Result {
    let before = copies.len();
    let result = read(copies);
    if result.is_err() {
        copies.truncate(before);
    }
    result
}

fn read(copies: &mut VecView<u8>) -> Result {
    let before = copies.len();
    let maps = files::open(sys::HERE, FILE, O_RDONLY)?;
    let whole = files::read_to_end(maps, copies);
    files::close(maps).and(whole)?;
    // The stack, where these bytes are, comes last.
    let here = copies.as_ptr().addr() as u64;
    match find(copies.get(before..).unwrap_or_default(), here) {
        Some(_) => Ok(()),
        None => Err(Errno::EIO),
    }
}

/// The VMA at `address` in a copy, if it is before the first line that is none.
pub(crate) fn find(copy: &[u8], address: u64) -> Option<Vma<'_>> {
    let mut rest = copy;
    loop {
        let vma = Vma::take(&mut rest);
        if vma.is_none_or(|vma| vma.start <= address && address < vma.end) {
            return vma;
        }
    }
}
