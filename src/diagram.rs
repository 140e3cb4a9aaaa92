//! A picture of some pages: one character each, and a bar at each VMA's ends.
//!
//! ```text
//! |.|a|.|     one page without a name, one named "a", one without: three VMAs
//! |aa|_|A|    two pages in one VMA, a gap, a shared page
//! ```
//!
//! | character | the page's label |
//! |---|---|
//! | `_` | none: nothing is mapped |
//! | `.` | none |
//! | a letter | `[anon:letter]`; `[anon_shmem:letter]` in upper case |
//! | `'` | `[anon:]` |
//! | `"` | `[anon_shmem:]` |
//! | `:` | `/dev/zero (deleted)`: shared memory without a name |
//! | `/` | any other path |
//! | `$` | `[heap]` |
//! | `?` | anything else |

use crate::{format::Sink, maps::Vma};

/// Draws VMAs, given in the order of their addresses, as they pass by.
pub struct Picture<'a> {
    out: &'a mut dyn Sink,
    page: u64,
    /// The address of the next page to draw.
    next: u64,
    /// The address after the last page to draw.
    end: u64,
    /// Whether a VMA has ended at `next`, so that there is a bar already.
    barred: bool,
}

impl<'a> Picture<'a> {
    /// Draws the pages, of `page` bytes each, from `start` to `end`.
    pub fn new(out: &'a mut dyn Sink, page: u64, start: u64, end: u64) -> Self {
        Picture {
            out,
            page,
            next: start,
            end,
            barred: false,
        }
    }

    /// Draws what of `vma` is in the picture, and the gap before it.
    pub fn add(&mut self, vma: &Vma) {
        self.draw(vma.start, b'_');
        if vma.start == self.next && self.next < self.end && !self.barred {
            self.out.put(b"|");
        }
        if vma.end <= self.next || self.next >= self.end {
            // It lies before the picture, or behind.
            return;
        }
        self.draw(vma.end, character(vma));
        if vma.end == self.next {
            self.out.put(b"|");
            self.barred = true;
        }
    }

    /// Draws the gap that is left.
    pub fn finish(&mut self) {
        self.draw(self.end, b'_');
    }

    fn draw(&mut self, to: u64, character: u8) {
        while self.next < to.min(self.end) {
            self.out.put(&[character]);
            self.next += self.page;
            self.barred = false;
        }
    }
}

// Not a match on all of it: a byte string in a pattern costs 12 bytes a byte.
fn character(vma: &Vma) -> u8 {
    let shared = vma.label.starts_with(b"[anon_shmem:");
    match vma.name() {
        Some([]) if shared => return b'"',
        Some([]) => return b'\'',
        Some([letter]) if shared => return letter.to_ascii_uppercase(),
        Some([letter]) => return *letter,
        _ => {}
    }
    if vma.label == b"/dev/zero (deleted)" {
        b':'
    } else if vma.label == b"[heap]" {
        b'$'
    } else {
        match vma.label {
            [] => b'.',
            [b'/', ..] => b'/',
            _ => b'?',
        }
    }
}
