//! The list of `maps`: a line for each VMA, and their number and size at the end.
//!
//! ```text
//!   Start-End                 Perm        KiB Label
//! * ffff8b350000-ffff8b351000 rw-p          4 [anon:/secret/mem/area]
//!   ffff8b351000-ffff8b357000 rw-p         24
//! ```

use crate::{
    format::{Escaping, Sink, put_right},
    maps::Vma,
    scan::before,
};

/// The heads of the columns.
pub const HEADS: &[u8] = b"  Start-End                 Perm        KiB Label\n";

/// Where the size ends, after the mark. 48-bit addresses leave room for 10 digits.
const SIZE_END: usize = 41;

/// What the lines add up to.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Listing {
    /// VMAs.
    pub vmas: u64,
    /// Their size in KiB. A range in which VMAs overlap counts once.
    pub kibibytes: u64,
    /// VMAs of named memory.
    pub named: u64,
    /// VMAs that begin below the end of an earlier one: the process changed its memory between
    /// two reads.
    pub overlaps: u64,
    /// The highest end of a VMA so far.
    end: u64,
}

impl Listing {
    /// Appends a line of a maps file, without its newline, in the form of this list.
    pub fn line(&mut self, line: &[u8], out: &mut impl Sink) {
        let Some(vma) = Vma::parse(line) else { return };
        let is_named = vma.name().is_some();
        self.count(&vma, is_named);
        out.put(match is_named {
            true => b"* ",
            false => b"  ",
        });
        let addresses = line.iter().position(|byte| *byte == b' ');
        let range = addresses.map_or(0, |length| length + b" rw-p".len());
        out.put(before(line, range));
        let size = (vma.end - vma.start) >> 10;
        put_right(b"", size, SIZE_END.saturating_sub(range), out);
        if !vma.label.is_empty() {
            out.put(b" ");
            Escaping(&mut *out).put(vma.label);
        }
        out.put(b"\n");
    }

    /// Adds `vma`.
    fn count(&mut self, vma: &Vma, is_named: bool) {
        self.vmas += 1;
        self.named += u64::from(is_named);
        self.overlaps += u64::from(vma.start < self.end);
        self.kibibytes += vma.end.saturating_sub(vma.start.max(self.end)) >> 10;
        self.end = self.end.max(vma.end);
    }
}
