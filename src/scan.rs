//! Splitting bytes, reading decimal numbers and looking up words.

#![allow(clippy::unwrap_used)] // For the reason that `before` gives.

/// The bytes of `text` before `place`. Panics if `text` is shorter.
///
/// The whole program shares this function, so a panic names this line, not the
/// caller's: the panic location of each caller would take 12 bytes of the compressed
/// archive. The panic of a slice expression would add `core::fmt` to the program.
pub fn before(text: &[u8], place: usize) -> &[u8] {
    text.get(..place).unwrap()
}

/// The bytes of `text` from `place` on. Panics if `text` is shorter.
pub fn after(text: &[u8], place: usize) -> &[u8] {
    text.get(place..).unwrap()
}

/// Splits `text` at the first `mark`, which neither part includes. Without a
/// mark, returns `text` and an empty slice.
#[inline(never)]
pub fn split(text: &[u8], mark: u8) -> (&[u8], &[u8]) {
    #[allow(clippy::indexing_slicing)] // `place` is within the slice.
    match text.iter().position(|byte| *byte == mark) {
        Some(place) => (&text[..place], &text[place + 1..]),
        None => (text, b""),
    }
}

/// Line `number` of `text`, counted from 0; empty if there are fewer.
pub fn line(text: &[u8], number: usize) -> &[u8] {
    let mut rest = text;
    for _ in 0..number {
        rest = split(rest, b'\n').1;
    }
    split(rest, b'\n').0
}

/// Removes the decimal digits at the start of `text` and returns their value.
/// `None` if there is no digit, or if the value is 2^64 or more. After such an overflow, `text`
/// begins within the number.
pub fn number(text: &mut &[u8]) -> Option<u64> {
    let mut value = None;
    while let [first, rest @ ..] = *text
        && let digit @ 0..10 = first.wrapping_sub(b'0')
    {
        let tens = value.unwrap_or(0u64).checked_mul(10)?;
        value = Some(tens.checked_add(digit.into())?);
        *text = rest;
    }
    value
}

/// Splits `text` before the decimal digits at its end.
pub fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let mut rest = text;
    while let [before @ .., b'0'..=b'9'] = rest {
        rest = before;
    }
    (rest, after(text, rest.len()))
}

/// Reads all of `text` as a decimal number below 2^32; `None` otherwise.
pub fn number_32(text: &[u8]) -> Option<u32> {
    let mut rest = text;
    let value = number(&mut rest).filter(|_| rest.is_empty())?;
    u32::try_from(value).ok()
}

/// The value that belongs to `word` in `table`.
///
/// A `match` on byte strings would compile to code for every single byte.
pub fn look_up<T: Copy>(table: &[(&str, T)], word: &[u8]) -> Option<T> {
    let entry = table.iter().find(|(name, _)| name.as_bytes() == word);
    entry.map(|(_, value)| *value)
}
