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

/// A column of the table that `names` prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    /// The number of VMAs; in a table of several processes, that of processes with such a VMA.
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

const fn word(text: &[u8; 4]) -> u32 {
    u32::from_ne_bytes(*text)
}

/// The column of the field in `line`, which is from smaps or `smaps_rollup`. `None` for most
/// fields.
pub fn column(line: &[u8]) -> Option<Column> {
    const PSS: u32 = word(b"Pss:");
    const PRIVATE: u32 = word(b"Priv");
    const RSS: u32 = word(b"Rss:");
    const SWAP: u32 = word(b"Swap");
    // The second letter rules out most fields without a comparison of words.
    let (first @ [_, b'r'..=b'w', _, _], rest) = line.split_first_chunk()? else {
        return None;
    };
    match (word(first), rest) {
        (PSS, _) => Some(Column::Pss),
        // Not Private_Hugetlb.
        (PRIVATE, [_, _, _, _, b'C' | b'D', ..]) => Some(Column::Private),
        (RSS, _) => Some(Column::Rss),
        // Not SwapPss.
        (SWAP, [b':', ..]) => Some(Column::Swap),
        _ => None,
    }
}

/// The column of the field in `line`, which is from `/proc/PID/status`.
pub fn status_column(line: &[u8]) -> Option<Column> {
    // VmRSS and VmSwap.
    const RSS: u32 = word(b"VmRS");
    const SWAP: u32 = word(b"VmSw");
    match word(line.first_chunk()?) {
        RSS => Some(Column::Rss),
        SWAP => Some(Column::Swap),
        _ => None,
    }
}

/// The value of the field in `line`, in KiB. `None` unless it is a number of up to 19 digits and
/// ` kB`.
pub fn value(line: &[u8]) -> Option<u64> {
    let [number @ .., b' ', b'k', b'B'] = line else {
        return None;
    };
    let (mut value, mut unit) = (0, 1u64);
    let mut rest = number;
    // Backwards, because blanks of unknown width precede the number.
    while let [before @ .., digit @ b'0'..=b'9'] = rest {
        let next = unit.checked_mul(10)?;
        value += u64::from(digit - b'0') * unit;
        (unit, rest) = (next, before);
    }
    (unit > 1 && matches!(rest, [.., b' ' | b'\t'])).then_some(value)
}
