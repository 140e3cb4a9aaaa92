//! The table of `names`, as text and as JSON.
//!
//! ```text
//!   VMAs      Size       RSS       PSS   Private      Swap  Name
//!      1     28672     25956     25956     25956         0  [anon: Go: heap]
//!      1       240        92        92        92         0  (no name) rw-p
//!      2     28912     26048     26048     26048         0  TOTAL
//! ```

use crate::{
    format::{Escaping, Sink, put_before, put_right},
    json::{put_label, put_member, put_string},
    scan::split,
    totals::{Known, Row, Totals},
};

/// What a table is about, and its form.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The id of the process and the name of its program; `None` if there are several.
    pub process: Option<(u32, &'a [u8])>,
    /// Whether the first column counts processes instead of VMAs.
    pub counts_processes: bool,
    /// Whether only rows that have changed since the last round are shown. The text then
    /// shows by how much.
    pub changes: bool,
    /// Whether each row is a JSON object.
    pub is_json: bool,
}

impl Report<'_> {
    /// Appends the heads of the columns and the rows.
    pub fn put_rows(&self, totals: &Totals, out: &mut impl Sink) {
        if !self.is_json {
            out.put(match self.counts_processes {
                true => b" Procs",
                false => b"  VMAs",
            });
            out.put(b"      Size       RSS       PSS   Private      Swap  Name\n");
        }
        for (label, row) in totals.rows() {
            if row.is_shown(self.changes) {
                self.put_row(Some(label), row, totals.fields.known, out);
                self.end_row(out);
            }
        }
    }

    /// Appends a row without its end; without a label, that of the totals.
    #[inline(never)]
    pub fn put_row(&self, label: Option<&[u8]>, row: &Row, known: Known, out: &mut impl Sink) {
        if self.is_json {
            self.put_subject(label, out);
        }
        let mut names: &[u8] = match self.counts_processes {
            true => b"processes size rss pss private swap",
            false => b"vmas size rss pss private swap",
        };
        for (index, (new, old)) in row.sums.0.iter().zip(&row.old.0).enumerate() {
            let (name, others) = split(names, b' ');
            names = others;
            let value = known.contains(index).then_some(*new);
            if self.is_json {
                put_member(name, value, out);
            } else {
                let width = if index == 0 { 6 } else { 10 };
                self.put_column(value, *old, width, out);
            }
        }
        if !self.is_json {
            out.put(b"  ");
            Escaping(&mut *out).put(label.unwrap_or(b"TOTAL"));
        }
    }

    /// Appends a number, or the change from the `old` number, to a row of text.
    fn put_column(&self, value: Option<u64>, old: u64, width: usize, out: &mut impl Sink) {
        match value {
            None => put_before(b"-", width, out),
            Some(new) if self.changes && new < old => put_right(b"-", old - new, width, out),
            Some(new) if self.changes && new > old => put_right(b"+", new - old, width, out),
            Some(new) => put_right(b"", if self.changes { 0 } else { new }, width, out),
        }
    }

    /// Appends the first members of an object: what the row is about.
    fn put_subject(&self, label: Option<&[u8]>, out: &mut impl Sink) {
        let (pid, program) = self.process.unzip();
        out.put(b"{\"comm\":");
        put_string(program.unwrap_or_default(), out);
        put_member(b"pid", pid.map(u64::from), out);
        match label {
            Some(label) => put_label(label, out),
            None => out.put(b",\"total\":true"),
        }
    }

    /// Ends a row.
    pub fn end_row(&self, out: &mut impl Sink) {
        out.put(match self.is_json {
            true => b"}\n",
            false => b"\n",
        });
    }
}
