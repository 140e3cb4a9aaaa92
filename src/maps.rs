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

use crate::text::{Sink, number};

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

impl<'a> Vma<'a> {
    /// Reads `line`, which has no newline. `None` if it is no maps line.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut rest = line;
        let start = field(&mut rest, 16, b'-')?;
        let end = field(&mut rest, 16, b' ')?;
        let (permissions, after) = rest.split_first_chunk::<4>()?;
        rest = after.strip_prefix(b" ")?;
        let offset = field(&mut rest, 16, b' ')?;
        let major = field(&mut rest, 16, b':')?;
        let minor = field(&mut rest, 16, b' ')?;
        let inode = field(&mut rest, 10, b' ')?;
        // The padding reaches just so far: a space behind it is the label's own.
        // A line that is all padding has no label (qemu-user writes such lines).
        let fields = line.len() - rest.len();
        let padding = PADDED.saturating_sub(fields) + 1;
        let blanks = rest
            .iter()
            .take(padding)
            .take_while(|b| **b == b' ')
            .count();
        let (_, label) = rest.split_at_checked(blanks)?;
        (start < end).then_some(Vma {
            start,
            end,
            permissions: *permissions,
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
        let inside = self.label.strip_suffix(b"]")?;
        inside
            .strip_prefix(b"[anon:")
            .or_else(|| inside.strip_prefix(b"[anon_shmem:"))
    }
}

/// Reads the number at the head of `rest`, and the `after` that must follow it.
fn field(rest: &mut &[u8], base: u32, after: u8) -> Option<u64> {
    let value = number(rest, base);
    let (first, others) = rest.split_first()?;
    *rest = others;
    value.filter(|_| *first == after)
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
