//! Byte-exact diff of two maps files, in the normal format of diff(1).
//!
//! A general diff searches for a longest common subsequence. Maps files do not
//! need the search: their lines are unique and sorted by start address, so all
//! the lines that both files contain come in the same order in both, and together
//! they are the longest common subsequence. A merge by start address finds it in
//! one pass without any table. `tests/host/diff.rs` compares the output with that of GNU
//! diff. The algorithm:
//!
//! ```text
//! while either file has lines:
//!     both first lines are equal    -> print the open hunk; step over both
//!     the old line starts lower     -> it was removed: add it to the hunk
//!     the new line starts lower     -> it was added: add it to the hunk
//!     both have the same start      -> it was changed: add both to the hunk
//! ```

use crate::{
    format::{Sink, put_decimal},
    maps::Vma,
    scan::{before, split},
};

/// An error: one of the files is not a complete maps file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// 1-based number of the first bad line in its file.
    pub line: u64,
}

/// Writes the difference between `old` and `new` to `out`, each line indented by
/// `indent`. Returns whether the files differ.
///
/// # Errors
///
/// A line is not a maps line, or has no newline, or its VMA starts below the end of
/// the VMA before it. The output then ends before that line or its hunk.
pub fn normal(
    old: &[u8],
    new: &[u8],
    indent: &[u8],
    out: &mut impl Sink,
) -> Result<bool, Malformed> {
    let (mut old, mut new) = (Cursor::new(old), Cursor::new(new));
    let mut differs = false;
    loop {
        old.advance();
        new.advance();
        let (removed, added) = (old, new);
        while old.line != new.line {
            let (old_start, new_start) = (old.start, new.start);
            if old_start <= new_start {
                old.advance();
            }
            if new_start <= old_start {
                new.advance();
            }
        }
        if let Some(line) = old.malformed().or(new.malformed()) {
            return Err(Malformed { line });
        }
        let (removed, added) = (removed.lines_until(&old), added.lines_until(&new));
        if !removed.bytes.is_empty() || !added.bytes.is_empty() {
            differs = true;
            print_hunk(&removed, &added, indent, out);
        }
        if old.line.is_empty() {
            return Ok(differs);
        }
    }
}

/// Writes the lines of both files by start address, each after a mark: `> ` if only `new` has
/// it, `< ` if only `old` has it, two spaces otherwise.
///
/// # Errors
///
/// As for [`normal`].
pub fn whole(old: &[u8], new: &[u8], out: &mut impl Sink) -> Result<(), Malformed> {
    let (mut old, mut new) = (Cursor::new(old), Cursor::new(new));
    old.advance();
    new.advance();
    loop {
        if let Some(line) = old.malformed().or(new.malformed()) {
            return Err(Malformed { line });
        }
        let is_same = old.line == new.line;
        if is_same && new.line.is_empty() {
            return Ok(());
        }
        let (mark, cursor) = if is_same {
            old.advance();
            (b"  ", &mut new)
        } else if old.start <= new.start {
            (b"< ", &mut old)
        } else {
            (b"> ", &mut new)
        };
        out.put(mark);
        out.put(cursor.line);
        cursor.advance();
    }
}

/// A position in one of the files: its current line, and what follows.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    /// The file from the current line on.
    rest: &'a [u8],
    /// The file after the current line.
    next: &'a [u8],
    /// The current line with its newline; empty at the end of the file and at a
    /// malformed line.
    line: &'a [u8],
    /// 1-based number of the current line.
    number: u64,
    /// The VMA's start address; `u64::MAX` if there is no current line.
    start: u64,
    /// The VMA's end address.
    end: u64,
}

/// A range of lines of one file.
struct Lines<'a> {
    bytes: &'a [u8],
    /// 1-based number of the first line.
    first: u64,
    /// 1-based number of the last line; `first - 1` for an empty range.
    last: u64,
}

impl<'a> Cursor<'a> {
    /// The position before the first line.
    fn new(file: &'a [u8]) -> Self {
        Cursor {
            rest: file,
            next: file,
            line: b"",
            number: 0,
            start: 0,
            end: 0,
        }
    }

    #[inline(never)]
    fn advance(&mut self) {
        self.rest = self.next;
        self.number += 1;
        (self.line, self.start) = (b"", u64::MAX);
        if let Some(vma) = Vma::take(&mut self.next)
            && let line @ [.., b'\n'] = before(self.rest, self.rest.len() - self.next.len())
            && vma.start >= self.end
        {
            (self.line, self.start, self.end) = (line, vma.start, vma.end);
        }
    }

    /// The number of the current line, if it is malformed.
    fn malformed(&self) -> Option<u64> {
        (self.line.is_empty() && !self.rest.is_empty()).then_some(self.number)
    }

    /// The lines from this position to a `later` one in the same file.
    fn lines_until(&self, later: &Self) -> Lines<'a> {
        let bytes = before(self.rest, self.rest.len() - later.rest.len());
        Lines {
            bytes,
            first: self.number,
            last: later.number - 1,
        }
    }
}

fn print_hunk(removed: &Lines, added: &Lines, indent: &[u8], out: &mut impl Sink) {
    let letter: &[u8] = match (removed.bytes, added.bytes) {
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

fn print_range(lines: &Lines, out: &mut impl Sink) {
    if lines.first < lines.last {
        put_decimal(lines.first, out);
        out.put(b",");
    }
    put_decimal(lines.last, out);
}

fn print_lines(lines: &Lines, mark: &[u8], indent: &[u8], out: &mut impl Sink) {
    let mut rest = lines.bytes;
    while !rest.is_empty() {
        let (line, after) = split(rest, b'\n');
        rest = after;
        out.put(indent);
        out.put(mark);
        out.put(line);
        out.put(b"\n");
    }
}
