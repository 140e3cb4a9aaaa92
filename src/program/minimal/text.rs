//! Texts with values in them, in a form that takes little to print.
//!
//! A text is written as a list of strings. One of a single byte below [`VALUES`] is
//! the number of a value; any other stands for itself. The compiler packs the list,
//! so that nothing has to be searched for: a value is its number, a string its length,
//! counted from [`VALUES`], and then itself.

/// Values have numbers below this.
pub(super) const VALUES: usize = 8;

/// The pieces of a text are at most so many.
pub(super) const MOST_PIECES: usize = 12;

/// Packs strings, literal or constant.
macro_rules! text {
    ($($part:tt)*) => {{
        const PARTS: &[&str] = &[$($part),*];
        const PACKED: [u8; $crate::minimal::text::packed_length(PARTS)] =
            $crate::minimal::text::pack(PARTS);
        &PACKED
    }};
}
pub(super) use text;

/// How long the packed form of `parts` is.
pub(super) const fn packed_length(mut parts: &[&str]) -> usize {
    let mut length = 0;
    while let [part, others @ ..] = parts {
        length += if is_value(part) { 1 } else { 1 + part.len() };
        parts = others;
    }
    length
}

/// The packed form of `parts`.
#[expect(clippy::indexing_slicing)] // It is the compiler that would panic.
pub(super) const fn pack<const LENGTH: usize>(mut parts: &[&str]) -> [u8; LENGTH] {
    assert!(parts.len() <= MOST_PIECES);
    let mut packed = [0; LENGTH];
    let mut end = 0;
    while let [part, others @ ..] = parts {
        if !is_value(part) {
            assert!(part.len() + VALUES <= u8::MAX as usize);
            packed[end] = (part.len() + VALUES) as u8;
            end += 1;
        }
        let mut bytes = part.as_bytes();
        while let [byte, behind @ ..] = bytes {
            packed[end] = *byte;
            end += 1;
            bytes = behind;
        }
        parts = others;
    }
    packed
}

const fn is_value(part: &str) -> bool {
    matches!(part.as_bytes(), [number] if (*number as usize) < VALUES)
}

/// The pieces of a packed text with these `values` in it.
pub(super) fn pieces<'a>(
    mut text: &'a [u8],
    values: &'a [&'a [u8]],
) -> impl Iterator<Item = &'a [u8]> {
    core::iter::from_fn(move || {
        let (first, behind) = text.split_first()?;
        let first = *first as usize;
        let piece;
        (piece, text) = match values.get(first) {
            Some(value) => (*value, behind),
            None => behind.split_at_checked(first - VALUES)?,
        };
        Some(piece)
    })
}
