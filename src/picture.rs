//! Picture of what the stages do to the pages around the new memory, a line for each stage.
//!
//! ```text
//!  1 start      | .   .   .   .   .   . |  6 pages
//!  2 mmap   | .   .   .   .   .   .   . |  7 pages: grown
//!  3 name   | # | .   .   .   .   .   . |  1 + 6 pages: split
//!  4 munmap     | .   .   .   .   .   . |  6 pages: gone
//! ```
//!
//! A bar is an end of a VMA, and each mark between bars is a page. The picture is drawn
//! from the maps alone.
//!
//! | mark | page |
//! |---|---|
//! | `.` | without a label |
//! | `#` | of named memory |
//! | `/` | with any other label, such as that of shared memory |
//! | `~` | the pages in the middle of a block that is too large to draw |
//! | blank | nothing is mapped |

use crate::{
    format::{Sink, put_decimal},
    maps, put,
    scan::before,
};
use core::cmp::Ordering::{Equal, Greater, Less};
use heapless::Vec;

/// The size in pages of the largest new memory whose pages are all drawn.
const BLOCK: u64 = 4;

/// The most pages that are drawn above the new memory.
const NEIGHBOUR: usize = 6;

/// The most edges: the start of each page, and the last end.
const EDGES: usize = BLOCK as usize + NEIGHBOUR + 1;

/// The width of a stage's name, with blanks up to the first bar.
const NAME: usize = 7;

/// The range of pages that is drawn.
pub struct Picture {
    page: u64,
    /// The first address of each page or block that is drawn, and the end of the last.
    edges: Vec<u64, EDGES>,
    /// The number of pages and VMAs in the last line.
    last: Option<(u64, usize)>,
}

impl Picture {
    /// A picture of the addresses from `start` to `end`. The new memory is the first `length`
    /// bytes of them. A page has `page` bytes, a power of two.
    pub fn new(page: u64, start: u64, length: u64, end: u64) -> Self {
        // Of a large block, only the first page and the last two are drawn.
        let (middle, after_middle) = match length > BLOCK * page {
            true => (start + page, start + length - 2 * page),
            false => (end, end),
        };
        let mut edges = Vec::new();
        let mut edge = start;
        while edge <= end && edges.push(edge).is_ok() {
            edge = match edge == middle {
                true => after_middle.max(edge + page),
                false => edge + page,
            };
        }
        Picture {
            page,
            edges,
            last: None,
        }
    }

    /// Appends the first and the last address. The next line is that of the first stage
    /// again.
    pub fn restart(&mut self, out: &mut impl Sink) {
        self.last = None;
        if let [start, .., end] = self.edges.as_slice() {
            put!(out, " from {hex} to {hex}\n", *start, *end);
        }
    }

    /// Appends the line of a stage: its number and name, the pages in `maps`, and how they
    /// differ from those in the line before.
    pub fn put(&mut self, number: usize, name: &str, maps: &[u8], out: &mut impl Sink) {
        put!(out, " {} {}", number, name);
        (name.len()..NAME).for_each(|_| out.put(b" "));
        let mut sizes = Vec::<u64, EDGES>::new();
        // The end of the VMA below the edge.
        let mut below = 0;
        let mut edges = self.edges.iter().peekable();
        while let Some(edge) = edges.next() {
            let vma = maps::find(maps, *edge);
            let (start, end) = vma.map_or((0, 0), |vma| (vma.start, vma.end));
            let mark = match (vma, edges.peek()) {
                (None, _) | (_, None) => b' ',
                (Some(_), Some(next)) if *next - edge > self.page => b'~',
                (Some(vma), _) if vma.label.is_empty() => b'.',
                (Some(vma), _) if vma.name().is_some() => b'#',
                _ => b'/',
            };
            if mark != b' ' && end != below {
                let _ = sizes.push((end - start) >> self.page.trailing_zeros()); // There is space.
            }
            let bar = match start == *edge || below == *edge {
                true => b'|',
                false => b' ',
            };
            // The last edge has no page.
            let cell = [bar, b' ', mark, b' '];
            let length = match edges.peek() {
                Some(_) => cell.len(),
                None => cell.len() - 1,
            };
            out.put(before(&cell, length));
            below = end;
        }
        if sizes.is_empty() {
            out.put(b"no");
        }
        let mut separator: &[u8] = b"";
        for size in &sizes {
            out.put(separator);
            put_decimal(*size, out);
            separator = b" + ";
        }
        let new = (sizes.iter().sum(), sizes.len());
        let old = self.last.replace(new).unwrap_or(new);
        let word: &[u8] = match (new.0.cmp(&old.0), new.1.cmp(&old.1)) {
            (Greater, Equal) => b": grown",
            (Greater, _) => b": added",
            (Less, Less) => b": gone",
            (Less, _) => b": shrunk",
            (Equal, Greater) => b": split",
            (Equal, Less) => b": merged",
            (Equal, Equal) => b"",
        };
        out.put(b" pages");
        out.put(word);
        out.put(b"\n");
    }
}
