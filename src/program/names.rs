//! `names`: memory by name, of some processes, of all, or of a saved smaps.

use crate::{
    cold,
    commands::status,
    console::{Console, error},
    subject::{self, BUFFER, ENDED, NO_MEMORY, Subject},
    sys::{
        Errno, Result, STDIN,
        file::{self, CWD},
        system::{Uname, sleep},
    },
};
use heapless::{Vec, VecView};
use linux_raw_sys::general::{O_DIRECTORY, O_RDONLY};
use vm_anon_name::{
    directory::process_ids,
    options::{Flag, MAX_CASES, Options},
    put,
    report::Report,
    scan::{line, number_32, split},
    smaps::{Column, parse},
    totals::{Known, Settings, Sums, Totals},
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
    let words = options.cases.as_slice();
    let is_saved = words == [c"-"] && options.every.is_none();
    let mut names = Names {
        totals: Totals::default(),
        buffer: &mut Vec::<u8, BUFFER>::new(),
        notes: [0; NOTES],
        known: Known::default(),
        read: 0,
        status: status::SUCCESS,
        console,
    };
    let counts_processes = words.len() != 1;
    names.totals.settings = Settings {
        folds: !options.has(Flag::Exact),
        counts_processes,
        is_saved,
    };
    let mut subjects = Vec::<Option<Subject>, MAX_CASES>::new();
    for word in words.iter().filter(|_| !is_saved) {
        let Some(pid) = number_32(word.to_bytes()) else {
            let word = word.to_bytes();
            error!(
                names.console,
                "'{}': give process numbers, or - alone", word
            );
            return status::USAGE;
        };
        let subject = names.note_failure(pid, Subject::open(pid));
        let _ = subjects.push(subject); // There is space for all words.
    }
    let program = match subjects.as_slice() {
        [Some(subject)] => Some((subject.pid, subject.program())),
        _ => None,
    };
    let process = program.as_ref().map(|(pid, name)| (*pid, name.as_slice()));
    let mut report = Report {
        process,
        counts_processes,
        changes: false,
    };
    let mut rounds_left = match options.every {
        Some(_) => options.count.unwrap_or(u32::MAX),
        None => 1,
    };
    loop {
        names.begin_round();
        if is_saved {
            names.read_saved();
        } else if words.is_empty() {
            names.read_all();
        }
        for place in &mut subjects {
            if let Some(subject) = place.take() {
                let result = names.add(&subject);
                *place = names.note_failure(subject.pid, result.map(|()| subject));
            }
        }
        names.print(options, page, &report);
        rounds_left -= 1;
        if !names.console.close() {
            return status::FAILED;
        }
        let is_over = !words.is_empty() && subjects.iter().all(Option::is_none);
        let Some(seconds) = options.every.filter(|_| rounds_left > 0 && !is_over) else {
            return match report.changes {
                // The first round was complete, and processes may end while they are watched.
                true => status::SUCCESS,
                false => names.status,
            };
        };
        sleep(seconds);
        report.changes = true;
    }
}

/// Memory by name, as far as it has been read.
struct Names<'a> {
    totals: Totals,
    buffer: &'a mut VecView<u8>,
    /// Counters of what prevented an exact result; [`cold::NOTES`] describes each.
    notes: [u64; NOTES],
    /// The columns that the totals have beyond those of the rows.
    known: Known,
    /// The processes that were read.
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

    /// Returns what `result` has. If it has none, reports why, and sets the exit status.
    fn note_failure<T>(&mut self, pid: u32, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(errno) => {
                self.status = subject::report(pid, errno, self.console);
                None
            }
        }
    }

    fn read_saved(&mut self) {
        self.totals.begin_process();
        let totals = &mut self.totals;
        let result = subject::stream(&STDIN, self.buffer, &mut |line| totals.line(line));
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
        if !subject::has_proc(self.console) {
            self.status = status::NO_PROC;
            return;
        }
        let proc = match file::open(&CWD, c"/proc", O_RDONLY | O_DIRECTORY) {
            Ok(proc) => proc,
            Err(errno) => return self.fail(b"/proc", errno),
        };
        let mut entries = Vec::<u8, 1024>::new();
        loop {
            match file::read_directory(&proc, &mut entries) {
                Ok(()) if entries.is_empty() => break,
                Ok(()) => process_ids(&entries).for_each(|pid| self.read_one(pid)),
                Err(errno) => break self.fail(b"/proc", errno),
            }
        }
        let _ = file::close(proc); // Nothing was written to it.
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
            Err(errno) => self.status = subject::report(pid, errno, self.console),
        }
    }

    /// Adds the memory of a process. If that fails, a part may have been added.
    fn add(&mut self, subject: &Subject) -> Result {
        self.totals.begin_process();
        let before = self.totals.all.sums;
        let totals = &mut self.totals;
        let add_line = &mut |line: &[u8]| totals.line(line);
        let mut reading = subject.read(c"smaps", self.buffer, add_line);
        let has_smaps = !matches!(reading, Err(Errno::ENOENT));
        if !has_smaps {
            reading = subject.read(c"maps", self.buffer, add_line);
        }
        let reading = reading?;
        // What the kernel itself counts for the whole process. Each Pss of a VMA is cut to
        // KiB, which makes a sum of them too low.
        let (mut own, mut known) = (Sums::default(), Known::default());
        let path = match has_smaps {
            true => c"smaps_rollup",
            false => c"status",
        };
        let rest = subject.read(path, self.buffer, &mut |line| {
            if let Some((column, value)) = parse(line) {
                own.add(column, value);
                known.insert(column);
            }
        });
        let all = &mut self.totals.all.sums;
        match rest {
            Ok(_) if has_smaps => {
                all.set(Column::Pss, before.get(Column::Pss) + own.get(Column::Pss));
                let rss = all.get(Column::Rss) - before.get(Column::Rss);
                self.notes[DIFFERENCE] += own.get(Column::Rss).abs_diff(rss);
            }
            Ok(_) => {
                all.add(Column::Rss, own.get(Column::Rss));
                all.add(Column::Swap, own.get(Column::Swap));
                self.known = known;
                self.notes[WITHOUT_SMAPS] += 1;
            }
            // smaps_rollup is there since Linux 4.14.
            Err(Errno::ENOENT) => {}
            Err(errno) => {
                reading.close();
                return Err(match errno {
                    NO_MEMORY => ENDED, // It had memory before.
                    _ => errno,
                });
            }
        }
        if let Ok(rest) = rest {
            rest.close();
        }
        self.read += 1;
        reading.finish()
    }

    /// Prints the round, and sets the exit status.
    fn print(&mut self, options: &Options, page: usize, report: &Report) {
        let totals = &mut self.totals;
        if report.counts_processes {
            totals.all.sums.set(Column::Count, self.read);
        }
        (self.notes[OVERLAPS], self.notes[CROWDED]) = (totals.overlaps, totals.crowded);
        totals.sort();
        let (console, all) = (&mut *self.console, &totals.all);
        let known = totals.known.union(self.known);
        let is_complete = self.status == status::SUCCESS;
        let notes = || {
            let numbers = self.notes.into_iter().enumerate();
            numbers.map(|(index, number)| (split(line(&cold::NOTES, index), b':'), number))
        };
        if options.has(Flag::Json) {
            report.put_json_rows(totals, console);
            let notes = notes().map(|((name, _), number)| (name, number));
            report.put_json_total(&all.sums, known, notes, is_complete, console);
        } else if all.is_shown(false) {
            if totals.settings.is_saved {
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
            report.put_table(totals, console);
            if is_complete {
                report.put_row(&all.sums, &all.old, known, b"TOTAL", console);
            }
        }
        for ((_, text), number) in notes() {
            if number > 0 {
                error!(console, "{}{}", number, text);
            }
        }
        if is_complete && self.notes[WITHOUT_SMAPS] > 0 && options.has(Flag::Require) {
            self.status = status::LACKING;
        }
    }
}
