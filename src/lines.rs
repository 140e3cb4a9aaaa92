//! Lines of a stream, which is read in pieces into a buffer of fixed size.
//!
//! A line that is longer than the buffer is passed on without its end.

use crate::scan::{after, before};
use core::{cell::Cell, mem};
use heapless::VecView;

/// The state between two reads into the buffer.
#[derive(Default)]
pub struct Lines {
    /// Whether the buffer begins with the rest of a line that has been passed on already.
    is_rest: bool,
}

impl Lines {
    /// Calls `each` for every line that ends in `buffer`, without its newline, and removes
    /// it. A line that fills the whole buffer is passed on as far as it goes.
    pub fn take(&mut self, buffer: &mut VecView<u8>, each: &mut dyn FnMut(&[u8])) {
        let mut rest: &[u8] = buffer;
        while let Some(end) = find_newline(rest) {
            if !mem::take(&mut self.is_rest) {
                each(before(rest, end));
            }
            rest = after(rest, end + 1);
        }
        let mut left = rest.len();
        if left == buffer.capacity() {
            if !mem::replace(&mut self.is_rest, true) {
                each(rest);
            }
            left = 0;
        }
        let bytes = Cell::from_mut(buffer.as_mut_slice()).as_slice_of_cells();
        let unfinished = bytes.iter().skip(bytes.len() - left);
        for (to, from) in bytes.iter().zip(unfinished) {
            to.set(from.get());
        }
        buffer.truncate(left);
    }

    /// Calls `each` for the last line, if it has no newline, and removes it.
    pub fn finish(&mut self, buffer: &mut VecView<u8>, each: &mut dyn FnMut(&[u8])) {
        if !mem::take(&mut self.is_rest) && !buffer.is_empty() {
            each(buffer);
        }
        buffer.clear();
    }
}

/// The place of the first newline in `text`.
///
/// Most of the time of `names` is spent here, so it looks at a word of bytes at once.
fn find_newline(text: &[u8]) -> Option<usize> {
    /// A 1 in each byte of a word.
    const ONES: usize = usize::MAX / 0xff;
    const NEWLINES: usize = ONES * b'\n' as usize;
    let mut rest = text;
    while let Some((word, others)) = rest.split_first_chunk::<{ size_of::<usize>() }>() {
        // A newline is a byte of 0 here.
        let word = usize::from_le_bytes(*word) ^ NEWLINES;
        // Subtracting 1 sets the top bit of a byte that was 0. The lowest bit that is set
        // belongs to the first such byte; borrows reach only bytes after it.
        let zeros = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if zeros != 0 {
            return Some(text.len() - rest.len() + zeros.trailing_zeros() as usize / 8);
        }
        rest = others;
    }
    let place = rest.iter().position(|byte| *byte == b'\n')?;
    Some(text.len() - rest.len() + place)
}
