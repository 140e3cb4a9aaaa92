//! Lines of a stream, which is read in pieces into a buffer of fixed size.
//!
//! A line that is longer than the buffer is passed on without its end.

use core::mem;

/// The state between two reads into the buffer.
#[derive(Default)]
pub struct Lines {
    /// Whether the buffer begins with the rest of a line that has been passed on already.
    is_rest: bool,
}

impl Lines {
    /// Calls `each` for every complete line in `text`, the content of the buffer, without its
    /// newline. If the buffer `is_full` and has no newline, passes all of it as a line that is
    /// cut. Returns the number of bytes that the caller must remove.
    pub fn take(&mut self, text: &[u8], is_full: bool, each: &mut dyn FnMut(&[u8])) -> usize {
        let mut rest = text;
        while let Some((line, others)) = split_line(rest) {
            if !mem::take(&mut self.is_rest) {
                each(line);
            }
            rest = others;
        }
        if is_full && rest.len() == text.len() {
            self.finish(text, each);
            self.is_rest = true;
            rest = b"";
        }
        text.len() - rest.len()
    }

    /// Calls `each` for the last line, if it has no newline.
    pub fn finish(&mut self, text: &[u8], each: &mut dyn FnMut(&[u8])) {
        if !mem::take(&mut self.is_rest) && !text.is_empty() {
            each(text);
        }
    }
}

/// Splits `text` at the first newline, which neither part includes.
fn split_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    match text.split_at_checked(find_newline(text)?)? {
        (line, [_, rest @ ..]) => Some((line, rest)),
        _ => None,
    }
}

/// The place of the first newline in `text`.
///
/// It looks at 16 bytes at once, because `names` spends most of its own time here.
fn find_newline(text: &[u8]) -> Option<usize> {
    /// A 1 in each byte.
    const ONES: u128 = u128::MAX / 0xff;
    const NEWLINES: u128 = ONES * b'\n' as u128;
    let (chunks, rest) = text.as_chunks();
    let mut place = 0;
    for bytes in chunks {
        // A newline is a byte of 0 here.
        let bytes = u128::from_le_bytes(*bytes) ^ NEWLINES;
        // Subtracting 1 sets the top bit of a byte that was 0. The lowest bit that is set
        // belongs to the first such byte; borrows reach only bytes after it.
        let zeros = bytes.wrapping_sub(ONES) & !bytes & (ONES << 7);
        if zeros != 0 {
            return Some(place + zeros.trailing_zeros() as usize / 8);
        }
        place += size_of::<u128>();
    }
    Some(place + rest.iter().position(|byte| *byte == b'\n')?)
}
