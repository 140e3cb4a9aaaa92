//! Tries to name memory.

use crate::sys::{
    Result,
    memory::{self, Mapping},
};
use linux_raw_sys::general::SIGSYS;

/// How long a child that tries to name memory may take, in seconds: a seccomp filter may never
/// answer.
pub(crate) const TIMEOUT: i64 = 10;

/// The signal with which a seccomp filter kills.
pub(crate) const FILTERED: u8 = SIGSYS as u8;

/// Whether the kernel can name memory at all.
///
/// The probe call succeeds where the feature exists. If it fails, a page is named as
/// well, because a filter may refuse the probe call alone. If both fail, the error of
/// the probe call is returned.
pub(crate) fn probe() -> Result {
    let Err(errno) = memory::name_nothing() else {
        return Ok(());
    };
    memory::munmap(map_named_page(false).or(Err(errno))?)
}

/// Maps a page and names it `probe`. A page that cannot be named is unmapped.
pub(crate) fn map_named_page(shared: bool) -> Result<Mapping> {
    let page = memory::mmap(0, 1, shared)?; // The kernel rounds up to a page.
    if let Err(errno) = memory::set_name(&page, c"probe") {
        let _ = memory::munmap(page); // The caller needs the first error.
        return Err(errno);
    }
    Ok(page)
}
