//! Diagram of a range of pages: one character for each page, a bar at the ends of each VMA.
//!
//! ```text
//! |.|a|.|     an unnamed page, a page named "a", an unnamed page: three VMAs
//! |aa|_|A|    a VMA of two pages, a gap, a page of shared memory
//! ```
//!
//! A VMA that continues outside the range has no bar at that end.
//!
//! | character | the page's label |
//! |---|---|
//! | `_` | nothing is mapped |
//! | `.` | no label |
//! | a letter | `[anon:letter]`; in upper case `[anon_shmem:letter]` |
//! | `'` | `[anon:]` |
//! | `"` | `[anon_shmem:]` |
//! | `:` | `/dev/zero (deleted)`: shared memory without a name |
//! | `/` | any other path |
//! | `$` | `[heap]` |
//! | `?` | any other label |

use crate::{format::Sink, maps::Vma, scan::look_up};

/// Draws VMAs, which must be added in the order of their addresses.
pub struct Diagram<'a, S> {
    out: &'a mut S,
    page: u64,
    /// The address of the next page to draw.
    next: u64,
    /// The address after the last page to draw.
    end: u64,
    /// Whether the last VMA ended at `next`, so that the bar is already drawn.
    has_bar: bool,
}

impl<'a, S: Sink> Diagram<'a, S> {
    /// A diagram of the pages from `start` to `end`, of `page` bytes each.
    pub fn new(out: &'a mut S, page: u64, start: u64, end: u64) -> Self {
        Diagram {
            out,
            page,
            next: start,
            end,
            has_bar: false,
        }
    }

    /// Draws the part of `vma` inside the range, and the gap before it.
    pub fn add(&mut self, vma: &Vma) {
        self.draw(vma.start, b'_');
        if self.next >= self.end || vma.end <= self.next {
            return;
        }
        if vma.start == self.next && !self.has_bar {
            self.out.put(b"|");
        }
        self.draw(vma.end, character(vma));
        if vma.end == self.next {
            self.out.put(b"|");
            self.has_bar = true;
        }
    }

    /// Draws the gap up to the end of the range.
    pub fn finish(&mut self) {
        self.draw(self.end, b'_');
    }

    fn draw(&mut self, to: u64, character: u8) {
        while self.next < to.min(self.end) {
            self.out.put(&[character]);
            self.next += self.page;
            self.has_bar = false;
        }
    }
}

fn character(vma: &Vma) -> u8 {
    const LABELS: &[(&str, u8)] = &[
        ("", b'.'),
        ("[anon:]", b'\''),
        ("[anon_shmem:]", b'"'),
        ("/dev/zero (deleted)", b':'),
        ("[heap]", b'$'),
    ];
    if let Some(character) = look_up(LABELS, vma.label) {
        return character;
    }
    match (vma.name(), vma.label) {
        (Some([letter]), label) if label.starts_with(b"[anon_shmem:") => {
            letter.to_ascii_uppercase()
        }
        (Some([letter]), _) => *letter,
        (_, [b'/', ..]) => b'/',
        _ => b'?',
    }
}
