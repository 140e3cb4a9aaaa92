//! A virtual memory area as one line of `/proc/PID/maps`.
//!
//! ```text
//! ffffadaf5000-ffffadaf6000 rw-p 00000000 00:00 0                          [anon:/secret/mem/area]
//! start        end          perms offset   device inode                    label
//! ```
//!
//! `show_map_vma()` in the kernel's `fs/proc/task_mmu.c` writes it. Numbers have
//! a minimum width, and a line without a label ends in a space. The label is the
//! rest of the line, verbatim: it can contain spaces, colons and slashes. All of
//! it is bytes, not UTF-8.

use crate::scan::{number, split};

/// The column that the kernel pads the fields to before a label, on a 64-bit
/// kernel: `25 + sizeof(void *) * 6 - 1` (`show_vma_header_prefix()`, `seq_pad()`).
/// A 32-bit kernel pads to a smaller column. Its lines are parsed correctly, too,
/// because no label of the kernel begins with a space.
const LABEL_COLUMN: usize = 72;

/// A virtual memory area (VMA).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vma<'a> {
    /// The first address.
    pub start: u64,
    /// The address after the last one.
    pub end: u64,
    /// `r`, `w`, `x` or `-`, then `s` for shared or `p` for private.
    pub permissions: [u8; 4],
    /// The offset into the mapped file, in bytes.
    pub offset: u64,
    /// Major and minor number of the file's device.
    pub device: (u64, u64),
    /// The file's inode; 0 for private anonymous memory.
    pub inode: u64,
    /// A path, `[heap]`, `[anon:NAME]` and so on; empty if there is none.
    pub label: &'a [u8],
}

impl<'a> Vma<'a> {
    /// Reads `line`, with or without its newline. `None` if it is not a line of a
    /// maps file.
    pub fn parse(mut line: &'a [u8]) -> Option<Self> {
        Self::take(&mut line)
    }

    /// Reads the first line of `text` and removes it, including the newline.
    /// If it is not a line of a maps file, returns `None` and leaves `text` unchanged.
    pub fn take(text: &mut &'a [u8]) -> Option<Self> {
        let line = *text;
        let mut rest = line;
        let start = hex(&mut rest, b'-')?;
        let end = hex(&mut rest, b' ')?;
        let (&[r, w, x, s, b' '], fields) = rest.split_first_chunk()? else {
            return None;
        };
        rest = fields;
        let offset = hex(&mut rest, b' ')?;
        let major = hex(&mut rest, b':')?;
        let minor = hex(&mut rest, b' ')?;
        let inode = number(&mut rest)?;
        let [b' ', padded_label @ ..] = rest else {
            return None;
        };
        rest = padded_label;
        // The kernel pads to the column and adds one space, even after wider
        // fields. Any further space belongs to the label.
        let column = LABEL_COLUMN.max(line.len() - rest.len());
        while let [b' ', label @ ..] = rest
            && line.len() - rest.len() <= column
        {
            rest = label;
        }
        let has_newline = r == b'\n' || w == b'\n' || x == b'\n' || s == b'\n';
        if start >= end || has_newline {
            return None;
        }
        let (label, after) = split(rest, b'\n');
        *text = after;
        Some(Vma {
            start,
            end,
            permissions: [r, w, x, s],
            offset,
            device: (major, minor),
            inode,
            label,
        })
    }

    /// Whether `address` is in the VMA.
    pub fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// The NAME of `[anon:NAME]` (private) or `[anon_shmem:NAME]` (shared).
    pub fn name(&self) -> Option<&'a [u8]> {
        name(self.label)
    }
}

/// Whether a 64-bit kernel wrote `line`, which has a label.
pub fn is_of_64_bits(line: &[u8]) -> bool {
    Vma::parse(line).is_some_and(|vma| line.len() - vma.label.len() > LABEL_COLUMN)
}

/// The NAME of the label `[anon:NAME]` (private) or `[anon_shmem:NAME]` (shared).
///
/// No other label has this form: no other with a colon, such as `socket:[7]`, begins with
/// a bracket.
pub fn name(label: &[u8]) -> Option<&[u8]> {
    // Comparing with each literal by itself would take more code.
    const KINDS: [&[u8]; 2] = [b"[anon", b"[anon_shmem"];
    let (kind, rest) = split(label, b':');
    match rest {
        [name @ .., b']'] if KINDS.contains(&kind) => Some(name),
        _ => None,
    }
}

/// The VMA that contains `address`. The search ends at the first line of `maps` that
/// is not a VMA.
pub fn find(maps: &[u8], address: u64) -> Option<Vma<'_>> {
    let mut rest = maps;
    loop {
        let vma = Vma::take(&mut rest)?;
        if vma.contains(address) {
            return Some(vma);
        }
    }
}

/// Removes a lower-case hexadecimal number and the byte `after` it from the start of
/// `text`, and returns the number.
fn hex(text: &mut &[u8], after: u8) -> Option<u64> {
    let (mut value, mut excess) = (0u64, 0);
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ if *byte == after && rest.len() + 1 < text.len() => {
                *text = rest.as_slice();
                return (excess == 0).then_some(value);
            }
            _ => break,
        };
        excess |= value >> 60; // The bits that the shift drops.
        value = value << 4 | u64::from(digit);
    }
    None
}
