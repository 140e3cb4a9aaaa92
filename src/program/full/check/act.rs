//! Takes the steps of a case, and compares what is seen with what is stated.
//!
//! # Safety
//!
//! Unsafe, because the steps are any system calls with any arguments. Those in the
//! suite change no memory but the pages reserved around the window, the heap, and
//! what they have mapped themselves, to which Rust never refers; all else that they do
//! to memory is to name it. `tests/core/suite/trust.rs` proves that of every case.
#![allow(unsafe_code)]

use super::report;
use crate::{
    full::console::Console,
    sys::{Errno, Result, memory},
};
use heapless::Vec;
use linux_raw_sys::errno as number;
use syscalls::Sysno;
use vm_anon_name::{
    errno,
    maps::Vma,
    messages::Message,
    name,
    picture::{self, Picture},
    suite::{
        Step, Suite, Units, Verdict,
        code::{part, verb},
    },
    text::{Say, Sink, split},
};

const EBADMSG: Errno = Errno::new(number::EBADMSG);
const EDOM: Errno = Errno::new(number::EDOM);
const EINVAL: Errno = Errno::new(number::EINVAL);
const ENOENT: Errno = Errno::new(number::ENOENT);

/// How a case ended. The numbers are the exit statuses of its process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    Skipped,
}

/// What a case that was skipped leaves for `wait4(2)`.
const SKIPPED: usize = (Outcome::Skipped as usize) << 8;

/// How long a case may take, in seconds: far longer than any takes on a host that is
/// busy with other things, too.
pub(super) const PATIENCE: i64 = 100;

/// Pages that are reserved. The window begins in their middle: a mapping that grows
/// downwards wants 256 free pages below it.
const RESERVED: u64 = 2048;

/// Pages of the window that a report shows.
const SHOWN: u64 = 32;

/// What a step ends with that saw something else than it states. No call under test
/// gives it.
const NOT_AS_STATED: Errno = EBADMSG;

/// Takes steps.
pub(super) struct Actor<'a> {
    pub(super) console: &'a mut Console,
    suite: Suite<'a>,
    units: Units,
}

impl<'a> Actor<'a> {
    /// Reserves the window.
    pub(super) fn new(suite: Suite<'a>, page: u64, console: &'a mut Console) -> Result<Self> {
        let reserved = memory::reserve(RESERVED * page)?;
        let window = reserved + RESERVED / 2 * page;
        // A huge page is what one page of page table entries maps, 8 bytes each.
        let huge = page * page / 8;
        Ok(Actor {
            console,
            suite,
            // In the order of `code::part`.
            units: [0, 1, page, window, 0, huge, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        })
    }

    /// Does what `statements` say in a child, so that a crash or a hang is its own.
    pub(super) fn run_in_child(&mut self, statements: &[u8]) -> Outcome {
        self.console.flush();
        let end = memory::in_child(PATIENCE, &mut || {
            let outcome = self.run(statements);
            self.console.flush();
            outcome as u8
        });
        match end {
            Ok(0) => return Outcome::Passed,
            Ok(SKIPPED) => return Outcome::Skipped,
            Ok(status) => match status & 0x7f {
                0 => {}
                memory::HUNG => {
                    self.console.say(Message::HUNG);
                }
                signal => {
                    self.console.say(Message::KILLED).number(signal as u64);
                }
            },
            Err(errno) => {
                report::number(self.console.say(Message::NO_CHILD), errno);
                self.console.say(Message::NEWLINE);
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
            let mut steps = self.suite.definition(statement.place);
            while step.read(&mut steps, &self.units).is_some() {
                if step.text.is_empty() {
                    step.text = statement.text; // An operand of its own may be its address.
                }
                let (number, name) = self.suite.operation(step.place);
                if number == verb::AGAIN {
                    steps = self.suite.definition(statement.place);
                    continue;
                }
                let error = match self.act(number, &step, &mut statements) {
                    Ok(value) => {
                        self.set(step.kept, value);
                        0
                    }
                    Err(errno) => errno.number(),
                };
                if step.any || error == 0 && !steps.is_empty() {
                    continue;
                }
                match statement.judge(error) {
                    Verdict::Right => break,
                    Verdict::Wrong => {
                        self.report(name, &step, statement.expected, error);
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
        let [first, second, third, ..] = step.operands;
        let text = step
            .text
            .split_last()
            .map_or(b"" as &[u8], |(_, text)| text);
        let done = match number {
            verb::SEE => self.see(text),
            verb::LABEL => self.expect_label(first, text),
            verb::AT => return self.find(text),
            // SAFETY: As at the head of this file.
            verb::COMPARE => self.compare(unsafe { memory::text(first) }, text),
            verb::EACH => self.name_with_each_byte(step.operands),
            verb::FORK => {
                let (child, behind) = rest.split_at_checked(first as usize).ok_or(EDOM)?;
                *rest = behind;
                match self.run_in_child(child) {
                    Outcome::Passed => Ok(()),
                    _ => Err(NOT_AS_STATED),
                }
            }
            verb::WRITE => {
                // Its NUL, too, if that is wanted.
                let length = text.len() + third as usize;
                // SAFETY: As at the head of this file.
                unsafe { memory::write(first, step.text.get(..length).unwrap_or_default()) };
                Ok(())
            }
            verb::STORE => {
                // SAFETY: As at the head of this file.
                unsafe { memory::write(first, &second.to_ne_bytes()) };
                Ok(())
            }
            verb::LET => return Ok(first),
            // SAFETY: As at the head of this file.
            verb::SHARE => return unsafe { memory::prctl_in_sharing_child(&step.operands) },
            // SAFETY: As at the head of this file.
            number => return unsafe { memory::call(number, step.operands) },
        };
        done.map(|()| 0)
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

    /// Makes the call with names in which each byte but NUL is, in turn, at each place, and
    /// looks each time. An allowed byte is tried at the first place alone. The name is
    /// where the fifth argument says, and as long as the sixth, all `a`.
    fn name_with_each_byte(&mut self, arguments: [u64; 6]) -> Result {
        let [_, _, start, _, text, length] = arguments;
        for byte in 1..256 {
            let byte = byte as u8;
            let is_allowed = name::is_allowed(byte);
            let refusal = if is_allowed { None } else { Some(EINVAL) };
            for place in 0..length {
                // SAFETY: As at the head of this file.
                unsafe { memory::write(text + place, &[byte]) };
                // SAFETY: To name memory changes nothing of it.
                let result = unsafe { memory::call(Sysno::prctl as u16, arguments) };
                // SAFETY: As at the head of this file.
                unsafe { memory::write(text + place, b"a") };
                if result.err() != refusal {
                    return self.fail_at(byte, place);
                }
                if is_allowed {
                    break;
                }
            }
            let shown = look(self.unit(part::MAPS), &mut |vma, _| {
                let name = vma.name().unwrap_or_default();
                vma.start == start && split(name, byte).0 != name
            });
            match shown {
                Ok(()) if is_allowed => {}
                Err(ENOENT) if !is_allowed => {}
                Ok(()) | Err(ENOENT) => return self.fail_at(byte, length),
                shown => return shown,
            }
        }
        Ok(())
    }

    /// Reports a name that has `byte` at `place`; behind the last, what is shown is wrong.
    fn fail_at(&mut self, byte: u8, place: u64) -> Result {
        let message = self.console.say(Message::BYTE);
        message.address(byte.into()).number(place);
        Err(NOT_AS_STATED)
    }

    /// Finds the first VMA whose label begins with `label`, and gives its address.
    fn find(&mut self, label: &[u8]) -> Result<u64> {
        let (mut start, mut length) = (0, 0);
        look(self.unit(part::MAPS), &mut |vma, _| {
            (start, length) = (vma.start, vma.end - vma.start);
            vma.label.starts_with(label)
        })?;
        self.set(part::LENGTH, length);
        Ok(start)
    }

    /// Compares the label of the VMA at `address` with what is `stated`.
    fn expect_label(&mut self, address: u64, stated: &[u8]) -> Result {
        let mut label = Vec::<u8, 256>::new();
        look(self.unit(part::MAPS), &mut |vma, _| {
            let is_it = holds(vma, address);
            if is_it {
                label.put(vma.label);
            }
            is_it
        })?;
        self.compare(&label, stated)
    }

    /// Compares the picture of the window's first pages with what is `stated`.
    fn see(&mut self, stated: &[u8]) -> Result {
        let (window, page) = (self.unit(part::WINDOW), self.unit(part::PAGES));
        let end = window + picture::pages(stated) * page;
        let mut seen = Vec::<u8, 256>::new();
        let mut picture = Picture::new(&mut seen, page, window, end);
        look(self.unit(part::MAPS), &mut |vma, _| {
            picture.add(vma);
            vma.start >= end
        })?;
        picture.finish();
        self.compare(&seen, stated)
    }

    /// Compares what was seen with what is stated.
    fn compare(&mut self, seen: &[u8], stated: &[u8]) -> Result {
        if seen == stated {
            return Ok(());
        }
        let message = self.console.say(Message::COMPARED);
        message.foreign(stated).foreign(seen);
        Err(NOT_AS_STATED)
    }

    /// Prints which step failed, how, and what the maps are there.
    fn report(&mut self, name: &[u8], step: &Step, expected: u8, error: i32) {
        let mut before = Message::CALL;
        for operand in step.operands.iter().take(step.count) {
            self.console.say(before).foreign(name);
            before = Message::COMMA;
            if !step.text.is_empty() && *operand == step.text.as_ptr().addr() as u64 {
                let text = split(step.text, 0).0;
                self.console.say(Message::TEXT).foreign(text);
            } else {
                self.console.say(Message::ARGUMENT).address(*operand);
            }
        }
        self.console.say(Message::CLOSED);
        if error != NOT_AS_STATED.number() {
            let message = self.console.say(Message::OUTCOME);
            let message = message.word(outcome(expected.into()));
            message.word(outcome(error)).number(error as u64);
        }
        let (window, page) = (self.unit(part::WINDOW), self.unit(part::PAGES));
        self.console
            .say(Message::WINDOW)
            .address(window)
            .number(page);
        let _ = look(self.unit(part::MAPS), &mut |vma, line| {
            let is_behind = vma.start >= window + SHOWN * page;
            if vma.end > window && !is_behind {
                self.console.say(Message::MAPS).foreign(line);
            }
            is_behind
        });
    }
}

/// Whether a VMA, which has this line, is the one.
type Wanted<'a> = dyn FnMut(&Vma, &[u8]) -> bool + 'a;

/// Reads the maps in `file` as they are now, all of them, to the stack at the end, or as much as
/// there is room for, which is more than what is looked at. `ENOENT` if no VMA is
/// `wanted`; those behind the first one are not asked for.
#[inline(never)] // What is far from the stack pointer takes an instruction more each time.
fn look(file: u64, wanted: &mut Wanted) -> Result {
    let mut maps = Vec::<u8, 8192>::new();
    memory::read_from_start(memory::file(file), &mut maps)?;
    let here = maps.as_ptr().addr() as u64;
    let (mut is_whole, mut is_found) = (maps.is_full(), false);
    let mut rest = maps.as_slice();
    while !rest.is_empty() {
        let (line, behind) = split(rest, b'\n');
        rest = behind;
        // In smaps, most lines are no VMAs.
        if let Some(vma) = Vma::parse(line) {
            is_found = is_found || wanted(&vma, line);
            is_whole |= holds(&vma, here);
        }
    }
    match (is_whole, is_found) {
        (false, _) => Err(Errno::EIO),
        (_, false) => Err(ENOENT),
        _ => Ok(()),
    }
}

fn holds(vma: &Vma, address: u64) -> bool {
    vma.start <= address && address < vma.end
}

/// How a call ended, by name.
fn outcome(error: i32) -> Message {
    if error == 0 {
        Message::SUCCESS
    } else {
        errno::name(error)
    }
}
