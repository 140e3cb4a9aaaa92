//! Memory by name: the VMAs of smaps, added up by label in a table of fixed size.
//!
//! The input is the lines of smaps, or of maps, which has only sizes. The line of a VMA selects
//! a row, and the fields that follow are added to it. If no row is left for a label, it is
//! counted in a row for all others, so the totals are exact for any number of labels.

use crate::{
    format::Sink,
    label::{OTHERS, RowKey},
    maps::Vma,
    scan::{after, before},
    smaps::{Column, column, is_field, status_column, value},
};
use core::mem;
use heapless::Vec;

/// The number of rows. One of them is for the labels that have none of their own.
pub const ROWS: usize = 129;

/// The index of the row for other labels.
const OTHERS_ROW: usize = 0;

/// The space for the texts of all rows, in bytes.
pub const LABELS: usize = 4096;

/// A value for each [`Column`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Sums(pub [u64; 6]);

impl Sums {
    /// The value of a column.
    pub fn get(&self, column: Column) -> u64 {
        self.0.get(column as usize).copied().unwrap_or_default()
    }

    /// Replaces the value of a column.
    pub fn set(&mut self, column: Column, value: u64) {
        if let Some(sum) = self.0.get_mut(column as usize) {
            *sum = value;
        }
    }

    /// Adds to the value of a column.
    pub fn add(&mut self, column: Column, value: u64) {
        self.set(column, self.get(column).saturating_add(value));
    }

    /// Adds all of `others`.
    pub fn add_all(&mut self, others: &Sums) {
        for (sum, other) in self.0.iter_mut().zip(&others.0) {
            *sum = sum.saturating_add(*other);
        }
    }
}

/// The columns whose values are known. A field that is in no line is unknown.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Known(u8);

impl Known {
    /// Adds `column`.
    pub fn insert(&mut self, column: Column) {
        self.0 |= 1 << column as u8;
    }

    /// The columns that are in either.
    pub fn union(self, other: Self) -> Self {
        Known(self.0 | other.0)
    }

    /// Whether the column with this index is known.
    pub fn contains(self, index: usize) -> bool {
        self.0 >> index & 1 != 0
    }
}

/// What the fields of a VMA or of a process add up to.
#[derive(Default, Debug)]
pub struct Fields {
    /// The values.
    pub sums: Sums,
    /// The columns that had a field.
    pub known: Known,
}

impl Fields {
    /// Adds the field in `line` of smaps, if it belongs to a column.
    #[inline(never)]
    pub fn line(&mut self, line: &[u8]) {
        if let Some(column) = column(line) {
            self.add(column, line);
        }
    }

    /// Adds the field in `line` of `/proc/PID/status`, if it belongs to a column.
    pub fn status_line(&mut self, line: &[u8]) {
        if let Some(column) = status_column(line) {
            self.add(column, line);
        }
    }

    #[inline(never)] // So that `line` needs no stack frame for the fields that it skips.
    fn add(&mut self, column: Column, line: &[u8]) {
        if let Some(value) = value(line) {
            self.known.insert(column);
            self.sums.add(column, value);
        }
    }
}

/// The VMAs with one label.
#[derive(Default, Debug)]
pub struct Row {
    /// The sums of this round.
    pub sums: Sums,
    /// The sums of the round before.
    pub old: Sums,
    hash: u32,
    /// The offset of the text in the labels.
    start: u16,
    length: u8,
    /// Whether it has a VMA of the current process.
    has_process: bool,
}

impl Row {
    /// Whether to show the row: if it is not empty or, with `changes`, if it has changed.
    pub fn is_shown(&self, changes: bool) -> bool {
        match changes {
            true => self.sums != self.old,
            false => self.sums.get(Column::Count) > 0,
        }
    }

    /// Ends the round.
    fn finish(&mut self) {
        self.old = self.sums;
        self.sums = Sums::default();
    }
}

/// How VMAs are counted.
#[derive(Clone, Copy, Default, Debug)]
pub struct Settings {
    /// Digits at the end of names are folded.
    pub folds: bool,
    /// A row counts processes instead of VMAs.
    pub counts_processes: bool,
    /// The lines are from a file. A lower address begins another process.
    pub is_saved: bool,
}

/// The table.
#[derive(Default, Debug)]
#[repr(C)] // Small fields come first, so that their offsets fit in an instruction.
pub struct Totals {
    /// All VMAs.
    pub all: Row,
    /// The fields of the last VMA, and the columns that are known so far in this round.
    pub fields: Fields,
    /// VMAs that were counted with others, because there was no row left.
    pub crowded: u64,
    /// VMAs that begin below the end of an earlier one: the process changed its memory between
    /// two reads. The size of an overlapping range counts once.
    pub overlaps: u64,
    /// How VMAs are counted.
    pub settings: Settings,
    /// The row of the last VMA.
    current: Option<usize>,
    /// The highest end of a VMA of this process so far.
    end: u64,
    rows: Vec<Row, ROWS>,
    /// The texts of all rows, one after the other.
    labels: Vec<u8, LABELS>,
}

impl Totals {
    /// Begins a round: all sums become those of the round before.
    pub fn begin_round(&mut self) {
        if self.rows.is_empty() {
            self.push(&RowKey {
                hash: 0,
                text: [OTHERS, b""],
            });
        }
        self.rows.iter_mut().for_each(Row::finish);
        self.all.finish();
        self.fields = Fields::default();
        self.fields.known.insert(Column::Count);
        self.fields.known.insert(Column::Size);
        (self.crowded, self.overlaps) = (0, 0);
    }

    /// Adds the last VMA of a process, and ends the process.
    pub fn end_process(&mut self) {
        self.end_vma();
        let rows = self.rows.iter_mut();
        rows.for_each(|row| row.has_process = false);
        self.end = 0;
    }

    /// Adds a line of smaps or maps, without its newline. A line that is neither a VMA nor
    /// a field ends the VMA before it.
    pub fn line(&mut self, line: &[u8]) {
        let line = match line {
            // Lines that were captured from a terminal end in CR LF.
            [line @ .., b'\r'] if self.settings.is_saved => line,
            _ => line,
        };
        match is_field(line) {
            true => self.fields.line(line),
            false => self.begin_vma(line),
        }
    }

    #[inline(never)] // So that `line` needs no stack frame for a field.
    fn begin_vma(&mut self, line: &[u8]) {
        self.end_vma();
        let Some(vma) = &Vma::parse(line) else { return };
        // smaps_rollup begins with the range of all VMAs, which would be counted twice.
        if vma.label == b"[rollup]" {
            return;
        }
        if vma.start < self.end {
            if self.settings.is_saved {
                self.end = 0;
            } else {
                self.overlaps += 1;
            }
        }
        let new = vma.end.saturating_sub(vma.start.max(self.end)) >> 10;
        self.end = self.end.max(vma.end);
        self.fields.sums.set(Column::Size, new);
        let key = RowKey::new(vma.label, &vma.permissions, self.settings.folds);
        let index = self.find(&key);
        if let Some(row) = self.rows.get_mut(index) {
            let had_process = mem::replace(&mut row.has_process, true);
            let is_counted = self.settings.counts_processes && had_process;
            self.fields.sums.set(Column::Count, u64::from(!is_counted));
        }
        self.current = Some(index);
    }

    /// Adds the last VMA to its row. Fields without a VMA are dropped.
    fn end_vma(&mut self) {
        let sums = &mut self.fields.sums;
        let current = self.current.take();
        if let Some(row) = current.and_then(|index| self.rows.get_mut(index)) {
            row.sums.add_all(sums);
            self.all.sums.add_all(sums);
        }
        *sums = Sums::default();
    }

    /// The index of the row of `key`, which is added if it is new. If the table is full, the index
    /// of the row for others.
    fn find(&mut self, key: &RowKey) -> usize {
        let labels = &self.labels;
        let is_it = |row: &Row| row.hash == key.hash && key.has_text(text(labels, row));
        if let Some(index) = self.rows.iter().position(is_it) {
            return index;
        }
        if self.push(key) {
            return self.rows.len() - 1;
        }
        self.crowded += 1;
        OTHERS_ROW
    }

    /// Adds a row, if there is space.
    fn push(&mut self, key: &RowKey) -> bool {
        let start = self.labels.len();
        key.text.iter().for_each(|part| self.labels.put(part));
        let row = Row {
            hash: key.hash,
            start: start as u16,
            length: (self.labels.len() - start) as u8,
            ..Row::default()
        };
        let fits = !self.labels.is_full() && self.rows.push(row).is_ok();
        if !fits {
            self.labels.truncate(start);
        }
        fits
    }

    /// Sorts the rows by RSS, then by size, the smallest first.
    pub fn sort(&mut self) {
        let rank = |row: &Row| (row.sums.get(Column::Rss), row.sums.get(Column::Size));
        let mut rest = self.rows.get_mut(OTHERS_ROW + 1..).unwrap_or_default();
        while let Some((first, others)) = rest.split_first_mut() {
            for other in &mut *others {
                if rank(other) < rank(first) {
                    mem::swap(first, other);
                }
            }
            rest = others;
        }
    }

    /// The rows with their labels, from the last to the first: once they are sorted, the largest
    /// is the first, and the row for other labels the last. A row may be empty.
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], &Row)> {
        let rows = self.rows.iter().rev();
        rows.map(|row| (text(&self.labels, row), row))
    }
}

fn text<'a>(labels: &'a [u8], row: &Row) -> &'a [u8] {
    before(after(labels, row.start.into()), row.length.into())
}
