//! Labels of VMAs: their kinds, and the rows that they are counted in.

use crate::{
    format::Sink,
    maps::name,
    scan::{after, split},
};
use heapless::Vec;

/// The length of the longest label of named memory, `[anon_shmem:NAME]`. Of longer paths,
/// the end is shown.
pub const MAX_LENGTH: usize = 12 + crate::name::MAX_LENGTH + 1;

/// The row of VMAs without a label begins with this, and their permissions follow. No label
/// of the kernel begins with a parenthesis.
const UNNAMED: &[u8] = b"(no name) ";

/// The row of the labels for which there was no row left.
pub const OTHERS: &[u8] = b"(other names)";

/// What precedes the end of a path that is too long.
const CUT: &[u8] = b"...";

/// The kind of a row, as a word.
pub fn kind(label: &[u8]) -> &[u8] {
    match label {
        // `anon` of `[anon:NAME]`, or `anon_shmem`.
        _ if name(label).is_some() => after(split(label, b':').0, 1),
        [b'/', ..] => b"file",
        [b'(', ..] => b"none",
        _ => b"special",
    }
}

/// The row that a VMA is counted in.
#[derive(Debug)]
pub struct RowKey {
    /// A hash of the whole text.
    pub hash: u64,
    /// The text that is shown.
    pub text: Vec<u8, MAX_LENGTH>,
}

impl RowKey {
    /// The row of `label`. VMAs without one are told apart by their permissions. With
    /// `folds`, the digits at the end of a name become an asterisk, because some programs
    /// number their names, such as those of the stacks of threads.
    pub fn new(label: &[u8], permissions: &[u8; 4], folds: bool) -> Self {
        let (first, second): (&[u8], &[u8]) = match label {
            [] => (UNNAMED, permissions),
            _ if folds => fold(label),
            _ => (label, b""),
        };
        // FNV-1a.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in first {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
        let mut text = Vec::new();
        let mut shown = first;
        if first.len() > MAX_LENGTH - second.len() {
            text.put(CUT);
            let space = MAX_LENGTH - second.len() - CUT.len();
            shown = after(first, first.len() - space);
        }
        text.put(shown);
        text.put(second);
        RowKey { hash, text }
    }
}

/// Splits the label of a numbered name into what precedes the number, and what replaces it.
/// A number after a dot is part of a version, such as that of `libc.so.6`.
/// An asterisk that belongs to the name gets a backslash, which no name contains.
fn fold(label: &[u8]) -> (&[u8], &'static [u8]) {
    let (Some(_), [inner @ .., _]) = (name(label), label) else {
        return (label, b"");
    };
    let mut rest = inner;
    while let [before @ .., b'0'..=b'9'] = rest {
        rest = before;
    }
    match rest {
        [.., b'.'] => (label, b""),
        _ if rest.len() < inner.len() => (rest, b"*]"),
        [before @ .., b'*'] => (before, b"\\*]"),
        _ => (label, b""),
    }
}
