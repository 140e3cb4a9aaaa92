//! Copies of `/proc/self/maps`.

use crate::sys::{
    Errno, Result,
    file::{self, CWD},
    io,
};
use core::ffi::CStr;
use heapless::VecView;
use linux_raw_sys::general::O_RDONLY;
use vm_anon_name::{maps, scan::after};

/// The file that is copied.
pub(crate) const FILE: &CStr = c"/proc/self/maps";

/// Appends the current maps to `copies`, which must be on the stack. execve(2) maps
/// 128 KiB below the first stack pointer, so a copy of 64 KiB does not change the maps. A
/// process with one thread maps nothing between two reads of the file.
///
/// # Errors
///
/// The error of open or read; EOVERFLOW if the maps do not fit; EIO if the file ends
/// before the stack, or is not a maps file of this process. On an error, `copies` is
/// unchanged.
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
    let file = file::open(&CWD, FILE, O_RDONLY)?;
    let result = io::read_to_end(&file, copies);
    file::close(file).and(result)?;
    // The VMAs of the stages precede the stack, which holds the copy itself.
    let here = copies.as_ptr().addr() as u64;
    let copy = after(copies, before);
    maps::find(copy, here).map(drop).ok_or(Errno::EIO)
}
