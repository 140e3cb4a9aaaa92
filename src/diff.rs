//! What changed between two maps, in diff(1)'s normal format.
//!
//! A general diff searches for a longest common subsequence. Maps need none:
//! their lines are unique and ordered by start address, so the lines that both
//! files hold come in the same order in both, and *all* of them make up the one
//! longest common subsequence. Merging the two files by start address finds it
//! in one pass, keeping nothing but positions, and what is printed is what GNU
//! diff prints (`tests/host/diff.rs` compares the two):
//!
//! ```text
//! while either file has lines:
//!     both heads equal          -> the hunk that was open ends; step over both
//!     old head begins first     -> it was removed: it joins the hunk
//!     new head begins first     -> it was added: it joins the hunk
//!     both begin together       -> it was changed: both join the hunk
//! ```

use crate::{maps::Vma, text::Sink};
use core::slice;

/// Why two files cannot be compared: one is not a whole maps file.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub struct Malformed {
    /// The line's number in its file, counted from 1.
    pub line: u64,
}

/// Writes the difference between `old` and `new` to `out`, each line after
/// `indent`. Tells whether there is any; there is none between equal files.
///
/// # Errors
///
/// A line that is no maps line, that begins below the end of the one before it, or
/// that has no newline: nothing has been concluded about the lines from there.
pub fn normal(
    old: &[u8],
    new: &[u8],
    indent: &[u8],
    out: &mut dyn Sink,
) -> Result<bool, Malformed> {
    let (mut old, mut new) = (Side::new(old), Side::new(new));
    let mut differs = false;
    loop {
        old.step();
        new.step();
        let (removed, added) = (old, new);
        while old.line != new.line {
            let (old_start, new_start) = (old.start, new.start);
            if old_start <= new_start {
                old.step();
            }
            if new_start <= old_start {
                new.step();
            }
        }
        if let Some(line) = old.malformed().or(new.malformed()) {
            return Err(Malformed { line });
        }
        let (removed, added) = (removed.up_to(&old), added.up_to(&new));
        if !removed.bytes.is_empty() || !added.bytes.is_empty() {
            differs = true;
            print_hunk(&removed, &added, indent, out);
        }
        if old.line.is_empty() {
            return Ok(differs);
        }
    }
}

/// One of the two files, read up to its head line; at first to before that.
#[derive(Clone, Copy)]
struct Side<'a> {
    /// From the head line on.
    rest: &'a [u8],
    /// From behind it on.
    behind: &'a [u8],
    /// The head line, with its newline; empty at the end, and before a line that is malformed.
    line: &'a [u8],
    /// Its number, counted from 1.
    number: u64,
    /// Where its VMA starts; behind all others where there is no head line.
    start: u64,
    end: u64,
}

/// Lines of one file.
struct Hunk<'a> {
    bytes: &'a [u8],
    /// Their numbers. Of no lines, the last is the one before the first.
    first: u64,
    last: u64,
}

impl<'a> Side<'a> {
    fn new(file: &'a [u8]) -> Self {
        Side {
            rest: file,
            behind: file,
            line: b"",
            number: 0,
            start: 0,
            end: 0,
        }
    }

    /// Goes on to the next line.
    #[inline(never)] // It is called four times.
    fn step(&mut self) {
        self.rest = self.behind;
        self.number += 1;
        (self.line, self.start) = (b"", u64::MAX);
        if let Some(vma) = Vma::take(&mut self.behind)
            && let length = self.rest.len() - self.behind.len()
            && let Some((line @ [.., b'\n'], _)) = self.rest.split_at_checked(length)
            && vma.start >= self.end
        {
            (self.line, self.start, self.end) = (line, vma.start, vma.end);
        }
    }

    /// The number of the line that is malformed, if that is why there is no head line.
    fn malformed(&self) -> Option<u64> {
        (self.line.is_empty() && !self.rest.is_empty()).then_some(self.number)
    }

    /// The lines from this head line on, up to where it is `later`.
    fn up_to(&self, later: &Self) -> Hunk<'a> {
        let length = self.rest.len() - later.rest.len();
        Hunk {
            bytes: self.rest.split_at_checked(length).unwrap_or_default().0,
            first: self.number,
            last: later.number - 1,
        }
    }
}

fn print_hunk(removed: &Hunk, added: &Hunk, indent: &[u8], out: &mut dyn Sink) {
    let letter = match (removed.bytes, added.bytes) {
        (b"", _) => b"a",
        (_, b"") => b"d",
        _ => b"c",
    };
    out.put(indent);
    print_range(removed, out);
    out.put(letter);
    print_range(added, out);
    out.put(b"\n");
    print_lines(removed, b"< ", indent, out);
    if letter == b"c" {
        out.put(indent);
        out.put(b"---\n");
    }
    print_lines(added, b"> ", indent, out);
}

fn print_range(hunk: &Hunk, out: &mut dyn Sink) {
    if hunk.first < hunk.last {
        out.decimal(hunk.first);
        out.put(b",");
    }
    out.decimal(hunk.last);
}

fn print_lines(hunk: &Hunk, mark: &[u8], indent: &[u8], out: &mut dyn Sink) {
    let mut last = b'\n';
    for byte in hunk.bytes {
        if last == b'\n' {
            out.put(indent);
            out.put(mark);
        }
        out.put(slice::from_ref(byte));
        last = *byte;
    }
}
