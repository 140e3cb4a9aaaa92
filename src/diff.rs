//! What changed between two maps, in diff(1)'s normal format.
//!
//! A general diff searches for a longest common subsequence. Maps need none:
//! their lines are unique and ordered by start address, so the lines that both
//! files hold come in the same order in both, and *all* of them make up the one
//! longest common subsequence. Merging the two files by start address finds it
//! in one pass, keeping nothing but positions, and what is printed is what GNU
//! diff prints (`tests/core/diff.rs` compares the two):
//!
//! ```text
//! while either file has lines:
//!     both heads equal          -> the hunk that was open ends; step over both
//!     old head begins first     -> it was removed: it joins the hunk
//!     new head begins first     -> it was added: it joins the hunk
//!     both begin together       -> it was changed: both join the hunk
//! ```

use crate::{
    maps::Vma,
    text::{Sink, Value::Number, split},
};

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
/// A line that is no maps line, that does not begin above the one before it, or
/// that has no newline: nothing has been concluded about the lines from there.
pub fn normal(
    old: &[u8],
    new: &[u8],
    indent: &[u8],
    out: &mut dyn Sink,
) -> Result<bool, Malformed> {
    let mut old = Side::new(old)?;
    let mut new = Side::new(new)?;
    let mut differs = false;
    loop {
        let (removed, added) = (old.open_hunk(), new.open_hunk());
        while (old.start, old.line) != (new.start, new.line) {
            let (old_start, new_start) = (old.start, new.start);
            if old_start <= new_start {
                old.step()?;
            }
            if new_start <= old_start {
                new.step()?;
            }
        }
        let (removed, added) = (old.close_hunk(removed), new.close_hunk(added));
        if removed.count + added.count > 0 {
            differs = true;
            print_hunk(&removed, &added, indent, out);
        }
        if old.start == END {
            return Ok(differs);
        }
        old.step()?;
        new.step()?;
    }
}

/// The `start` of a side with no lines left. No VMA starts there: it would have
/// no end.
const END: u64 = u64::MAX;

/// One of the two files: its head line, and how far it has been read.
struct Side<'a> {
    /// From the head line on.
    rest: &'a [u8],
    /// The head line, with its newline; empty at the end.
    line: &'a [u8],
    start: u64,
    /// The head line's number, counted from 1.
    number: u64,
}

/// The lines of one file that belong to a hunk.
struct Hunk<'a> {
    bytes: &'a [u8],
    /// The number of the first line.
    first: u64,
    count: u64,
}

impl<'a> Side<'a> {
    fn new(file: &'a [u8]) -> Result<Self, Malformed> {
        let mut side = Side {
            rest: file,
            line: b"",
            start: 0,
            number: 0,
        };
        side.read_head(None)?;
        Ok(side)
    }

    /// Goes on to the next line.
    fn step(&mut self) -> Result<(), Malformed> {
        let before = self.start;
        self.rest = self
            .rest
            .split_at_checked(self.line.len())
            .unwrap_or_default()
            .1;
        self.read_head(Some(before))
    }

    fn read_head(&mut self, before: Option<u64>) -> Result<(), Malformed> {
        self.number += 1;
        if self.rest.is_empty() {
            (self.line, self.start) = (b"", END);
            return Ok(());
        }
        let malformed = Malformed { line: self.number };
        let mut behind = self.rest;
        let start = Vma::take(&mut behind).ok_or(malformed)?.start;
        let length = self.rest.len() - behind.len();
        let (line, _) = self.rest.split_at_checked(length).ok_or(malformed)?;
        if before.is_some_and(|before| start <= before) || !line.ends_with(b"\n") {
            return Err(malformed);
        }
        (self.line, self.start) = (line, start);
        Ok(())
    }

    /// Marks where a hunk may begin: at the head line.
    fn open_hunk(&self) -> Hunk<'a> {
        Hunk {
            bytes: self.rest,
            first: self.number,
            count: 0,
        }
    }

    /// Ends `hunk` before the head line.
    fn close_hunk(&self, hunk: Hunk<'a>) -> Hunk<'a> {
        let length = hunk.bytes.len() - self.rest.len();
        let bytes = hunk.bytes.split_at_checked(length).unwrap_or_default().0;
        Hunk {
            bytes,
            count: self.number - hunk.first,
            ..hunk
        }
    }
}

fn print_hunk(removed: &Hunk, added: &Hunk, indent: &[u8], out: &mut dyn Sink) {
    out.put(indent);
    print_range(removed, out);
    out.put(match (removed.count, added.count) {
        (0, _) => b"a",
        (_, 0) => b"d",
        _ => b"c",
    });
    print_range(added, out);
    out.put(b"\n");
    print_lines(removed, b"< ", indent, out);
    if removed.count > 0 && added.count > 0 {
        out.put(indent);
        out.put(b"---\n");
    }
    print_lines(added, b"> ", indent, out);
}

/// `5`, or `5,7`; a side without lines is named by the line before the place.
fn print_range(hunk: &Hunk, out: &mut dyn Sink) {
    let Hunk { first, count, .. } = *hunk;
    match count {
        0 => out.decimal(first - 1),
        1 => out.decimal(first),
        _ => out.print(b"%,%", &[Number(first), Number(first + count - 1)]),
    }
}

fn print_lines(hunk: &Hunk, mark: &[u8], indent: &[u8], out: &mut dyn Sink) {
    let mut rest = hunk.bytes;
    while !rest.is_empty() {
        let (line, behind) = split(rest, b'\n');
        out.put(indent);
        out.put(mark);
        out.put(line);
        out.put(b"\n");
        rest = behind;
    }
}
