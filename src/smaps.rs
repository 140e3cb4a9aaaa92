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

use crate::scan::{number, split};

/// What is added up: a column of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    /// VMAs; of several processes, the processes that have such a VMA.
    Count,
    /// Addresses, in KiB.
    Size,
    /// `Rss`: resident memory, in KiB.
    Rss,
    /// `Pss`: resident memory, of pages that N processes share an N-th part, in KiB.
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
/// the field and its value. `None` if it is not one that is added up.
pub fn parse(line: &[u8]) -> Option<(Column, u64)> {
    // Most lines are others.
    let column = if line.starts_with(b"Rss:") || line.starts_with(b"VmRSS:") {
        Column::Rss
    } else if line.starts_with(b"Pss:") {
        Column::Pss
    } else if line.starts_with(b"Private_C") || line.starts_with(b"Private_D") {
        Column::Private
    } else if line.starts_with(b"Swap:") || line.starts_with(b"VmSwap:") {
        Column::Swap
    } else {
        return None;
    };
    let mut value = split(line, b':').1;
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    Some((column, number(&mut value)?))
}
