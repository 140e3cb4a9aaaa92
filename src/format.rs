//! Numbers and bytes as text, without `core::fmt`.
//!
//! `core::fmt` would add about 2 KB to the compressed executable, so this module
//! implements the few formats that the program prints:
//!
//! ```
//! # use vm_anon_name::put;
//! let mut line = heapless::Vec::<u8, 64>::new();
//! put!(&mut line, "mmap addr: {hex} size: {}\n", 0x1000u64, 4096u64);
//! assert_eq!(line, b"mmap addr: 0x1000 size: 4096\n");
//! ```

use crate::{
    errno,
    scan::{after, before, split},
};
use core::ffi::CStr;

/// A destination for bytes, such as the console's buffer.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

/// Appends a text to a [`Sink`], each placeholder replaced by the next value.
///
/// | placeholder | value | example |
/// |---|---|---|
/// | `{}` | bytes, escaped unless they are printable ASCII | `a\x0ab` |
/// | `{}` | a number in decimal | `31` |
/// | `{hex}` | a number in hexadecimal | `0x1f` |
/// | `{errno}` | an error number with its name | `EINVAL (22)` |
///
/// Values are escaped, so no value can start a new line or control the terminal.
/// The compiler checks the text: a missing or surplus value does not compile, nor
/// does a byte that is neither printable ASCII nor a newline.
///
/// ```compile_fail,E0080
/// # let mut line = heapless::Vec::<u8, 64>::new();
/// vm_anon_name::put!(&mut line, "{} of {}", 1u8); // a value is missing
/// ```
///
/// ```compile_fail,E0080
/// # let mut line = heapless::Vec::<u8, 64>::new();
/// vm_anon_name::put!(&mut line, "{}", 1u8, 2u8); // a value too many
/// ```
///
/// ```compile_fail,E0080
/// # let mut line = heapless::Vec::<u8, 64>::new();
/// vm_anon_name::put!(&mut line, "{:x}", 1u8); // not a placeholder
/// ```
///
/// ```compile_fail,E0080
/// # let mut line = heapless::Vec::<u8, 64>::new();
/// vm_anon_name::put!(&mut line, "\t"); // a control character
/// ```
#[macro_export]
macro_rules! put {
    ($out:expr, $text:literal $(,)?) => {{
        const { assert!($crate::format::placeholders($text) == 0) }
        $crate::format::Sink::put(&mut *$out, $text.as_bytes())
    }};
    ($out:expr, $text:literal $(, $value:expr)* $(,)?) => {
        $crate::format::put_values(
            &mut *$out,
            $crate::checked!($text $(, $value)*),
            &[$($crate::format::Value::from($value)),*],
        )
    };
}

/// The text of [`put!`], which does not compile unless it has a placeholder for each value.
#[macro_export]
macro_rules! checked {
    ($text:literal $(, $value:expr)*) => {{
        const VALUES: &[&str] = &[$(stringify!($value)),*];
        const { assert!($crate::format::placeholders($text) == VALUES.len()) }
        $text
    }};
}

/// A value in the text of [`put!`].
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Bytes of any origin.
    Text(&'a [u8]),
    /// A number, which the placeholder formats.
    Number(u64),
}

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
    u64: number => Value::Number(number);
    u32: number => Value::Number(number.into());
    u8: number => Value::Number(number.into());
    usize: number => Value::Number(number as u64);
}

/// The number of placeholders in `text`.
///
/// # Panics
///
/// If `text` contains any other `{`, or a byte that is neither printable ASCII nor
/// a newline.
pub const fn placeholders(text: &str) -> usize {
    let mut count = 0;
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match rest {
            [b'{', b'}', ..]
            | [b'{', b'h', b'e', b'x', b'}', ..]
            | [b'{', b'e', b'r', b'r', b'n', b'o', b'}', ..] => count += 1,
            [b'{', ..] => panic!("unknown placeholder"),
            _ => assert!(matches!(first, b' '..=b'~' | b'\n'), "not printable"),
        }
        rest = after;
    }
    count
}

/// Appends `text` to `out`, each placeholder replaced by the next of `values`.
/// [`put!`] checks that there is one value for each placeholder.
pub fn put_values(out: &mut impl Sink, text: &str, values: &[Value]) {
    let mut rest = text.as_bytes();
    for value in values {
        let (piece, others) = split(rest, b'{');
        out.put(piece);
        let (form, others) = split(others, b'}');
        rest = others;
        match (*value, form) {
            (Value::Text(text), _) => put_printable(text, b' ', out),
            (Value::Number(number), []) => put_decimal(number, out),
            (Value::Number(number), [b'h', ..]) => {
                out.put(b"0x");
                out.put(digits(number, 16, 1, &mut [0; MAX_DIGITS]));
            }
            (Value::Number(number), _) => {
                put!(out, "{} ({})", errno::name(number as i32), number);
            }
        }
    }
    out.put(rest);
}

/// Appends `number` in decimal.
pub fn put_decimal(number: u64, out: &mut impl Sink) {
    out.put(digits(number, 10, 1, &mut [0; MAX_DIGITS]));
}

/// Appends `sign` and `number`, with spaces before them up to `width`, but at least one.
pub fn put_right(sign: &[u8], number: u64, width: usize, out: &mut impl Sink) {
    let mut buffer = [0; MAX_DIGITS];
    let digits = digits(number, 10, 1, &mut buffer);
    put_before(sign, width.saturating_sub(digits.len()), out);
    out.put(digits);
}

/// Appends `text`, with spaces before it up to `width`, but at least one.
pub fn put_before(text: &[u8], width: usize, out: &mut impl Sink) {
    const SPACES: &[u8] = b"                                        ";
    let spaces = width.saturating_sub(text.len()).max(1);
    out.put(before(SPACES, spaces.min(SPACES.len())));
    out.put(text);
}

/// Appends `text`. Each byte that `is_special` becomes `prefix` and its number in hexadecimal, with
/// `width` digits.
pub fn put_escaped(
    text: &[u8],
    is_special: impl Fn(&u8) -> bool,
    (prefix, width): (&[u8], usize),
    out: &mut impl Sink,
) {
    let mut rest = text;
    while let Some(place) = rest.iter().position(&is_special)
        && let [byte, others @ ..] = after(rest, place)
    {
        out.put(before(rest, place));
        out.put(prefix);
        out.put(digits(u64::from(*byte), 16, width, &mut [0; MAX_DIGITS]));
        rest = others;
    }
    out.put(rest);
}

/// Appends `text`. Bytes are escaped unless they are printable ASCII or `plain`.
fn put_printable(text: &[u8], plain: u8, out: &mut impl Sink) {
    let is_special = |byte: &u8| !matches!(byte, b' '..=b'~') && *byte != plain;
    put_escaped(text, is_special, (b"\\x", 2), out);
}

/// A sink for lines of unknown origin. It escapes them as [`put!`] escapes a value,
/// except for newlines, which it passes on.
pub struct Escaping<'a, S>(
    /// The destination.
    pub &'a mut S,
);

impl<S: Sink> Sink for Escaping<'_, S> {
    fn put(&mut self, bytes: &[u8]) {
        put_printable(bytes, b'\n', self.0);
    }
}

/// Appends as much as fits and drops the rest.
impl<const N: usize> Sink for heapless::Vec<u8, N> {
    fn put(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let _ = self.push(*byte); // It fails if the vector is full.
        }
    }
}

/// The number of decimal digits of `u64::MAX`.
pub const MAX_DIGITS: usize = 20;

/// Writes `value` in `base` (10 or 16, in lower case), with leading zeros up to
/// `width` digits, to the end of `buffer`, and returns the digits.
///
/// `width` is at most [`MAX_DIGITS`].
#[inline(never)]
pub fn digits(mut value: u64, base: u8, width: usize, buffer: &mut [u8; MAX_DIGITS]) -> &[u8] {
    let base = u64::from(base);
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
    after(buffer, MAX_DIGITS.saturating_sub(count))
}
