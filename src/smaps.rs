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

use crate::scan::{number, split_digits};

/// A column of the table that `names` prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    /// VMAs; in a table of several processes, those that have such a VMA.
    Count,
    /// Address space, in KiB.
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

/// The column that the field in `line` belongs to, a line of smaps, `smaps_rollup` or
/// `/proc/PID/status`. Most fields belong to none.
pub fn column(line: &[u8]) -> Option<Column> {
    match line.first_chunk::<9>()? {
        [b'P', b's', b's', b':', ..] => Some(Column::Pss),
        [b'P', b'r', b'i', _, _, _, _, b'_', b'C' | b'D'] => Some(Column::Private),
        [b'R', b's', b's', b':', ..] | [b'V', b'm', b'R', ..] => Some(Column::Rss),
        [b'S', b'w', b'a', b'p', b':', ..] | [b'V', b'm', b'S', b'w', ..] => Some(Column::Swap),
        _ => None,
    }
}

/// The value of the field in `line`, in KiB.
pub fn value(line: &[u8]) -> Option<u64> {
    let [before @ .., b' ', b'k', b'B'] = line else {
        return None;
    };
    let ([.., b' ' | b'\t'], mut digits) = split_digits(before) else {
        return None;
    };
    number(&mut digits)
}
