//! Numbers and bytes as text, without `core::fmt`.
//!
//! `core::fmt` would add about 2 KB to the compressed executable, so the few
//! text forms that the program prints are made here:
//!
//! ```
//! # use vm_anon_name::{format::Hex, put};
//! let mut line = heapless::Vec::<u8, 64>::new();
//! put!(&mut line, "mmap addr: {} size: {}\n", Hex(0x1000), 4096u64);
//! assert_eq!(line, b"mmap addr: 0x1000 size: 4096\n");
//! ```

use crate::{errno, scan::split};
use core::{ffi::CStr, slice};

/// A destination for bytes, such as the console's buffer.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

/// Appends a text to a [`Sink`], each `{}` replaced by the next value. A missing or
/// surplus value does not compile.
#[macro_export]
macro_rules! put {
    ($out:expr, $text:literal $(, $value:expr)* $(,)?) => {{
        const VALUES: &[&str] = &[$(stringify!($value)),*];
        const { assert!($crate::format::placeholders($text) == VALUES.len()) }
        $crate::format::put_values(
            &mut *$out,
            $text,
            &[$($crate::format::Value::from($value)),*],
        )
    }};
}

/// A value in a text.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// Bytes as they are.
    Text(&'a [u8]),
    /// See [`Escaped`].
    Escaped(&'a [u8]),
    /// A number in decimal.
    Decimal(u64),
    /// See [`Hex`].
    Hex(u64),
    /// See [`Errno`].
    Errno(i32),
}

/// A number in lower-case hexadecimal, with the prefix `0x`.
#[derive(Clone, Copy)]
pub struct Hex(pub u64);

/// Bytes of unknown origin: printable ASCII and newlines as they are, any other
/// byte as `\xNN`, so that no text controls the terminal that shows it.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

/// An error number with its name, such as `EINVAL (22)`.
#[derive(Clone, Copy)]
pub struct Errno(pub i32);

macro_rules! value_from {
    ($($Type:ty: $value:ident => $converted:expr;)*) => {
        $(impl<'a> From<$Type> for Value<'a> {
            fn from($value: $Type) -> Self {
                $converted
            }
        })*
    };
}

value_from! {
    &'a [u8]: text => Value::Text(text);
    &'a str: text => Value::Text(text.as_bytes());
    &'a CStr: text => Value::Text(text.to_bytes());
    Escaped<'a>: text => Value::Escaped(text.0);
    u64: number => Value::Decimal(number);
    u32: number => Value::Decimal(number.into());
    u8: number => Value::Decimal(number.into());
    usize: number => Value::Decimal(number as u64);
    Hex: number => Value::Hex(number.0);
    Errno: number => Value::Errno(number.0);
}

/// The number of `{}` in `text`.
pub const fn placeholders(text: &str) -> usize {
    let mut count = 0;
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'{' {
            count += 1;
        }
        rest = after;
    }
    count
}

/// Appends `text` to `out`, each `{}` replaced by the next of `values`, which are as
/// many. [`put!`] checks that.
pub fn put_values(out: &mut impl Sink, text: &str, values: &[Value]) {
    let mut rest = text.as_bytes();
    for value in values {
        let (before, after) = split(rest, b'{');
        out.put(before);
        value.put(out);
        rest = after.split_at(1).1; // The other brace.
    }
    out.put(rest);
}

impl Value<'_> {
    fn put(self, out: &mut impl Sink) {
        match self {
            Value::Text(text) => out.put(text),
            Value::Escaped(text) => put_escaped(text, out),
            Value::Decimal(number) => put_decimal(number, out),
            Value::Hex(number) => {
                out.put(b"0x");
                out.put(digits(number, 16, 1, &mut [0; MAX_DIGITS]));
            }
            Value::Errno(number) => {
                out.put(errno::name(number));
                out.put(b" (");
                put_decimal(number as u64, out);
                out.put(b")");
            }
        }
    }
}

/// Appends `number` in decimal.
pub fn put_decimal(number: u64, out: &mut impl Sink) {
    out.put(digits(number, 10, 1, &mut [0; MAX_DIGITS]));
}

fn put_escaped(text: &[u8], out: &mut impl Sink) {
    for byte in text {
        if let b' '..=b'~' | b'\n' = byte {
            out.put(slice::from_ref(byte));
        } else {
            out.put(b"\\x");
            out.put(digits((*byte).into(), 16, 2, &mut [0; MAX_DIGITS]));
        }
    }
}

/// A sink that passes bytes on as [`Escaped`] shows them.
pub struct Escaping<'a, S>(
    /// The destination.
    pub &'a mut S,
);

impl<S: Sink> Sink for Escaping<'_, S> {
    fn put(&mut self, bytes: &[u8]) {
        put_escaped(bytes, self.0);
    }
}

/// Appends as much as fits and drops the rest. A full vector may lack bytes.
impl<const N: usize> Sink for heapless::Vec<u8, N> {
    fn put(&mut self, bytes: &[u8]) {
        let (fits, _) = bytes
            .split_at_checked(self.capacity() - self.len())
            .unwrap_or((bytes, b""));
        // It cannot fail, because `fits` is no longer than the free space.
        let _ = self.extend_from_slice(fits);
    }
}

/// The number of decimal digits of `u64::MAX`.
pub const MAX_DIGITS: usize = 20;

/// Writes `value` in `base` (10 or 16, in lower case), with leading zeros up to
/// `width` digits, to the end of `buffer`, and returns the digits.
///
/// `width` is at most [`MAX_DIGITS`].
#[inline(never)]
pub fn digits(mut value: u64, base: u64, width: usize, buffer: &mut [u8; MAX_DIGITS]) -> &[u8] {
    let mut count = 0;
    for place in buffer.iter_mut().rev() {
        let digit = (value % base) as u8;
        *place = digit + if digit < 10 { b'0' } else { b'a' - 10 };
        value /= base;
        count += 1;
        if value == 0 && count >= width {
            break;
        }
    }
    buffer.split_at(MAX_DIGITS.saturating_sub(count)).1
}
