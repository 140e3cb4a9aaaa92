//! One line of `/proc/PID/maps`: a virtual memory area and its label.
//!
//! ```text
//! ffffadaf5000-ffffadaf6000 rw-p 00000000 00:00 0                          [anon:/secret/mem/area]
//! start        end          perms offset   device inode                    label
//! ```
//!
//! The widths are minima and an unlabelled line ends in a space (`show_map_vma`
//! in the kernel's `fs/proc/task_mmu.c`). The label is the rest of the line,
//! verbatim: it may hold blanks, colons and slashes, and looks are no proof of
//! what it is. Lines are bytes throughout; nothing here takes them for UTF-8.

use crate::{
    text::{Sink, number, split},
    words::position,
};

/// The kernel pads the fields before a label to this many bytes, if they are
/// fewer, and then adds one space (`seq_pad` in `fs/seq_file.c`).
const PADDED: usize = 72;

/// A virtual memory area (VMA) as its line tells it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub struct Vma<'a> {
    /// The first address.
    pub start: u64,
    /// The address after the last one.
    pub end: u64,
    /// `r`, `w`, `x` or `-`, then `s` for shared and `p` for private.
    pub permissions: [u8; 4],
    /// The offset into the mapped file, in bytes.
    pub offset: u64,
    /// Major and minor number of the file's device.
    pub device: (u64, u64),
    /// The file's inode; 0 for private anonymous memory.
    pub inode: u64,
    /// Path, `[heap]`, `[anon:NAME]` and so on; empty when there is none.
    pub label: &'a [u8],
}

/// The VMAs of `maps`, up to the first line that is none.
#[inline]
pub fn vmas(maps: &[u8]) -> impl Iterator<Item = Vma<'_>> {
    let mut rest = maps;
    core::iter::from_fn(move || Vma::take(&mut rest))
}

impl<'a> Vma<'a> {
    /// Reads `line`, with or without its newline. `None` if it is no maps line.
    pub fn parse(mut line: &'a [u8]) -> Option<Self> {
        Self::take(&mut line)
    }

    /// Takes the line at the head of `text` off it, and its newline, if there is one.
    /// `None` if it is no maps line; then `text` is left as it is.
    ///
    /// There is no search for the end of the line before: one pass reads it all.
    pub fn take(text: &mut &'a [u8]) -> Option<Self> {
        let mut numbers = [0; 5];
        let (addresses, others) = numbers.split_at_mut(2);
        let rest = hex(text, &[(8, b'-'), (8, b' ')], addresses)?;
        let (&[r, w, x, s, b' '], rest) = rest.split_first_chunk()? else {
            return None;
        };
        let mut rest = hex(rest, &[(8, b' '), (2, b':'), (2, b' ')], others)?;
        let inode = number(&mut rest)?;
        let [b' ', rest @ ..] = rest else {
            return None;
        };
        // The padding reaches just so far: a space behind it is the label's own.
        // A line that is all padding has no label (qemu-user writes such lines).
        let fields = text.len() - rest.len();
        let longest = PADDED.saturating_sub(fields) + 1;
        let (padding, _) = rest.split_at_checked(longest).unwrap_or((rest, b""));
        let blanks = padding.iter().position(|b| *b != b' ');
        let (_, labelled) = rest.split_at_checked(blanks.unwrap_or(padding.len()))?;
        let (label, behind) = split(labelled, b'\n');

        let permissions = [r, w, x, s];
        let [start, end, offset, major, minor] = numbers;
        if start >= end || lack_a_bit(permissions) {
            return None;
        }
        *text = behind;
        Some(Vma {
            start,
            end,
            permissions,
            offset,
            device: (major, minor),
            inode,
            label,
        })
    }

    /// Writes the line that `parse` reads, as the kernel pads it, without newline.
    pub fn print(&self, out: &mut dyn Sink) {
        let mut line = Counted { out, bytes: 0 };
        let text: &mut dyn Sink = &mut line;
        text.hex(self.start, 8);
        text.put(b"-");
        text.hex(self.end, 8);
        text.put(b" ");
        text.put(&self.permissions);
        text.put(b" ");
        text.hex(self.offset, 8);
        text.put(b" ");
        text.hex(self.device.0, 2);
        text.put(b":");
        text.hex(self.device.1, 2);
        text.put(b" ");
        text.decimal(self.inode);
        text.put(b" ");
        if !self.label.is_empty() {
            while line.bytes < PADDED {
                line.put(b" ");
            }
            line.put(b" ");
            line.put(self.label);
        }
    }

    /// The NAME of `[anon:NAME]` (private) or `[anon_shmem:NAME]` (shared).
    ///
    /// No other label has this form: a path begins with a slash, and neither
    /// the kernel's own labels nor a name can hold a bracket inside.
    pub fn name(&self) -> Option<&'a [u8]> {
        let (kind, rest) = split(self.label, b':');
        match rest {
            [name @ .., b']'] if position(b"[anon [anon_shmem ", kind) < 2 => Some(name),
            _ => None,
        }
    }
}

/// Reads hexadecimal `numbers` at the head of `text`, and gives what is behind them.
/// Each has a form: how many digits the kernel writes at least (`seq_put_hex_ll`),
/// and the byte that follows.
#[inline] // Where the forms are known, half the work is done by the compiler.
fn hex<'a>(text: &'a [u8], forms: &[(u8, u8)], numbers: &mut [u64]) -> Option<&'a [u8]> {
    let mut rest = text;
    for ((width, after), number) in forms.iter().zip(numbers) {
        let whole = rest.len();
        let mut value = 0;
        if *width == 8
            && let Some((head, others)) = rest.split_first_chunk()
            && let Some(eight) = eight_digits(*head)
        {
            (value, rest) = (eight, others);
        }
        loop {
            let (first, others) = rest.split_first()?;
            rest = others;
            let digit = match first {
                b'0'..=b'9' => first - b'0',
                b'a'..=b'f' => first - b'a' + 10,
                _ if first == after => break,
                _ => return None,
            };
            if value >> 60 != 0 {
                return None;
            }
            value = (value << 4) | u64::from(digit);
        }
        if whole - rest.len() == 1 {
            return None; // There is no digit.
        }
        *number = value;
    }
    Some(rest)
}

/// What eight hexadecimal digits stand for, worked out side by side.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let text = u64::from_be_bytes(text);
    // The low half of `a` is 1, and of `1` too; bit 6 tells them apart.
    let letters = (text >> 6) & EACH;
    let digits = text.wrapping_add(letters * 9) & (EACH * 0xf);
    // Whatever else it was would not be written like this.
    let letters = ((digits + EACH * 6) >> 4) & EACH;
    let written = digits + EACH * u64::from(b'0') + letters * u64::from(b'a' - b'9' - 1);
    if written != text {
        return None;
    }
    let pairs = (digits | digits >> 4) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    Some((fours | fours >> 16) & 0xffff_ffff)
}

/// Whether a newline is among these, or another byte that lacks the bit of the blank:
/// control characters and capitals do, permissions do not.
fn lack_a_bit(bytes: [u8; 4]) -> bool {
    let blanks = u32::from_ne_bytes([b' '; 4]);
    u32::from_ne_bytes(bytes) & blanks != blanks
}

/// Passes bytes on and counts them.
struct Counted<'a> {
    out: &'a mut dyn Sink,
    bytes: usize,
}

impl Sink for Counted<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.out.put(bytes);
    }
}
