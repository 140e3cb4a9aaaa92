//! A field of `/proc/PID/smaps`: a line below that of a VMA.
//!
//! ```text
//! ffffadaf5000-ffffadaf6000 rw-p 00000000 00:00 0                          [anon:heap]
//! Size:                  4 kB
//! Rss:                   4 kB
//! ...
//! VmFlags: rd wr mr mw me ac
//! ```
//!
//! `show_smap()` in the kernel's `fs/proc/task_mmu.c` writes the fields. Which ones there
//! are depends on the version. All begin with a capital letter, and lines of VMAs do not.

use crate::scan::number;

/// A column of the table that `names` prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    /// VMAs; of several processes, the processes that have such a VMA.
    Count,
    /// Addresses, in KiB.
    Size,
    /// `Rss`: resident memory, in KiB.
    Rss,
    /// `Pss`: resident memory, in KiB. A page that N processes share counts 1/N.
    Pss,
    /// `Private_Clean` and `Private_Dirty`: resident memory that no other process maps, in
    /// KiB.
    Private,
    /// `Swap`: memory that is swapped out, in KiB.
    Swap,
}

/// Whether `line` is a field, of any name.
pub fn is_field(line: &[u8]) -> bool {
    matches!(line, [b'A'..=b'Z', ..])
}

/// Reads a line of smaps, `smaps_rollup` or `/proc/PID/status`, and returns the column of
/// the field and its value. `None` if the field belongs to no column.
pub fn parse(line: &[u8]) -> Option<(Column, u64)> {
    // Patterns decide by the first bytes. Comparing whole names would take a call for each,
    // and most fields belong to no column.
    let column = match line {
        [b'R', b's', b's', b':', ..] | [b'V', b'm', b'R', ..] => Column::Rss,
        [b'P', b's', b's', b':', ..] => Column::Pss,
        [b'P', b'r', b'i', _, _, _, _, b'_', b'C' | b'D', ..] => Column::Private,
        [b'S', b'w', b'a', b'p', b':', ..] | [b'V', b'm', b'S', b'w', ..] => Column::Swap,
        _ => return None,
    };
    // No name has a digit.
    let mut value = line;
    while let [first, rest @ ..] = value
        && !first.is_ascii_digit()
    {
        value = rest;
    }
    Some((column, number(&mut value)?))
}
