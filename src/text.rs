//! Numbers and bytes as text, written to whatever takes bytes.
//!
//! `core::fmt` would cost more than the rest of the minimal build together, so
//! the few forms that the program prints are made here.

/// Takes bytes, in order: a buffer before a descriptor, or a test's `Vec`.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

impl dyn Sink + '_ {
    /// Appends `value` in decimal.
    pub fn decimal(&mut self, value: u64) {
        self.digits(value, 10, 1);
    }

    /// Appends `value` in lower-case hexadecimal, without prefix, with leading
    /// zeros up to `width` digits (at most 16).
    pub fn hex(&mut self, value: u64, width: usize) {
        self.digits(value, 16, width);
    }

    /// Appends `0x` and `value` in lower-case hexadecimal.
    pub fn address(&mut self, value: u64) {
        self.put(b"0x");
        self.hex(value, 1);
    }

    /// Appends `bytes` as they are while they are printable ASCII or newlines,
    /// and any other byte as `\xNN`: no text drives the terminal it is shown on.
    pub fn shown(&mut self, bytes: &[u8]) {
        for piece in bytes.chunk_by(|a, b| is_plain(a) == is_plain(b)) {
            if piece.first().is_some_and(is_plain) {
                self.put(piece);
            } else {
                for byte in piece {
                    self.put(b"\\x");
                    self.hex(u64::from(*byte), 2);
                }
            }
        }
    }

    fn digits(&mut self, mut value: u64, base: u64, width: usize) {
        let mut text = [b'0'; 20]; // u64::MAX has 20 decimal digits.
        let mut length = 0;
        for place in text.iter_mut().rev() {
            if value == 0 && length >= width {
                break;
            }
            let digit = (value % base) as u8;
            *place = digit + if digit < 10 { b'0' } else { b'a' - 10 };
            value /= base;
            length += 1;
        }
        self.put(text.split_at(text.len() - length).1);
    }
}

fn is_plain(byte: &u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n')
}

/// Passes on what it takes as [`shown`](#method.shown) writes it.
pub struct Shown<'a>(
    /// Where to.
    pub &'a mut dyn Sink,
);

impl Sink for Shown<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.0.shown(bytes);
    }
}
