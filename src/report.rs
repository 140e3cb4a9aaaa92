//! The table of `names`, as text and as JSON.
//!
//! ```text
//!   VMAs      Size       RSS       PSS   Private      Swap  Name
//!      1     28672     25956     25956     25956         0  [anon: Go: heap]
//!      1       240        92        92        92         0  (no name) rw-p
//!      2     28912     26048     26048     26048         0  TOTAL
//! ```

use crate::{
    format::{Escaping, MAX_DIGITS, Sink, digits},
    json::{put_label, put_member, put_string},
    scan::{before, split},
    totals::{Known, Sums, Totals},
};
use core::cmp::Ordering;

/// What a table is about.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The process, by its id and the name of its program; several processes otherwise.
    pub process: Option<(u32, &'a [u8])>,
    /// Whether the first column counts processes instead of VMAs.
    pub counts_processes: bool,
    /// Whether only rows that have changed since the last round are shown. The text then
    /// shows by how much.
    pub changes: bool,
}

impl Report<'_> {
    /// Appends the heads of the columns and the rows.
    pub fn put_table(&self, totals: &Totals, out: &mut impl Sink) {
        out.put(match self.counts_processes {
            true => b" Procs",
            false => b"  VMAs",
        });
        out.put(b"      Size       RSS       PSS   Private      Swap  Name\n");
        for (label, row) in totals.rows() {
            if row.is_shown(self.changes) {
                self.put_row(&row.sums, &row.old, totals.known, label, out);
            }
        }
    }

    /// Appends a row.
    pub fn put_row(
        &self,
        sums: &Sums,
        old: &Sums,
        known: Known,
        label: &[u8],
        out: &mut impl Sink,
    ) {
        for (index, (new, old)) in sums.0.into_iter().zip(old.0).enumerate() {
            let (old, plus): (_, &[u8]) = match self.changes {
                true => (old, b"+"),
                false => (0, b""),
            };
            let width = if index == 0 { 6 } else { 10 };
            let sign: &[u8] = match new.cmp(&old) {
                _ if !known.contains(index) => {
                    put_before(b"-", width, out);
                    continue;
                }
                Ordering::Less => b"-",
                Ordering::Equal => b"",
                Ordering::Greater => plus,
            };
            put_right(sign, new.abs_diff(old), width, out);
        }
        out.put(b"  ");
        Escaping(&mut *out).put(label);
        out.put(b"\n");
    }

    /// Appends a JSON object for each row.
    pub fn put_json_rows(&self, totals: &Totals, out: &mut impl Sink) {
        for (label, row) in totals.rows() {
            if row.is_shown(self.changes) {
                self.put_json_process(out);
                put_label(label, out);
                self.put_json_sums(&row.sums, totals.known, out);
                out.put(b"}\n");
            }
        }
    }

    /// Appends the JSON object of the totals. `notes` are further members. `is_complete`
    /// says whether all that was to be read was read.
    pub fn put_json_total<'n>(
        &self,
        sums: &Sums,
        known: Known,
        notes: impl Iterator<Item = (&'n [u8], u64)>,
        is_complete: bool,
        out: &mut impl Sink,
    ) {
        self.put_json_process(out);
        out.put(b",\"total\":true");
        self.put_json_sums(sums, known, out);
        for (name, number) in notes {
            put_member(name, Some(number), out);
        }
        out.put(match is_complete {
            true => b",\"complete\":true}\n",
            false => b",\"complete\":false}\n",
        });
    }

    fn put_json_process(&self, out: &mut impl Sink) {
        let (pid, program) = self.process.unzip();
        out.put(b"{\"comm\":");
        put_string(program.unwrap_or_default(), out);
        put_member(b"pid", pid.map(u64::from), out);
    }

    fn put_json_sums(&self, sums: &Sums, known: Known, out: &mut impl Sink) {
        let mut names: &[u8] = match self.counts_processes {
            true => b"processes size rss pss private swap",
            false => b"vmas size rss pss private swap",
        };
        for (index, value) in sums.0.into_iter().enumerate() {
            let (name, others) = split(names, b' ');
            names = others;
            put_member(name, known.contains(index).then_some(value), out);
        }
    }
}

/// Appends `sign` and `number`, with spaces before them up to `width`, but at least one.
pub fn put_right(sign: &[u8], number: u64, width: usize, out: &mut impl Sink) {
    let mut buffer = [0; MAX_DIGITS];
    let digits = digits(number, 10, 1, &mut buffer);
    put_before(sign, width.saturating_sub(digits.len()), out);
    out.put(digits);
}

fn put_before(text: &[u8], width: usize, out: &mut impl Sink) {
    const SPACES: &[u8] = b"                                        ";
    let spaces = width.saturating_sub(text.len()).max(1);
    out.put(before(SPACES, spaces.min(SPACES.len())));
    out.put(text);
}
