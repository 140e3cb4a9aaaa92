//! Whole lines, out of a stream that is cut anywhere.
//!
//! Reads of `/proc/PID/maps` end where the kernel's buffer or the reader's did,
//! with 16K and 64K pages mostly inside a line (`seq_read_iter` in `fs/seq_file.c`).

use heapless::Vec;

/// The longest line that is kept whole. A path has at most 4096 bytes.
pub const LONGEST: usize = 4608;

/// Bytes that have been read, up to the end of the line that is not there yet.
pub struct Lines {
    bytes: Vec<u8, LONGEST>,
    /// The line that is being read has lost its beginning, and is no line.
    cut: bool,
}

impl Lines {
    /// Nothing read yet.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Lines {
            bytes: Vec::new(),
            cut: false,
        }
    }

    /// Where to read to: what comes is to be appended. There is always room.
    pub fn room(&mut self) -> &mut heapless::VecView<u8> {
        if self.bytes.is_full() {
            // Not one newline in all that: it is no line of anything known.
            self.bytes.clear();
            self.cut = true;
        }
        &mut self.bytes
    }

    /// Hands over each whole line, without its newline, and keeps the rest. Lines
    /// that are too long are left out.
    pub fn each(&mut self, with: &mut dyn FnMut(&[u8])) {
        let mut rest: &[u8] = &self.bytes;
        while let Some(length) = rest.iter().position(|b| *b == b'\n')
            && let Some((line, behind)) = rest.split_at_checked(length)
        {
            if !core::mem::take(&mut self.cut) {
                with(line);
            }
            rest = behind.split_first().map_or(b"", |(_, behind)| behind);
        }
        // What is left moves to the front.
        let kept = rest.len();
        let from = self.bytes.len() - kept;
        for index in 0..kept {
            if let Some(byte) = self.bytes.get(from + index).copied()
                && let Some(place) = self.bytes.get_mut(index)
            {
                *place = byte;
            }
        }
        self.bytes.truncate(kept);
    }
}
