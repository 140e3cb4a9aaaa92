//! A copy of `/proc/self/maps`, in memory that the maps do not show.

use crate::sys::{Errno, Result, files};
use heapless::Vec;
use linux_raw_sys::{errno, general::O_RDONLY};
use vm_anon_name::maps::{self, Vma};

const EIO: Errno = Errno::new(errno::EIO);
const EOVERFLOW: Errno = Errno::new(errno::EOVERFLOW);

/// Room for the maps of the stages. They are about ten lines; the longest line is
/// that of the executable, whose path may have 4096 bytes.
pub(crate) const ROOM: usize = 8192;

/// The bytes of `/proc/self/maps` at one moment.
pub(crate) struct Snapshot(Vec<u8, ROOM>);

impl Snapshot {
    pub(crate) fn new() -> Self {
        Snapshot(Vec::new())
    }

    /// Reads the maps as they are now.
    ///
    /// The buffer is on the stack, in pages that the kernel has reserved for it
    /// from the start: reading changes nothing of what is read. One thread alone
    /// maps nothing between two reads of the file.
    ///
    /// # Errors
    ///
    /// Of open or read; `EOVERFLOW` if there are more bytes than [`ROOM`]; `EIO` if
    /// the file ended before the stack, or is no maps file of this process.
    pub(crate) fn take(&mut self) -> Result {
        let result = self.read();
        if result.is_err() {
            self.0.clear();
        }
        result
    }

    fn read(&mut self) -> Result {
        self.0.clear();
        let maps = files::open(None, c"/proc/self/maps", O_RDONLY)?;
        let ended = files::read_to_end(maps, &mut self.0);
        files::close(maps)?;
        if !ended? {
            return Err(EOVERFLOW);
        }
        // The stack, where these bytes are, comes last.
        let here = self.0.as_ptr().addr() as u64;
        if self.vmas().any(|vma| (vma.start..vma.end).contains(&here)) {
            Ok(())
        } else {
            Err(EIO)
        }
    }

    /// The bytes; empty if the last [`take`](Self::take) failed.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The VMAs, up to the first line that is none.
    pub(crate) fn vmas(&self) -> impl Iterator<Item = Vma<'_>> {
        maps::vmas(&self.0)
    }
}
