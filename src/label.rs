//! Labels of VMAs: their kinds, and the rows that they are counted in.

use crate::{
    maps::name,
    scan::{after, split, split_digits},
};

/// The length of the longest label of named memory, `[anon_shmem:NAME]`. A longer path loses
/// its beginning.
pub const MAX_LENGTH: usize = 12 + crate::name::MAX_LENGTH + 1;

/// The text of a row of VMAs without a label, up to their permissions. No label of the kernel
/// begins with a parenthesis.
const UNNAMED: &[u8] = b"(no name) ";

/// The text of the row for labels without a row of their own.
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
pub struct RowKey<'l> {
    /// A hash of what tells most rows apart: the permissions, or the first part of the text.
    pub hash: u32,
    /// The text that is shown, in two parts.
    pub text: [&'l [u8]; 2],
}

impl<'l> RowKey<'l> {
    /// The row of `label`. VMAs without one are told apart by their permissions. With
    /// `folds`, the digits at the end of a name become an asterisk, because some programs
    /// number their names; glibc does so for the stacks of its threads.
    pub fn new(label: &'l [u8], permissions: &'l [u8; 4], folds: bool) -> Self {
        let [first, last] = match label {
            [] => [UNNAMED, permissions],
            _ if folds => fold(label),
            _ => [label, b""],
        };
        let distinct: &[u8] = match label {
            [] => permissions,
            _ => first,
        };
        // FNV-1a.
        let hash = distinct.iter().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x100_0193)
        });
        let text = match first.len() + last.len() <= MAX_LENGTH {
            true => [first, last],
            false => [CUT, after(label, label.len() + CUT.len() - MAX_LENGTH)],
        };
        RowKey { hash, text }
    }

    /// Whether this is the row with `text`.
    pub fn has_text(&self, text: &[u8]) -> bool {
        let [first, last] = self.text;
        text.strip_prefix(first) == Some(last)
    }
}

/// Splits the label of a numbered name into what precedes the number, and what replaces it.
/// A number after a dot is part of a version, such as that of `libc.so.6`.
/// An asterisk that belongs to the name gets a backslash, which no name contains.
fn fold(label: &[u8]) -> [&[u8]; 2] {
    let (Some(_), [inner @ .., _]) = (name(label), label) else {
        return [label, b""];
    };
    match split_digits(inner) {
        ([.., b'.'], _) => [label, b""],
        (rest, [_, ..]) => [rest, b"*]"],
        ([before @ .., b'*'], _) => [before, b"\\*]"],
        _ => [label, b""],
    }
}
