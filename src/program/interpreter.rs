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
#![allow(clippy::unwrap_used)] // For the reason that `suite.rs` gives.

use crate::{
    arch::call,
    console::Console,
    snapshot,
    start::Process,
    sys::{
        Errno, Fd, Result,
        file::{self, CWD},
        io,
        process::{ChildEnd, reset_memory_merge, run_in_child},
        raw,
    },
};
use heapless::Vec;
use linux_raw_sys::{
    errno as number,
    general::{AT_FDCWD, MADV_DONTFORK, O_RDONLY, O_WRONLY},
    prctl::{PR_SET_VMA, PR_SET_VMA_ANON_NAME},
};
use vm_anon_name::{
    diagram::Diagram,
    errno,
    format::{MAX_DIGITS, Sink, Value, digits},
    maps::Vma,
    name, put,
    scan::{number, split},
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

const EINVAL: Errno = Errno::new(number::EINVAL);
const EMFILE: Errno = Errno::new(number::EMFILE);
const ENFILE: Errno = Errno::new(number::ENFILE);
const ENOENT: Errno = Errno::ENOENT;
const ENOMEM: Errno = Errno::new(number::ENOMEM);

/// The error of a comparison that found a difference and has printed it. No system call of
/// the suite fails with EBADMSG.
const DIFFERENT: Errno = Errno::new(number::EBADMSG);

/// A diagram, a label or another text to compare; a longer one is cut.
type Text = Vec<u8, 256>;

/// The exit statuses of the process of a case. The child of a case also has higher ones:
/// [`SKIPPED`] plus the number of the error for which the case is skipped.
pub(crate) const PASSED: u8 = 0;
pub(crate) const FAILED: u8 = 1;
pub(crate) const SKIPPED: u8 = 2;

/// How many mappings are created between two checks of the available memory.
const MAPPINGS: u32 = 2048;

/// Memory to leave for other processes, in KiB.
const LEFT: u64 = 8 << 10;

/// Why a case ended before its last statement.
pub(crate) enum Stop {
    /// It failed, which has been reported.
    Failed,
    /// This operation failed with an error for which the case is skipped.
    Skipped(u8, Errno),
}

/// The state of a case.
pub(crate) struct Interpreter<'a> {
    pub(crate) console: &'a mut Console,
    pub(crate) suite: Suite<'a>,
    pub(crate) context: Context<'a>,
    /// Whether this case has made a call that is tested.
    has_tested: bool,
    /// A number that no other process has.
    random: u64,
    /// The flags of a VMA that the case remembers.
    flags: Text,
    maps: Maps,
}

impl<'a> Interpreter<'a> {
    /// Reserves the addresses of the window.
    pub(crate) fn new(
        suite: Suite<'a>,
        process: &Process,
        console: &'a mut Console,
    ) -> Result<Self> {
        let page = process.page_size() as u64;
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
            has_tested: false,
            random: process.random(),
            flags: Text::new(),
            maps: Maps {
                file: raw::file(u64::MAX),
                chunk: Vec::new(),
                used: 0,
                line: Vec::new(),
            },
        })
    }

    /// Does `work` in a child, which may crash or hang. Its result is the exit status.
    pub(crate) fn in_child(&mut self, work: &mut dyn FnMut(&mut Self) -> u8) -> Result<ChildEnd> {
        self.console.flush();
        run_in_child(TIMEOUT, &mut || {
            offer_to_oom_killer();
            reset_memory_merge();
            let status = work(self);
            // A case whose result cannot be printed has failed.
            if self.console.close() { status } else { FAILED }
        })
    }

    /// Removes the file that an interrupted case may have left.
    pub(crate) fn clean_up(&self) {
        let name = self.unique_name();
        let words = [
            AT_FDCWD as u64,
            name.as_ptr().expose_provenance() as u64,
            0,
            0,
            0,
            0,
        ];
        // SAFETY: The kernel reads the name, which ends with a NUL.
        let _ = unsafe { raw::call(call::unlinkat as u16, words) };
    }

    /// A file name that no other process uses, with its NUL.
    fn unique_name(&self) -> Text {
        let mut name = Text::new();
        name.put(digits(self.random, 16, 1, &mut [0; MAX_DIGITS]));
        name.put(b"\0");
        name
    }

    /// Says how a child ended.
    pub(crate) fn explain(&mut self, end: ChildEnd) {
        let console = &mut *self.console;
        match end {
            ChildEnd::Exited(_) => {}
            ChildEnd::TimedOut => put!(console, "#   it hung and was killed\n"),
            ChildEnd::Killed(signal) => put!(console, "#   killed by signal {}\n", signal),
        }
    }

    /// Reads the maps as cases do: they must be those of this process.
    pub(crate) fn observe(&mut self) -> Result {
        let file = file::open(&CWD, snapshot::FILE, O_RDONLY)?;
        self.context.registers[MAPS] = raw::number(&file);
        let here = (&raw const file).addr() as u64;
        self.label(here, &mut Text::new())
    }

    /// Runs `statements`, up to the first that does not end as stated.
    pub(crate) fn run(&mut self, mut statements: Steps<'a>) -> core::result::Result<(), Stop> {
        while let Some(statement) = statements.next(&self.context) {
            self.context.parameters = statement.operands;
            let mut steps = self.suite.verb(statement.code);
            let (mut count, mut stride, mut place) = (1, 0, 0);
            while let Some(mut step) = steps.next(&self.context) {
                if step.code == calls::REPEAT {
                    [count, stride, place, ..] = words(&step);
                    continue;
                }
                let mut result = Ok(0);
                for _ in 0..count {
                    result = self.take(&step, &mut statements);
                    if result.is_err() {
                        break;
                    }
                    if let Some(Operand::Number(number)) = step.operands.get_mut(place as usize) {
                        *number = number.wrapping_add(stride);
                    }
                }
                (count, stride, place) = (1, 0, 0);
                let is_tested = is_tested(&step);
                self.has_tested |= is_tested;
                if is_tested {
                    // A call under test succeeds with 0.
                    result = result.and_then(|value| self.compare_numbers(value, 0));
                }
                if let Ok(value) = result
                    && let Some(register) = usize::from(step.kept).checked_sub(1)
                {
                    *self.context.registers.get_mut(register).unwrap() = value;
                }
                let errno = result.err().filter(|_| !step.may_fail);
                if errno.is_none() && !steps.is_empty() {
                    continue;
                }
                // The verb ends here.
                let number = errno.map_or(0, Errno::number);
                let is_number = |other: u8| i32::from(other) == number;
                if is_number(statement.expected) {
                    break;
                }
                if let Some(errno) = errno
                    && statement.skips.iter().any(|skip| is_number(*skip))
                {
                    return Err(Stop::Skipped(step.code, errno));
                }
                // The preparation of a case can fail because of what this process inherits,
                // or of a limit that another process has set. Neither is a fault of naming.
                if let Some(errno) = errno
                    && step.code >= calls::EXHAUST
                    && !is_tested
                    && errno != DIFFERENT
                    && (!self.has_tested || is_limit(&step, errno))
                {
                    return Err(Stop::Skipped(step.code, errno));
                }
                self.report(&step, statement.expected, number);
                return Err(Stop::Failed);
            }
        }
        Ok(())
    }

    /// Takes a step, and returns its result. `fork` takes the statements of its child off
    /// `rest`.
    fn take(&mut self, step: &Step<'a>, rest: &mut Steps<'a>) -> Result<u64> {
        let words = words(step);
        let [first, second, ..] = words;
        let text = match step.operands {
            [Operand::Text(text), ..] | [_, Operand::Text(text), ..] => text,
            _ => b"",
        };
        let mut found = Text::new();
        match step.code {
            calls::SEE => self.draw(text, &mut found)?,
            calls::LABEL => self.label(first, &mut found)?,
            calls::LINE => {
                self.label(first, &mut Text::new())?;
                let line = split(&self.maps.line, b' ').1;
                // The rest of the line differs from one system to the next.
                if let [beginning @ .., b'*'] = text
                    && line.starts_with(beginning)
                {
                    return Ok(0);
                }
                found.put(line);
            }
            // SAFETY: As at the head of this file.
            calls::COMPARE => unsafe { raw::read_text(first, &mut found) },
            calls::EXPECT => {
                // SAFETY: As at the head of this file.
                let found = unsafe { raw::read_number(first, words[2] as usize) };
                return self.compare_numbers(found, second);
            }
            calls::COUNT => {
                let [_, start, length, expected, ..] = words;
                let found = self.count(text, start, start + length)?;
                return self.compare_numbers(found, expected);
            }
            calls::NOTE_FLAGS => {
                self.read_flags(first, &mut found)?;
                self.flags = found;
                return Ok(0);
            }
            calls::SAME_FLAGS => {
                self.read_flags(first, &mut found)?;
                let expected = self.flags.clone();
                return self.compare(&found, &expected);
            }
            calls::FIND => return self.find(text),
            calls::ACCEPT | calls::REJECT => return self.try_bytes(step.code, &words),
            calls::FORK => {
                let child = rest.take(first as usize);
                let end = self.in_child(&mut |interpreter| match interpreter.run(child) {
                    Ok(()) => PASSED,
                    Err(Stop::Failed) => FAILED,
                    Err(Stop::Skipped(_, errno)) => SKIPPED + errno.number() as u8,
                })?;
                return match end {
                    ChildEnd::Exited(PASSED) => Ok(0),
                    ChildEnd::Exited(status) if status > SKIPPED => {
                        Err(Errno::new(u32::from(status - SKIPPED)))
                    }
                    end => {
                        self.explain(end);
                        Err(DIFFERENT)
                    }
                };
            }
            calls::EXHAUST => return self.exhaust(first),
            calls::UNIQUE => {
                // SAFETY: As at the head of this file.
                unsafe { raw::write(first, &self.unique_name()) };
                return Ok(0);
            }
            // SAFETY: As at the head of this file.
            calls::VFORK_PRCTL => return unsafe { raw::prctl_in_child_process(words) },
            // SAFETY: As at the head of this file.
            calls::THREAD_PRCTL => return unsafe { raw::prctl_in_thread(words) },
            calls::STORE | calls::STORE64 | calls::POKE => {
                let (number, word) = (second.to_ne_bytes(), (second as usize).to_ne_bytes());
                let bytes = match step.code {
                    calls::POKE => text,
                    calls::STORE => &word,
                    _ => &number,
                };
                // SAFETY: As at the head of this file.
                unsafe { raw::write(first, bytes) };
                return Ok(0);
            }
            code => {
                let number = CALLS.get(usize::from(code - calls::FIRST_CALL)).unwrap();
                // SAFETY: As at the head of this file.
                return unsafe { raw::call(*number, words) };
            }
        }
        self.compare(&found, text)
    }

    /// Splits a mapping at `address` until this process has as many mappings as it may have.
    /// Stops before the memory for other processes runs short, because the kernel does not
    /// charge the memory of mappings to any process.
    fn exhaust(&self, mut address: u64) -> Result<u64> {
        let page = self.context.page;
        for count in 1.. {
            let words = [address, page, MADV_DONTFORK.into(), 0, 0, 0];
            // SAFETY: As at the head of this file.
            unsafe { raw::call(call::madvise as u16, words) }?;
            address += 2 * page;
            if count % MAPPINGS == 0 && available_memory() < LEFT {
                return Err(ENOMEM);
            }
        }
        Ok(0)
    }

    /// The number of VMAs with this label that lie between two addresses.
    fn count(&mut self, label: &[u8], start: u64, end: u64) -> Result<u64> {
        let mut count = 0;
        self.search(&mut |vma, _| {
            count += u64::from(vma.start >= start && vma.end <= end && vma.label == label);
            vma.start >= end
        })?;
        Ok(count)
    }

    /// Appends the line `VmFlags` of the VMA at `address` to `flags`.
    fn read_flags(&mut self, address: u64, flags: &mut Text) -> Result {
        self.search(&mut |vma, _| vma.contains(address))?;
        while self.maps.next_line()? {
            if self.maps.line.starts_with(b"VmFlags:") {
                flags.put(&self.maps.line);
                return Ok(());
            }
        }
        Err(ENOENT)
    }

    fn compare(&mut self, found: &[u8], expected: &[u8]) -> Result<u64> {
        match found == expected {
            true => Ok(0),
            false => self.differ(found.into(), expected.into()),
        }
    }

    fn compare_numbers(&mut self, found: u64, expected: u64) -> Result<u64> {
        match found == expected {
            true => Ok(0),
            false => self.differ(found.into(), expected.into()),
        }
    }

    /// Prints what was found and what was expected.
    fn differ(&mut self, found: Value, expected: Value) -> Result<u64> {
        put!(
            self.console,
            "#   expected {}\n#   seen {}\n",
            expected,
            found
        );
        Err(DIFFERENT)
    }

    /// Draws as many pages of the window as the diagram `expected` has.
    fn draw(&mut self, expected: &[u8], drawn: &mut Text) -> Result {
        let (window, page) = (self.context.registers[WINDOW], self.context.page);
        let pages = expected.iter().filter(|byte| **byte != b'|').count() as u64;
        let end = window + pages * page;
        let mut diagram = Diagram::new(drawn, page, window, end);
        self.search(&mut |vma, _| {
            diagram.add(vma);
            vma.end >= end
        })?;
        diagram.finish();
        Ok(())
    }

    /// The label of the VMA that contains `address`.
    fn label(&mut self, address: u64, label: &mut Text) -> Result {
        self.search(&mut |vma, _| {
            let is_found = vma.contains(address);
            if is_found {
                label.put(vma.label);
            }
            is_found
        })
    }

    /// The first address of the first VMA whose label begins with `label`. Keeps its length.
    fn find(&mut self, label: &[u8]) -> Result<u64> {
        let (mut start, mut length) = (0, 0);
        self.search(&mut |vma, _| {
            (start, length) = (vma.start, vma.end - vma.start);
            vma.label.starts_with(label)
        })?;
        self.context.registers[LENGTH] = length;
        Ok(start)
    }

    /// Names the window's first page with each byte from `first` to `last`: at the first
    /// place of a name if it is accepted, at each place if it is rejected. Compares the
    /// label after each byte.
    fn try_bytes(&mut self, code: u8, words: &[u64; 6]) -> Result<u64> {
        let [first, last, size, ..] = *words;
        let (window, page) = (self.context.registers[WINDOW], self.context.page);
        let (expected, places) = match code {
            calls::ACCEPT => (None, 1),
            _ => (Some(EINVAL), size),
        };
        for byte in first..last + 1 {
            for place in 0..places {
                let name = name_with(byte, place, size);
                let start = name.as_ptr().expose_provenance() as u64;
                let (option, attribute) = (PR_SET_VMA.into(), PR_SET_VMA_ANON_NAME.into());
                let words = [option, attribute, window, page, start, 0];
                // SAFETY: The kernel reads the name, which changes no memory.
                let found = unsafe { raw::call(call::prctl as u16, words) }.err();
                if found != expected {
                    let ending = ending(found.map_or(0, Errno::number));
                    put!(
                        self.console,
                        "#   byte {} at place {}: {}\n",
                        byte,
                        place,
                        ending
                    );
                    return Err(found.unwrap_or(DIFFERENT));
                }
            }
            let byte = match code {
                calls::ACCEPT => byte,
                _ => b'a'.into(),
            };
            let (mut label, mut found) = (Text::new(), Text::new());
            label.put(b"[anon:");
            label.put(split(&name_with(byte, 0, size), 0).0);
            label.put(b"]");
            self.label(window, &mut found)?;
            self.compare(&found, &label)?;
        }
        Ok(0)
    }

    /// Reports the step that failed: what it was, how it should have ended and how it did,
    /// and the VMAs in the window.
    fn report(&mut self, step: &Step, expected: u8, found: i32) {
        let console = &mut *self.console;
        put!(console, "# {}", operation(step.code));
        let mut before = "(";
        for operand in step.operands.iter().take(step.count) {
            match operand {
                Operand::Number(number) => put!(console, "{}{hex}", before, *number),
                Operand::Text(text) => put!(console, "{}\"{}\"", before, *text),
            }
            before = ", ";
        }
        put!(console, ")");
        if found != DIFFERENT.number() {
            put!(
                console,
                ": expected {}, seen {} ({})",
                ending(expected.into()),
                ending(found),
                found as u64
            );
        }
        let (window, page) = (self.context.registers[WINDOW], self.context.page);
        put!(
            console,
            "\n#   the window is at {hex}, a page has {} bytes\n",
            window,
            page
        );
        let end = window + DRAWN * page;
        // If the maps cannot be read, they are not shown.
        let _ = self
            .maps
            .search(self.context.registers[MAPS], &mut |vma, line| {
                if vma.end > window && vma.start < end {
                    put!(console, "#   {}\n", line);
                }
                vma.start >= end
            });
    }

    /// Passes the VMAs to `is_last`, see [`Maps::search`].
    fn search(&mut self, is_last: &mut dyn FnMut(&Vma, &[u8]) -> bool) -> Result {
        let file = self.context.registers[MAPS];
        self.maps.search(file, is_last)
    }
}

/// The VMAs in a maps file, one by one.
struct Maps {
    file: Fd,
    chunk: Vec<u8, 4096>,
    /// How much of `chunk` has been used.
    used: usize,
    /// The line of the VMA, which may contain a path of PATH_MAX (4096) bytes.
    line: Vec<u8, 4352>,
}

impl Maps {
    /// Reads `file` from its beginning, and passes each VMA, with its line, to `is_last`
    /// until that returns true.
    ///
    /// # Errors
    ///
    /// That of a call; ENOENT if `is_last` has returned false for all VMAs; EIO if a line is
    /// not that of a VMA, or if the file lacks the stack of this process, and so its end.
    fn search(&mut self, file: u64, is_last: &mut dyn FnMut(&Vma, &[u8]) -> bool) -> Result {
        self.file = raw::file(file);
        self.chunk.clear();
        self.used = 0;
        raw::rewind(&self.file)?;
        let here = (&raw const *self).addr() as u64;
        let mut error = Errno::EIO;
        while self.next_line()? {
            // In smaps, lines that begin with a capital follow the line of a VMA.
            if matches!(self.line.first(), Some(b'A'..=b'Z')) {
                continue;
            }
            let vma = Vma::parse(&self.line).ok_or(Errno::EIO)?;
            if is_last(&vma, &self.line) {
                return Ok(());
            }
            if vma.contains(here) {
                error = ENOENT;
            }
        }
        Err(error)
    }

    /// Reads the next line of the file into `line`, without its newline. Returns false at
    /// the end of the file.
    fn next_line(&mut self) -> Result<bool> {
        self.line.clear();
        loop {
            while let Some(byte) = self.chunk.get(self.used).copied() {
                self.used += 1;
                if byte == b'\n' {
                    return Ok(true);
                }
                self.line.push(byte).or(Err(Errno::EIO))?;
            }
            self.chunk.clear();
            self.used = 0;
            if io::read(&self.file, &mut self.chunk)? == 0 {
                return Ok(false);
            }
        }
    }
}

/// Whether a step is the call under test, or PROCMAP_QUERY, which shows what it did.
fn is_tested(step: &Step) -> bool {
    let words = words(step);
    match step.code {
        // prctl(2), the first of the system calls. The kernel takes its option for an int.
        calls::FIRST_CALL => words[0] as u32 == PR_SET_VMA,
        calls::ACCEPT | calls::REJECT | calls::VFORK_PRCTL | calls::THREAD_PRCTL => true,
        code => {
            let place = usize::from(code).checked_sub(calls::FIRST_CALL.into());
            let number = place.and_then(|place| CALLS.get(place));
            number == Some(&(call::ioctl as u16)) && words[1] == file::PROCMAP_QUERY
        }
    }
}

/// Whether a limit on files or processes refused the step.
fn is_limit(step: &Step, errno: Errno) -> bool {
    errno == EMFILE || errno == ENFILE || step.code == calls::FORK && errno == Errno::EAGAIN
}

/// Makes this process the first that the kernel kills where memory runs short. Any user may.
fn offer_to_oom_killer() {
    if let Ok(file) = file::open(&CWD, c"/proc/self/oom_score_adj", O_WRONLY) {
        let _ = io::write_all(&file, b"1000");
        let _ = file::close(file);
    }
}

/// Available memory in KiB, from the third line of `/proc/meminfo`; `u64::MAX` if it cannot
/// be read.
fn available_memory() -> u64 {
    let mut text = Vec::<u8, 256>::new();
    if let Ok(file) = file::open(&CWD, c"/proc/meminfo", O_RDONLY) {
        let _ = io::read(&file, &mut text);
        let _ = file::close(file);
    }
    let mut rest = text.as_slice();
    for _ in 0..3 {
        rest = split(rest, b':').1;
    }
    while let [b' ', after @ ..] = rest {
        rest = after;
    }
    number(&mut rest).unwrap_or(u64::MAX)
}

/// The operands of a step as a system call gets them: six numbers.
fn words(step: &Step) -> [u64; 6] {
    step.operands.map(|operand| match operand {
        Operand::Number(number) => number,
        Operand::Text(text) => text.as_ptr().expose_provenance() as u64,
    })
}

/// A name of `size` letters, one of which is replaced by `byte`, and a NUL.
fn name_with(byte: u64, place: u64, size: u64) -> [u8; name::MAX_LENGTH + 1] {
    let mut name = [b'a'; _];
    *name.get_mut(place as usize).unwrap() = byte as u8;
    *name.get_mut(size as usize).unwrap() = 0;
    name
}

/// How a call ended: the name of its error, or success for 0.
fn ending(number: i32) -> &'static [u8] {
    match number {
        0 => b"success",
        _ => errno::name(number),
    }
}
