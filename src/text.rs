//! Numbers and bytes as text, written to whatever takes bytes.
//!
//! `core::fmt` would cost more than the rest of the minimal build together, so
//! the few forms that the program prints are made here.

use core::slice;

/// Takes bytes, in order: a buffer before a descriptor, or a test's `Vec`.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

impl dyn Sink + '_ {
    /// Appends `value` in decimal.
    pub fn decimal(&mut self, value: u64) {
        self.put(digits(value, 10, 1, &mut [0; 32]));
    }

    /// Appends `value` in lower-case hexadecimal, without prefix, with leading
    /// zeros up to `width` digits (at most 16).
    pub fn hex(&mut self, value: u64, width: usize) {
        self.put(digits(value, 16, width, &mut [0; 32]));
    }

    /// Appends `bytes` as they are while they are printable ASCII or newlines,
    /// and any other byte as `\xNN`: no text drives the terminal it is shown on.
    pub fn shown(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let b' '..=b'~' | b'\n' = byte {
                self.put(slice::from_ref(byte));
            } else {
                self.put(b"\\x");
                self.hex(u64::from(*byte), 2);
            }
        }
    }
}

/// `value` in this base, lower-case, with leading zeros up to `width` digits, at the
/// end of `room`, whose size is a power of two. What does not fit is left out.
#[inline(never)] // A copy takes more than a call.
pub fn digits<const ROOM: usize>(
    mut value: u64,
    base: u64,
    width: usize,
    room: &mut [u8; ROOM],
) -> &[u8] {
    let mut first = ROOM;
    for place in room.iter_mut().rev() {
        let digit = (value % base) as u8;
        *place = digit + if digit < 10 { b'0' } else { b'a' - 10 };
        value /= base;
        first -= 1;
        if value == 0 && ROOM - first >= width {
            break;
        }
    }
    // The remainder tells the compiler that it is in range.
    room.get(first % ROOM..).unwrap_or_default()
}

/// Takes what fits and drops the rest: one that is full afterwards may lack bytes.
impl<const ROOM: usize> Sink for heapless::Vec<u8, ROOM> {
    fn put(&mut self, bytes: &[u8]) {
        let room = self.capacity() - self.len();
        let (fits, _) = bytes.split_at_checked(room).unwrap_or((bytes, b""));
        // It fits, as its name says.
        let _ = self.extend_from_slice(fits);
    }
}

/// What lies before and behind the first `mark`; all and nothing, without one.
#[inline(never)] // A call takes 20 bytes, the loop 60.
pub fn split(text: &[u8], mark: u8) -> (&[u8], &[u8]) {
    let mut behind = text;
    while let [first, others @ ..] = behind {
        if *first == mark {
            let length = text.len() - behind.len();
            return (text.split_at_checked(length).unwrap_or_default().0, others);
        }
        behind = others;
    }
    (text, b"")
}

/// Takes the decimal digits at the head of `text` off it. `None` without one, or if
/// they stand for 2^64 or more.
#[inline]
pub fn number(text: &mut &[u8]) -> Option<u64> {
    let mut value = None;
    while let [first, others @ ..] = *text
        && let digit @ 0..10 = first.wrapping_sub(b'0')
    {
        let tens = value.unwrap_or(0u64).checked_mul(10)?;
        value = Some(tens.checked_add(digit.into())?);
        *text = others;
    }
    value
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
