//! `names`: memory by name, of some processes, of all, or of a saved smaps.

use crate::{
    cold,
    commands::status,
    console::{Console, error},
    subject::{BUFFER, ENDED, NO_MEMORY, Program, Reading, Subject, stream},
    sys::{
        Errno, Result, STDIN,
        file::{self, CWD},
        system::{Uname, sleep},
    },
    unreadable,
};
use heapless::{Vec, VecView};
use linux_raw_sys::general::{O_DIRECTORY, O_RDONLY};
use vm_anon_name::{
    directory::process_ids,
    format::Sink,
    json::put_member,
    options::{Flag, MAX_WORDS, Options},
    put,
    report::Report,
    scan::{line, number_32, split},
    smaps::Column,
    totals::{Fields, Known, Settings, Totals},
};

// Indexes of the counters in [`Names::notes`], and of their lines in [`cold::NOTES`].
const UNREADABLE: usize = 0;
const GONE: usize = 1;
const WITHOUT_SMAPS: usize = 2;
const DIFFERENCE: usize = 3;
const OVERLAPS: usize = 4;
const CROWDED: usize = 5;
const NOTES: usize = 6;

/// Reports memory by name, once or every few seconds. Returns the exit status.
#[inline(never)] // Its frame must not add to the frames of other commands.
pub(crate) fn run(options: &Options, page: usize, console: &mut Console) -> u8 {
    // A frame of their own: in the same frame, other variables would be at large offsets.
    let mut totals = Totals::default();
    let mut buffer = Vec::<u8, BUFFER>::new();
    run_rounds(options, page, &mut totals, &mut buffer, console)
}

#[inline(never)]
fn run_rounds(
    options: &Options,
    page: usize,
    totals: &mut Totals,
    buffer: &mut VecView<u8>,
    console: &mut Console,
) -> u8 {
    let words = options.words.as_slice();
    let is_saved = words == [c"-"] && options.every.is_none();
    let counts_processes = words.len() != 1;
    totals.settings = Settings {
        folds: !options.has(Flag::Exact),
        counts_processes,
        is_saved,
    };
    let mut names = Names {
        totals,
        buffer,
        notes: [0; NOTES],
        known: Known::default(),
        read: 0,
        status: status::SUCCESS,
        console,
    };
    let mut subjects = Vec::<Subject, MAX_WORDS>::new();
    for word in words.iter().filter(|_| !is_saved) {
        let Some(pid) = number_32(word.to_bytes()) else {
            error!(names.console, "names: give process numbers, or - alone");
            return status::USAGE;
        };
        if let Some(subject) = names.note_failure(pid, Subject::open(pid)) {
            let _ = subjects.push(subject); // There is space for all words.
        }
    }
    let mut program = Program::new();
    let process = match subjects.as_slice() {
        [subject] if !counts_processes => {
            subject.read_program(&mut program);
            Some((subject.pid, program.as_slice()))
        }
        _ => None,
    };
    let mut report = Report {
        process,
        counts_processes,
        changes: false,
        is_json: options.has(Flag::Json),
    };
    let mut rounds_left = options.count.unwrap_or(u32::MAX);
    let mut status = status::SUCCESS;
    loop {
        names.begin_round();
        if is_saved {
            names.read_saved();
        } else if words.is_empty() {
            names.read_all();
        }
        // `retain` would take 60 bytes more of the compressed archive.
        let mut index = 0;
        while let Some(subject) = subjects.get(index) {
            let result = names.add(subject);
            match names.note_failure(subject.pid, result) {
                Some(()) => index += 1,
                None => drop(subjects.remove(index)),
            }
        }
        names.print(options, page, &report);
        // The exit status is that of the first round, because processes may end later.
        if !report.changes {
            status = names.status;
        }
        rounds_left -= 1;
        if !names.console.close() {
            return status::FAILED;
        }
        let is_over = !words.is_empty() && subjects.is_empty();
        let Some(seconds) = options.every.filter(|_| rounds_left > 0 && !is_over) else {
            return status;
        };
        sleep(seconds);
        report.changes = true;
    }
}

/// Memory by name, as far as it has been read.
struct Names<'a> {
    totals: &'a mut Totals,
    buffer: &'a mut VecView<u8>,
    /// Counters of what prevented an exact result; [`cold::NOTES`] describes each.
    notes: [u64; NOTES],
    /// Columns that are known for the total alone, from `/proc/PID/status`.
    known: Known,
    /// The number of processes that were read.
    read: u64,
    /// The exit status.
    status: u8,
    console: &'a mut Console,
}

impl Names<'_> {
    fn begin_round(&mut self) {
        self.totals.begin_round();
        self.notes = Default::default();
        self.read = 0;
    }

    /// Returns the value of `result`, or reports the error and sets the exit status.
    fn note_failure<T>(&mut self, pid: u32, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(errno) => {
                self.status = unreadable::report(pid, errno, self.console);
                None
            }
        }
    }

    fn read_saved(&mut self) {
        let totals = &mut *self.totals;
        let result = stream(&STDIN, self.buffer, &mut |line| totals.line(line));
        totals.end_process();
        match result {
            Err(errno) => self.fail(b"standard input", errno),
            Ok(_) if self.totals.all.is_shown(false) => {}
            Ok(_) => {
                error!(self.console, "standard input has no line of smaps");
                self.status = status::FAILED;
            }
        }
    }

    fn fail(&mut self, what: &[u8], errno: Errno) {
        self.console.report(what, errno);
        self.status = status::FAILED;
    }

    /// Reads all processes. Those that have no memory of their own are passed over, and
    /// those that cannot be read are counted.
    fn read_all(&mut self) {
        let result = self.read_directory();
        if (result.is_err() || self.read == 0) && !unreadable::has_proc(self.console) {
            self.status = status::NO_PROC;
        } else if let Err(errno) = result {
            self.fail(b"/proc", errno);
        }
    }

    fn read_directory(&mut self) -> Result {
        let proc = file::open(&CWD, c"/proc", O_RDONLY | O_DIRECTORY)?;
        let mut entries = Vec::<u8, 512>::new();
        let result = loop {
            match file::read_directory(&proc, &mut entries) {
                Ok(()) if !entries.is_empty() => {
                    process_ids(&entries).for_each(|pid| self.read_one(pid));
                }
                result => break result,
            }
        };
        let _ = file::close(proc); // Nothing was written to it.
        result
    }

    fn read_one(&mut self, pid: u32) {
        let result = Subject::open(pid).and_then(|subject| {
            let result = self.add(&subject);
            subject.close();
            result
        });
        match result {
            Ok(()) | Err(NO_MEMORY) => {}
            Err(Errno::EACCES | Errno::EPERM) => self.notes[UNREADABLE] += 1,
            Err(Errno::ENOENT | ENDED) => self.notes[GONE] += 1,
            Err(errno) => self.status = unreadable::report(pid, errno, self.console),
        }
    }

    /// Adds the memory of a process. If that fails, a part may have been added.
    fn add(&mut self, subject: &Subject) -> Result {
        let all = &self.totals.all.sums;
        let (pss, rss) = (all.get(Column::Pss), all.get(Column::Rss));
        let totals = &mut *self.totals;
        let add_line = &mut |line: &[u8]| totals.line(line);
        let mut reading = subject.read(c"smaps", self.buffer, add_line);
        let has_smaps = !matches!(reading, Err(Errno::ENOENT));
        if !has_smaps {
            reading = subject.read(c"maps", self.buffer, add_line);
        }
        self.totals.end_process();
        let reading = reading?;
        // The kernel's own sums for the process. The Pss of each VMA is rounded down to KiB, so
        // the sum of the rows is too low.
        let mut fields = Fields::default();
        let rest = match has_smaps {
            true => subject.read(c"smaps_rollup", self.buffer, &mut |line| fields.line(line)),
            false => subject.read(c"status", self.buffer, &mut |line| fields.status_line(line)),
        };
        let rest = rest.map(Reading::close);
        let own = &fields.sums;
        let all = &mut self.totals.all.sums;
        match rest {
            Ok(_) if has_smaps => {
                all.set(Column::Pss, pss + own.get(Column::Pss));
                self.notes[DIFFERENCE] += all.get(Column::Rss).abs_diff(rss + own.get(Column::Rss));
            }
            Ok(_) => {
                all.add(Column::Rss, own.get(Column::Rss));
                all.add(Column::Swap, own.get(Column::Swap));
                self.known = fields.known;
                self.notes[WITHOUT_SMAPS] += 1;
            }
            // smaps_rollup exists since Linux 4.14.
            Err(Errno::ENOENT) => {}
            Err(errno) => {
                reading.close();
                return Err(match errno {
                    NO_MEMORY => ENDED, // It had memory before.
                    _ => errno,
                });
            }
        }
        self.read += 1;
        reading.finish()
    }

    /// Prints the round, and sets the exit status.
    fn print(&mut self, options: &Options, page: usize, report: &Report) {
        let totals = &mut *self.totals;
        if report.counts_processes {
            totals.all.sums.set(Column::Count, self.read);
        }
        (self.notes[OVERLAPS], self.notes[CROWDED]) = (totals.overlaps, totals.crowded);
        totals.sort();
        let (console, all) = (&mut *self.console, &totals.all);
        let is_complete = self.status == status::SUCCESS;
        if report.is_json || all.is_shown(false) {
            if report.is_json {
                // JSON has no heading: each object contains the PID.
            } else if totals.settings.is_saved {
                put!(console, "standard input, sizes in KiB\n");
            } else if report.changes {
                let seconds = options.every.unwrap_or_default();
                put!(console, "\n{} s later, changes in KiB\n", seconds);
            } else {
                match report.process {
                    Some((pid, program)) => put!(console, "PID {} {}, ", pid, program),
                    None => put!(console, "{} processes, ", self.read),
                }
                let uname = Uname::get();
                put!(
                    console,
                    "Linux {}, pages of {} KiB, sizes in KiB\n",
                    uname.release(),
                    page >> 10
                );
            }
            report.put_rows(totals, console);
            if report.is_json || is_complete {
                let known = totals.fields.known.union(self.known);
                report.put_row(None, all, known, console);
                if report.is_json {
                    for (index, number) in self.notes.iter().enumerate() {
                        put_member(note(index).0, Some(*number), console);
                    }
                    console.put(match is_complete {
                        true => b",\"complete\":true",
                        false => b",\"complete\":false",
                    });
                }
                report.end_row(console);
            }
        }
        for (index, number) in self.notes.iter().enumerate() {
            if *number > 0 {
                error!(console, "{}{}", *number, note(index).1);
            }
        }
        if is_complete && self.notes[WITHOUT_SMAPS] > 0 && options.has(Flag::Require) {
            self.status = status::LACKING;
        }
    }
}

/// The name of a counter in JSON, and the message that follows its number.
#[inline(never)]
fn note(index: usize) -> (&'static [u8], &'static [u8]) {
    split(line(&cold::NOTES, index), b':')
}
