//! Takes the steps of a case, and compares what is seen with what is stated.
//!
//! # Safety
//!
//! Unsafe, because the steps are any system calls with any arguments. Those in the
//! suite change no memory but the pages reserved around the window, the heap, and
//! what they have mapped themselves, to which Rust refers only while a step compares
//! what is there, and changes nothing; all else that they do to memory is to name it.
//! `tests/host/suite/trust.rs` proves that of every case.
#![allow(unsafe_code)]

use crate::{
    console::Console,
    sys::{
        Errno, Result,
        process::{ChildEnd, run_in_child},
        raw,
    },
};
use heapless::Vec;
use linux_raw_sys::errno as number;
use vm_anon_name::{
    diagram::Picture,
    errno,
    format::{Escaped, Hex},
    maps::Vma,
    put,
    scan::split,
    suite::{
        Step, Suite, Units, Verdict,
        encoding::{part, verb},
    },
};

const EBADMSG: Errno = Errno::new(number::EBADMSG);
const EDOM: Errno = Errno::new(number::EDOM);
const ENOENT: Errno = Errno::new(number::ENOENT);

/// How a case ended. The numbers are the exit statuses of its process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    Skipped,
}

const PASSED: u8 = Outcome::Passed as u8;
const SKIPPED: u8 = Outcome::Skipped as u8;

/// How long a case may take, in seconds: far longer than any takes on a host that is
/// busy with other things, too.
pub(super) const PATIENCE: i64 = 100;

/// Pages that are reserved. The window begins in their middle: a mapping that grows
/// downwards wants 256 free pages below it.
const RESERVED: u64 = 2048;

/// What is no verb: the window's lines are printed.
const SHOW: u16 = 0;

/// No file, until one is opened.
const NOTHING: u64 = u64::MAX;

/// Pages of the window that are drawn, and shown in a report.
const SHOWN: u64 = 32;

/// What a step ends with that saw something else than it states. No call under test
/// gives it.
const NOT_AS_STATED: Errno = EBADMSG;

/// Takes steps.
pub(super) struct Actor<'a> {
    pub(super) console: &'a mut Console,
    pub(super) suite: Suite<'a>,
    units: Units,
}

impl<'a> Actor<'a> {
    /// Reserves the window.
    pub(super) fn new(suite: Suite<'a>, page: u64, console: &'a mut Console) -> Result<Self> {
        let reserved = raw::reserve(RESERVED * page)?;
        let window = reserved + RESERVED / 2 * page;
        // A huge page is what one page of page table entries maps, 8 bytes each.
        let huge = page * page / 8;
        Ok(Actor {
            console,
            suite,
            // In the order of `code::part`.
            units: [
                0, 1, page, window, 0, huge, 0, NOTHING, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
        })
    }

    /// Does what `statements` say in a child, so that a crash or a hang is its own.
    pub(super) fn run_in_child(&mut self, statements: &[u8]) -> Outcome {
        self.console.flush();
        let end = run_in_child(PATIENCE, &mut || {
            let outcome = self.run(statements);
            self.console.flush();
            outcome as u8
        });
        let console = &mut *self.console;
        match end {
            Ok(ChildEnd::Exited(PASSED)) => return Outcome::Passed,
            Ok(ChildEnd::Exited(SKIPPED)) => return Outcome::Skipped,
            Ok(ChildEnd::Exited(_)) => {}
            Ok(ChildEnd::TimedOut) => put!(console, "#   it hung and was killed\n"),
            Ok(ChildEnd::Killed(signal)) => {
                put!(console, "#   killed by signal {}\n", signal);
            }
            Err(errno) => {
                put!(console, "#   no child, or no word of its end: {}\n", errno);
            }
        }
        Outcome::Failed
    }

    /// Does what `statements` say, and reports the first that fails.
    pub(super) fn run(&mut self, mut statements: &[u8]) -> Outcome {
        let (mut statement, mut step) = (Step::default(), Step::default());
        while statement.read(&mut statements, &self.units).is_some() {
            let first = usize::from(part::OPERANDS);
            if let Some(units) = self.units.get_mut(first..first + statement.operands.len()) {
                units.copy_from_slice(&statement.operands);
            }
            let first = self.suite.definition(statement.place);
            let mut steps = first;
            while step.read(&mut steps, &self.units).is_some() {
                let (number, name) = self.suite.operation(step.place);
                let [value, limit, ..] = step.operands;
                if number == verb::AGAIN && value <= limit {
                    steps = first;
                }
                let error = match self.act(number, &step, &mut statements) {
                    Ok(value) => {
                        self.set(step.kept, value);
                        0
                    }
                    Err(errno) => errno.number(),
                };
                // The error that a step must end with is its success, and success that error.
                let own = i32::from(step.expected);
                let met = match error {
                    0 => own,
                    _ if error == own => 0,
                    _ => error,
                };
                if step.any || met == 0 && !steps.is_empty() {
                    continue;
                }
                match statement.judge(met) {
                    Verdict::Right => break,
                    Verdict::Wrong => {
                        // What a step must end with is 0, unless it is an error.
                        let expected = statement.expected.max(step.expected);
                        self.report(name, &step, expected, error);
                        return Outcome::Failed;
                    }
                    Verdict::Unavailable => return Outcome::Skipped,
                }
            }
        }
        Outcome::Passed
    }

    /// Does what the step says. `fork` takes what it runs off the `rest`.
    fn act(&mut self, number: u16, step: &Step, rest: &mut &[u8]) -> Result<u64> {
        let [first, second, ..] = step.operands;
        // SAFETY: As at the head of this file.
        let text = |address| unsafe { raw::text(address) };
        match number {
            verb::SEE | verb::LABEL | verb::AT => self.look(number, text(first), second),
            verb::COMPARE => self.compare(text(second), text(first)),
            verb::FORK => {
                let (child, behind) = rest.split_at_checked(first as usize).ok_or(EDOM)?;
                *rest = behind;
                match self.run_in_child(child) {
                    Outcome::Passed => Ok(0),
                    _ => Err(NOT_AS_STATED),
                }
            }
            verb::WRITE | verb::STORE => {
                let number_bytes = second.to_le_bytes();
                let length = 8 - second.leading_zeros() as usize / 8;
                let bytes = match number {
                    verb::WRITE => text(second),
                    _ => number_bytes.get(..length).unwrap_or_default(),
                };
                // SAFETY: As at the head of this file.
                unsafe { raw::write(first, bytes) };
                Ok(0)
            }
            verb::AGAIN => Ok(first),
            // SAFETY: As at the head of this file.
            verb::SHARE => unsafe { raw::prctl_in_sharing_child(&step.operands) },
            // SAFETY: As at the head of this file.
            number => unsafe { raw::call(number, step.operands) },
        }
    }

    fn unit(&self, part: u8) -> u64 {
        self.units
            .get(usize::from(part))
            .copied()
            .unwrap_or_default()
    }

    fn set(&mut self, part: u8, value: u64) {
        if let Some(unit) = self.units.get_mut(usize::from(part)) {
            *unit = value;
        }
    }

    /// Reads the maps as they are now, and draws, compares or finds what the verb of this
    /// `number` wants, or [`SHOW`]s it. All of them are read, to the stack at the end, or as
    /// much as there is room for, which is more than what is looked at.
    #[inline(never)] // What is far from the stack pointer takes an instruction more each time.
    fn look(&mut self, number: u16, stated: &[u8], address: u64) -> Result<u64> {
        let mut maps = Vec::<u8, 8192>::new();
        raw::read_from_start(raw::file(self.unit(part::MAPS)), &mut maps)?;
        let here = maps.as_ptr().addr() as u64;
        let (window, page) = (self.unit(part::WINDOW), self.unit(part::PAGES));
        let end = window + SHOWN * page;
        let mut seen = Vec::<u8, 256>::new();
        let mut picture = Picture::new(&mut seen, page, window, end);
        let (mut is_whole, mut found) = (maps.is_full(), None);
        let mut rest = maps.as_slice();
        while !rest.is_empty() {
            let (line, behind) = split(rest, b'\n');
            rest = behind;
            // In smaps, most lines are no VMAs.
            let Some(vma) = Vma::parse(line) else {
                continue;
            };
            is_whole |= holds(&vma, here);
            let is_it = match number {
                verb::SEE => {
                    picture.add(&vma);
                    false
                }
                verb::LABEL => holds(&vma, address),
                verb::AT => vma.label.starts_with(stated),
                _ => {
                    if vma.end > window && vma.start < end {
                        put!(self.console, "#   {}\n", Escaped(line));
                    }
                    false
                }
            };
            if is_it && found.is_none() {
                found = Some((vma.start, vma.end, vma.label));
            }
        }
        if !is_whole {
            return Err(Errno::EIO);
        }
        picture.finish();
        let (start, end, label) = match found {
            Some(found) => found,
            // As far as it is stated.
            None if number == verb::SEE => (0, 0, seen.get(..stated.len()).unwrap_or(&seen)),
            None => return Err(ENOENT),
        };
        if number != verb::AT {
            return self.compare(label, stated);
        }
        self.set(part::LENGTH, end - start);
        Ok(start)
    }

    /// Compares what was seen with what is stated.
    fn compare(&mut self, seen: &[u8], stated: &[u8]) -> Result<u64> {
        if seen == stated {
            return Ok(0);
        }
        let (stated, seen) = (Escaped(stated), Escaped(seen));
        put!(self.console, "#   expected {}\n#   seen {}\n", stated, seen);
        Err(NOT_AS_STATED)
    }

    /// Prints which step failed, how, and what the maps are there.
    fn report(&mut self, name: &[u8], step: &Step, expected: u8, error: i32) {
        let console = &mut *self.console;
        put!(console, "# {}", Escaped(name));
        let mut before = "(";
        for operand in step.operands.iter().take(step.count) {
            put!(console, "{}", before);
            before = ", ";
            match self.suite.text(*operand) {
                Some(text) => put!(console, "\"{}\"", Escaped(text)),
                None => put!(console, "{}", Hex(*operand)),
            }
        }
        put!(console, ")");
        if error != NOT_AS_STATED.number() {
            put!(
                console,
                ": expected {}, seen {} ({})",
                outcome(expected.into()),
                outcome(error),
                error as u64
            );
        }
        let (window, page) = (self.unit(part::WINDOW), self.unit(part::PAGES));
        put!(
            self.console,
            "\n#   the window is at {}, a page has {} bytes\n",
            Hex(window),
            page
        );
        let _ = self.look(SHOW, b"", 0);
    }
}

fn holds(vma: &Vma, address: u64) -> bool {
    vma.start <= address && address < vma.end
}

/// How a call ended, by name.
fn outcome(error: i32) -> &'static [u8] {
    if error == 0 {
        b"success"
    } else {
        errno::name(error)
    }
}
