//! Interpreter of the conformance suite: takes the steps of a case one by one.
//!
//! # Safety
//!
//! Unsafe, because a step may be any system call with any arguments, or a write to any
//! address. The steps of the suite change only the addresses reserved around the window,
//! the heap, and memory that they have mapped themselves. No Rust reference points there.
//! Other memory gets names, which change nothing in it. `tests/host/suite/confinement.rs`
//! checks this for every case.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used)] // As in `suite.rs`.

use crate::{
    arch::call,
    console::Console,
    sys::{
        self, Errno, Fd, io,
        process::{ChildEnd, run_in_child},
        raw,
    },
};
use core::ops::RangeInclusive;
use heapless::Vec;
use linux_raw_sys::{
    errno,
    prctl::{PR_SET_VMA, PR_SET_VMA_ANON_NAME},
};
use vm_anon_name::{
    diagram::Diagram,
    format::{Escaped, Hex, Sink, Value},
    maps::Vma,
    name, put,
    scan::split,
    suite::{
        Context, Operand, Step, Steps, Suite, calls,
        encoding::register::{LENGTH, MAPS, WINDOW},
        operation,
    },
};

/// How long a case may take, in seconds: far longer than any case takes on a busy host.
const TIMEOUT: i64 = 100;

/// Pages that are reserved. The window begins in their middle, because a mapping that
/// grows down needs 256 free pages below it.
const RESERVED: u64 = 2048;

/// Pages that a diagram can have, and whose VMAs a failure report shows.
const DRAWN: u64 = 32;

/// The numbers of the system calls, in the order of their names.
const CALLS: &[u16] = {
    macro_rules! numbers {
        ($($name:ident)*) => { &[$(call::$name as u16),*] };
    }
    vm_anon_name::system_calls!(numbers)
};

const ENOENT: Errno = Errno::new(errno::ENOENT);

/// How a case ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    Skipped,
}

impl Outcome {
    /// The exit status of the child that runs the case.
    pub(crate) fn status(self) -> u8 {
        self as u8
    }

    fn of_status(status: u8) -> Self {
        match status {
            0 => Outcome::Passed,
            2 => Outcome::Skipped,
            _ => Outcome::Failed,
        }
    }
}

/// Why a case ended before its last statement.
pub(crate) enum Stop {
    /// It failed, and this has been reported.
    Failed,
    /// The case states that this error of this operation skips it.
    Skipped { operation: u8, errno: Errno },
}

/// Why a step failed.
enum Failure {
    /// A system call failed, or the maps have no such VMA.
    Errno(Errno),
    /// What was compared differs. Both sides have been printed.
    Difference,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Failure::Errno(errno)
    }
}

/// The state of a case.
pub(crate) struct Interpreter<'a> {
    pub(crate) console: &'a mut Console,
    suite: Suite<'a>,
    context: Context<'a>,
}

impl<'a> Interpreter<'a> {
    /// Reserves the addresses of the window.
    pub(crate) fn new(suite: Suite<'a>, page: u64, console: &'a mut Console) -> sys::Result<Self> {
        let mut context = Context::ZERO;
        context.page = page;
        // One page of page table entries, 8 bytes each, maps a huge page.
        context.huge = page * page / 8;
        context.registers[WINDOW] = raw::reserve(RESERVED * page)? + RESERVED / 2 * page;
        context.registers[MAPS] = u64::MAX; // No file.
        Ok(Interpreter {
            console,
            suite,
            context,
        })
    }

    /// Does `work` in a child, which may crash or hang.
    pub(crate) fn in_child(&mut self, work: &mut dyn FnMut(&mut Self) -> Outcome) -> Outcome {
        self.console.flush();
        let end = run_in_child(TIMEOUT, &mut || {
            let outcome = work(self);
            // A result that could not be printed is lost.
            let is_printed = self.console.close();
            if is_printed { outcome } else { Outcome::Failed }.status()
        });
        let console = &mut *self.console;
        match end {
            Ok(ChildEnd::Exited(status)) => return Outcome::of_status(status),
            Ok(ChildEnd::TimedOut) => put!(console, "#   it hung and was killed\n"),
            Ok(ChildEnd::Killed(signal)) => put!(console, "#   killed by signal {}\n", signal),
            Err(errno) => put!(console, "#   no child, or no word of its end: {}\n", errno),
        }
        Outcome::Failed
    }

    /// Runs `statements`, up to the first that does not end as stated.
    pub(crate) fn run(&mut self, mut statements: Steps<'a>) -> Result<(), Stop> {
        while let Some(statement) = statements.next(&self.context) {
            self.context.parameters = statement.operands;
            let (step, result) = self.take_steps(&statement, &mut statements);
            let number = match &result {
                Ok(()) => 0,
                Err(Failure::Errno(errno)) => errno.number(),
                Err(Failure::Difference) => {
                    self.report(&step, None);
                    return Err(Stop::Failed);
                }
            };
            let is_number = |other: u8| i32::from(other) == number;
            if is_number(statement.expected) {
                continue;
            }
            if let Err(Failure::Errno(errno)) = result
                && statement.skips.iter().any(|skip| is_number(*skip))
            {
                let operation = step.code;
                return Err(Stop::Skipped { operation, errno });
            }
            self.report(&step, Some([statement.expected.into(), number]));
            return Err(Stop::Failed);
        }
        Ok(())
    }

    /// Takes the steps of a statement's verb, up to the first that fails. Returns the last
    /// one taken, and how it ended. `fork` takes the statements of its child off `rest`.
    fn take_steps(
        &mut self,
        statement: &Step<'a>,
        rest: &mut Steps<'a>,
    ) -> (Step<'a>, Result<(), Failure>) {
        let mut steps = self.suite.verb(statement.code);
        let (mut count, mut stride) = (1, 0);
        loop {
            let mut step = steps.next(&self.context).unwrap();
            if step.code == calls::REPEAT {
                [count, stride, ..] = words(&step);
                continue;
            }
            let mut result = Ok(0);
            for _ in 0..count {
                result = self.take(&step, rest);
                if result.is_err() {
                    break;
                }
                if let Operand::Number(first) = &mut step.operands[0] {
                    *first = first.wrapping_add(stride);
                }
            }
            (count, stride) = (1, 0);
            match result {
                Ok(value) if step.kept != 0 => {
                    let place = usize::from(step.kept) - 1;
                    *self.context.registers.get_mut(place).unwrap() = value;
                }
                Err(failure) if !step.may_fail => return (step, Err(failure)),
                _ => {}
            }
            if steps.is_empty() {
                return (step, Ok(()));
            }
        }
    }

    /// Takes a step.
    fn take(&mut self, step: &Step<'a>, rest: &mut Steps<'a>) -> Result<u64, Failure> {
        let words = words(step);
        let [first, second, third, ..] = words;
        let text = |operand: Operand<'a>| match operand {
            Operand::Text(text) => text,
            Operand::Number(_) => panic!(),
        };
        match step.code {
            calls::SEE => self.see(text(step.operands[0]))?,
            calls::LABEL => self.compare_label(first, text(step.operands[1]))?,
            calls::FIND => return Ok(self.find(text(step.operands[0]))?),
            calls::COMPARE => {
                let mut found = Vec::<u8, 256>::new();
                // SAFETY: As at the head of this file.
                unsafe { raw::read_text(first, &mut found) };
                self.compare(&found, text(step.operands[1]))?;
            }
            calls::EXPECT32 => {
                // SAFETY: As at the head of this file.
                let found = u64::from(unsafe { raw::read_number(first) });
                if found != second {
                    put!(
                        self.console,
                        "#   expected {}\n#   seen {}\n",
                        second,
                        found
                    );
                    return Err(Failure::Difference);
                }
            }
            // SAFETY: As at the head of this file.
            calls::STORE64 => unsafe { raw::write(first, &second.to_ne_bytes()) },
            // SAFETY: As at the head of this file.
            calls::POKE => unsafe { raw::write(first, text(step.operands[1])) },
            calls::ACCEPT => self.accept(first..=second, third as usize)?,
            calls::REJECT => self.reject(first..=second, third as usize)?,
            calls::FORK => {
                let child = rest.take(first as usize);
                match self.in_child(&mut |interpreter| interpreter.run_helper(child)) {
                    Outcome::Passed => {}
                    _ => return Err(Failure::Difference),
                }
            }
            calls::EXEC => {
                let check = c"check".as_ptr().expose_provenance() as u64;
                // SAFETY: A NUL ends each word, also those of the suite.
                return Err(unsafe { raw::exec(c"/proc/self/exe", [check, check, first]) }.into());
            }
            // SAFETY: As at the head of this file.
            calls::VFORK_PRCTL => return Ok(unsafe { raw::prctl_in_sharing_child(&words) }?),
            code => {
                let number = CALLS.get(usize::from(code - calls::FIRST_CALL)).unwrap();
                // SAFETY: As at the head of this file.
                return Ok(unsafe { raw::call(*number, words) }?);
            }
        }
        Ok(0)
    }

    /// Runs statements that cannot skip the case, because it is another process that runs
    /// the case.
    pub(crate) fn run_helper(&mut self, statements: Steps<'a>) -> Outcome {
        match self.run(statements) {
            Ok(()) => Outcome::Passed,
            Err(Stop::Failed) => Outcome::Failed,
            Err(Stop::Skipped { operation, errno }) => {
                put!(
                    self.console,
                    "# {}: {}\n",
                    self::operation(operation),
                    errno
                );
                Outcome::Failed
            }
        }
    }

    /// The file descriptor of the maps file that is read.
    fn maps(&self) -> Fd {
        raw::file(self.context.registers[MAPS])
    }

    /// Compares the diagram of as many pages as `expected` has.
    fn see(&mut self, expected: &[u8]) -> Result<(), Failure> {
        let pages = expected.iter().filter(|byte| **byte != b'|').count() as u64;
        let start = self.context.registers[WINDOW];
        let end = start + pages * self.context.page;
        let mut drawn = Vec::<u8, { 2 * DRAWN as usize + 1 }>::new();
        let mut diagram = Diagram::new(&mut drawn, self.context.page, start, end);
        for_each_vma(&self.maps(), &mut |vma, _| {
            diagram.add(vma);
            vma.end < end
        })?;
        diagram.finish();
        self.compare(&drawn, expected)
    }

    /// Compares the label of the VMA that contains `address`.
    fn compare_label(&mut self, address: u64, expected: &[u8]) -> Result<(), Failure> {
        let mut result = Err(ENOENT.into());
        let maps = self.maps();
        for_each_vma(&maps, &mut |vma, _| {
            if contains(vma, address) {
                result = self.compare(vma.label, expected);
            }
            vma.end <= address
        })?;
        result
    }

    /// Finds the first VMA whose label begins with `label`. Returns its first address, and
    /// keeps its length.
    fn find(&mut self, label: &[u8]) -> sys::Result<u64> {
        let mut found = None;
        for_each_vma(&self.maps(), &mut |vma, _| {
            if vma.label.starts_with(label) {
                found = Some((vma.start, vma.end - vma.start));
            }
            found.is_none()
        })?;
        let (start, length) = found.ok_or(ENOENT)?;
        self.context.registers[LENGTH] = length;
        Ok(start)
    }

    /// Names the window's first page with each of `bytes`, followed by letters, and
    /// compares its label.
    fn accept(&mut self, bytes: RangeInclusive<u64>, size: usize) -> Result<(), Failure> {
        for byte in bytes {
            let name = name_with(byte as u8, 0, size);
            self.try_name(&name, byte, 0, 0)?;
            let mut label = Vec::<u8, 128>::new();
            put!(&mut label, "[anon:{}]", split(&name, 0).0);
            self.compare_label(self.context.registers[WINDOW], &label)?;
        }
        Ok(())
    }

    /// Tries names that have one of `bytes` at each of `size` places, and compares the
    /// label of the window's first page with the one before.
    fn reject(&mut self, bytes: RangeInclusive<u64>, size: usize) -> Result<(), Failure> {
        let window = self.context.registers[WINDOW];
        let mut label = Vec::<u8, 128>::new();
        for_each_vma(&self.maps(), &mut |vma, _| {
            if contains(vma, window) {
                label.put(vma.label);
            }
            vma.end <= window
        })?;
        for byte in bytes {
            for place in 0..size {
                let name = name_with(byte as u8, place, size);
                self.try_name(&name, byte, place, errno::EINVAL as i32)?;
            }
            self.compare_label(window, &label)?;
        }
        Ok(())
    }

    /// Names the window's first page. Prints the result, which is 0 or the number of an
    /// error, if it is not the `expected` one.
    fn try_name(
        &mut self,
        name: &[u8],
        byte: u64,
        place: usize,
        expected: i32,
    ) -> Result<(), Failure> {
        let (option, attribute) = (PR_SET_VMA.into(), PR_SET_VMA_ANON_NAME.into());
        let (window, page) = (self.context.registers[WINDOW], self.context.page);
        let name = name.as_ptr().expose_provenance() as u64;
        // SAFETY: The kernel reads `name`, which a NUL ends. A name changes no memory.
        let result = unsafe {
            raw::call(
                call::prctl as u16,
                [option, attribute, window, page, name, 0],
            )
        };
        let found = result.err().map_or(0, Errno::number);
        if found == expected {
            return Ok(());
        }
        put!(
            self.console,
            "#   expected {}, seen {}: byte {} at place {} of the name\n",
            ending(expected),
            ending(found),
            byte,
            place
        );
        Err(Failure::Difference)
    }

    /// Compares two texts, and prints them if they differ.
    fn compare(&mut self, found: &[u8], expected: &[u8]) -> Result<(), Failure> {
        if found == expected {
            return Ok(());
        }
        let (expected, found) = (Escaped(expected), Escaped(found));
        put!(
            self.console,
            "#   expected {}\n#   seen {}\n",
            expected,
            found
        );
        Err(Failure::Difference)
    }

    /// Reports the step that failed: what it was, how it should have ended and how it did,
    /// and the VMAs in the window.
    fn report(&mut self, step: &Step, endings: Option<[i32; 2]>) {
        let console = &mut *self.console;
        put!(console, "# {}", operation(step.code));
        let mut before = "(";
        for operand in step.operands.iter().take(step.count) {
            match operand {
                Operand::Number(number) => put!(console, "{}{}", before, Hex(*number)),
                Operand::Text(text) => {
                    put!(console, "{}\"{}\"", before, Escaped(text));
                }
            }
            before = ", ";
        }
        put!(console, ")");
        if let Some([expected, found]) = endings {
            put!(
                console,
                ": expected {}, seen {}",
                ending(expected),
                ending(found)
            );
        }
        let (window, page) = (self.context.registers[WINDOW], self.context.page);
        put!(
            console,
            "\n#   the window is at {}, a page has {} bytes\n",
            Hex(window),
            page
        );
        let maps = self.maps();
        let end = window + DRAWN * page;
        // The maps that cannot be read are not shown.
        let _ = for_each_vma(&maps, &mut |vma, line| {
            if vma.end > window && vma.start < end {
                put!(self.console, "#   {}\n", Escaped(line));
            }
            vma.end < end
        });
    }
}

/// Calls `visit` with each VMA in the file `maps`, and its line, until that returns false.
///
/// # Errors
///
/// That of a call; EIO if the file ends before the VMA of the stack, which lies above all
/// that a case looks at.
#[inline(never)] // The buffers must not add to the frames of other functions.
fn for_each_vma(maps: &Fd, visit: &mut dyn FnMut(&Vma, &[u8]) -> bool) -> sys::Result {
    let mut buffer = Vec::<u8, 4096>::new();
    // The longest line is that of a file with the longest path.
    let mut line = Vec::<u8, 4352>::new();
    let here = buffer.as_ptr().addr() as u64;
    let mut is_whole = false;
    raw::rewind(maps)?;
    while io::read(maps, &mut buffer)? > 0 {
        for byte in &buffer {
            if *byte != b'\n' {
                line.push(*byte).or(Err(Errno::EIO))?;
                continue;
            }
            // In smaps, other lines follow the line of a VMA.
            if let Some(vma) = Vma::parse(&line) {
                is_whole |= contains(&vma, here);
                if !visit(&vma, &line) {
                    return Ok(());
                }
            }
            line.clear();
        }
        buffer.clear();
    }
    if is_whole { Ok(()) } else { Err(Errno::EIO) }
}

fn contains(vma: &Vma, address: u64) -> bool {
    vma.start <= address && address < vma.end
}

/// The operands of a step as a system call gets them: six numbers.
fn words(step: &Step) -> [u64; 6] {
    let mut words = [0; 6];
    for (word, operand) in words.iter_mut().zip(&step.operands) {
        *word = match operand {
            Operand::Number(number) => *number,
            Operand::Text(text) => text.as_ptr().expose_provenance() as u64,
        };
    }
    words
}

/// A name of `size` letters `a`, with `byte` at one place, and a NUL.
fn name_with(byte: u8, place: usize, size: usize) -> [u8; name::MAX_LENGTH + 1] {
    let mut name = [b'a'; _];
    *name.get_mut(place).unwrap() = byte;
    *name.get_mut(size).unwrap() = 0;
    name
}

/// How a call ended: with an error, or 0 for success.
fn ending<'a>(number: i32) -> Value<'a> {
    match number {
        0 => Value::from("success"),
        number => Value::Errno(number),
    }
}
