//! Interpreter of the conformance suite: executes the steps of a case one by one.
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
        process::{ChildEnd, is_filtered, reset_memory_merge, run_in_child},
        raw,
    },
};
use core::mem::offset_of;
use heapless::Vec;
use linux_raw_sys::{
    errno as number,
    general::{AT_FDCWD, MADV_DONTFORK, O_RDONLY, O_WRONLY, statx},
    prctl::{PR_SET_VMA, PR_SET_VMA_ANON_NAME},
};
use vm_anon_name::{
    diagram::Diagram,
    errno,
    format::{MAX_DIGITS, Sink, Value, digits},
    maps::{Vma, is_of_64_bits},
    name, put,
    scan::{after, split},
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

/// The number of pages whose VMAs a failure report shows. The host tests check that no
/// diagram has more.
const DRAWN: u64 = 32;

/// The numbers of the system calls, in the order of their names.
const CALLS: &[u16] = {
    macro_rules! numbers {
        ($($name:ident)*) => { &[$(call::$name as u16),*] };
    }
    vm_anon_name::system_calls!(numbers)
};

const E2BIG: Errno = Errno::new(number::E2BIG);
const EINVAL: Errno = Errno::new(number::EINVAL);
const EMFILE: Errno = Errno::new(number::EMFILE);
const ENFILE: Errno = Errno::new(number::ENFILE);
const ENOENT: Errno = Errno::ENOENT;
const ENOSYS: Errno = Errno::new(number::ENOSYS);

/// EBADMSG, with which no system call of the suite fails: the error of a comparison that
/// found a difference and has printed it.
const DIFFERENT: Errno = Errno::new(number::EBADMSG);

/// A diagram, a label or another text to compare. Bytes beyond the 256th are dropped.
type Text = Vec<u8, 256>;

/// The arguments of a `repeat` that executes a step once: the count, the stride, and the
/// place of the argument that grows.
const ONCE: [u64; 3] = [1, 0, 0];

/// The exit statuses of the process of a case. A child of a case, and a helper case that the
/// process executes, also have higher ones: [`SKIPPED`] plus the number of the error for which
/// the case is skipped.
pub(crate) const PASSED: u8 = 0;
pub(crate) const FAILED: u8 = 1;
pub(crate) const SKIPPED: u8 = 2;

/// How often `exhaust` splits its mapping at most. Each time, there are two mappings more.
const SPLITS: u64 = 2048;

/// Why a case ended before its last statement.
pub(crate) enum Stop {
    /// It failed, and the failure has been reported.
    Failed,
    /// This operation failed with an error for which the case is skipped.
    Skipped(u8, Errno),
}

/// The state of a case.
pub(crate) struct Interpreter<'a> {
    pub(crate) console: &'a mut Console,
    pub(crate) suite: Suite<'a>,
    pub(crate) context: Context<'a>,
    /// Whether this case has made a call under test.
    has_tested: bool,
    /// Whether a thread or child for a call under test could not be created.
    lacks_child: bool,
    /// A file name that no other run of the program uses, with its NUL.
    file_name: Text,
    /// The `VmFlags` line that `note_flags` stored.
    flags: Text,
    maps: Maps,
}

impl<'a> Interpreter<'a> {
    /// The state before the first case, without the window.
    pub(crate) fn new(suite: Suite<'a>, process: &Process, console: &'a mut Console) -> Self {
        let page = process.page_size() as u64;
        let mut interpreter = Interpreter {
            console,
            suite,
            context: Context::ZERO,
            has_tested: false,
            lacks_child: false,
            file_name: Text::new(),
            flags: Text::new(),
            maps: Maps::new(),
        };
        let context = &mut interpreter.context;
        context.page = page;
        // A page of page table entries maps one huge page. On 32-bit machines, an entry has 4 or 8
        // bytes, so this is one huge page or two.
        context.huge = page * page / size_of::<usize>() as u64;
        context.registers[MAPS] = u64::MAX; // No file.
        let name = &mut interpreter.file_name;
        name.put(digits(process.random(), 16, 1, &mut [0; MAX_DIGITS]));
        name.put(b"\0");
        interpreter
    }

    /// Reserves the addresses of the window.
    pub(crate) fn reserve_window(&mut self) -> Result {
        let context = &mut self.context;
        let half = RESERVED / 2 * context.page;
        context.registers[WINDOW] = raw::reserve(2 * half)? + half;
        Ok(())
    }

    /// Does `work` in a child, which may crash or hang. The result of `work` is the exit
    /// status of the child.
    ///
    /// # Errors
    ///
    /// That of clone(2), or the one for which the child's part of the case is skipped.
    pub(crate) fn in_child(&mut self, work: &mut dyn FnMut(&mut Self) -> u8) -> Result<ChildEnd> {
        self.console.flush();
        let end = run_in_child(TIMEOUT, &mut || {
            offer_to_oom_killer();
            reset_memory_merge();
            let status = work(self);
            // A case whose result cannot be printed has failed.
            if self.console.close() { status } else { FAILED }
        })?;
        match end {
            ChildEnd::Exited(status) if status > SKIPPED => {
                Err(Errno::new(u32::from(status - SKIPPED)))
            }
            end => Ok(end),
        }
    }

    /// Removes the file that an interrupted case may have left.
    pub(crate) fn clean_up(&self) {
        let name = self.file_name.as_ptr().expose_provenance() as u64;
        let words = [AT_FDCWD as u64, name, 0, 0, 0, 0];
        // SAFETY: The kernel reads the name, which ends with a NUL.
        let _ = unsafe { raw::call(call::unlinkat as u16, words) };
    }

    /// Prints how a child ended, unless it exited.
    pub(crate) fn explain(&mut self, end: ChildEnd) {
        if !matches!(end, ChildEnd::Exited(_)) {
            self.console.put(b"#   ");
            self.put_end(end);
        }
    }

    /// Prints the rest of a line: how a child ended that did not exit.
    pub(crate) fn put_end(&mut self, end: ChildEnd) {
        let console = &mut *self.console;
        match end {
            ChildEnd::Exited(_) => {}
            ChildEnd::TimedOut => put!(console, "it hung and was killed\n"),
            ChildEnd::Killed(signal) => put!(console, "killed by signal {}\n", signal),
        }
    }

    /// Reads the maps as cases do: they must be those of this process.
    pub(crate) fn observe(&mut self) -> Result {
        let file = raw::number(&file::open(&CWD, snapshot::FILE, O_RDONLY)?);
        self.context.registers[MAPS] = file;
        let here = (&raw const *self).addr() as u64;
        self.maps.find(file, here).map(drop)
    }

    /// Whether the kernel has addresses of 64 bits, by the line of the stack in the maps.
    pub(crate) fn is_on_64_bits(&mut self) -> bool {
        self.observe().is_ok() && is_of_64_bits(self.maps.line())
    }

    /// Runs `statements`, up to the first that does not end as stated.
    pub(crate) fn run(&mut self, mut statements: Steps<'a>) -> core::result::Result<(), Stop> {
        while let Some(statement) = &statements.next(&self.context) {
            self.context.parameters = statement.operands;
            let mut steps = self.suite.verb(statement.code);
            let mut repetition = ONCE;
            while let Some(step) = &mut steps.next(&self.context) {
                if step.code == calls::REPEAT {
                    let [count, stride, place, ..] = words(step);
                    repetition = [count, stride, place];
                    continue;
                }
                let result = self.repeat(repetition, step, &mut statements);
                repetition = ONCE;
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
                    && (statement.skips.iter().any(|skip| is_number(*skip))
                        || self.is_unprepared(step, errno))
                {
                    return Err(Stop::Skipped(step.code, errno));
                }
                self.report(step, statement.expected, number);
                return Err(Stop::Failed);
            }
        }
        Ok(())
    }

    /// Executes a step as often as `repeat` says, or until it fails. Returns the last result.
    fn repeat(
        &mut self,
        [count, stride, place]: [u64; 3],
        step: &mut Step<'a>,
        rest: &mut Steps<'a>,
    ) -> Result<u64> {
        let is_tested = is_tested(step);
        self.has_tested |= is_tested;
        let mut result = Ok(0);
        for _ in 0..count {
            result = self.take(step, rest);
            if result.is_err() {
                break;
            }
            if let Some(Operand::Number(number)) = step.operands.get_mut(place as usize) {
                *number = number.wrapping_add(stride);
            }
        }
        match result {
            // A call under test succeeds with 0.
            Ok(value) if is_tested => self.compare_numbers(value, 0),
            _ => result,
        }
    }

    /// Whether `step` failed for another reason than naming: before the first call under test, at
    /// a limit on files or processes, or because of a filter.
    fn is_unprepared(&self, step: &Step, errno: Errno) -> bool {
        let is_early = !self.has_tested || is_limit(step, errno);
        let is_outside = (is_early && !is_tested(step)) || is_refused(step, errno);
        let is_call = step.code >= calls::EXHAUST && errno != DIFFERENT;
        self.lacks_child || (is_call && is_outside)
    }

    /// Executes a step, and returns its result. `fork` removes the statements of its child
    /// from `rest`.
    fn take(&mut self, step: &Step<'a>, rest: &mut Steps<'a>) -> Result<u64> {
        let words = words(step);
        let [first, second, third, ..] = words;
        let text = match step.operands {
            [Operand::Text(text), ..] | [_, Operand::Text(text), ..] => text,
            _ => b"",
        };
        let file = self.context.registers[MAPS];
        let console = &mut *self.console;
        match step.code {
            calls::SEE => {
                let mut diagram = Text::new();
                self.draw(text, &mut diagram)?;
                compare(&diagram, text, self.console)
            }
            calls::LABEL => compare(self.maps.find(file, first)?.label, text, console),
            calls::LINE => {
                self.maps.find(file, first)?;
                let line = split(self.maps.line(), b' ').1;
                match text {
                    // The rest of the line differs from one system to the next.
                    [beginning @ .., b'*'] if line.starts_with(beginning) => Ok(0),
                    _ => compare(line, text, console),
                }
            }
            calls::COMPARE => {
                let mut found = Text::new();
                // SAFETY: As at the head of this file.
                unsafe { raw::read_text(first, &mut found) };
                compare(&found, text, console)
            }
            calls::EXPECT => {
                // SAFETY: As at the head of this file.
                let found = unsafe { raw::read_number(first, third as usize) };
                self.compare_numbers(found, second)
            }
            calls::SAME => {
                // SAFETY: As at the head of this file.
                let found = unsafe { raw::read_number(first, 8) };
                // SAFETY: As at the head of this file.
                let expected = unsafe { raw::read_number(second, 8) };
                self.compare_numbers(found, expected)
            }
            calls::OF_FILE => {
                let vma = self.maps.find(file, first)?;
                let (inode, (major, minor)) = (vma.inode, vma.device);
                // SAFETY: As at the head of this file.
                let number = |place| unsafe { raw::read_number(second + place as u64, 8) };
                self.compare_numbers(inode, number(offset_of!(statx, stx_ino)))?;
                let device = number(offset_of!(statx, stx_dev_major));
                self.compare_numbers(minor << 32 | major, device)
            }
            calls::COUNT => {
                let [_, start, length, expected, ..] = words;
                let found = self.count(text, start, start + length)?;
                self.compare_numbers(found, expected)
            }
            calls::NOTE_FLAGS => {
                self.maps.find_flags(file, first)?;
                self.flags.clear();
                self.flags.put(self.maps.line());
                Ok(0)
            }
            calls::SAME_FLAGS => {
                self.maps.find_flags(file, first)?;
                compare(self.maps.line(), &self.flags, console)
            }
            calls::FIND => self.find(text, second),
            calls::ACCEPT | calls::REJECT => self.try_bytes(step.code, words),
            calls::FORK => {
                let child = rest.take(first as usize);
                let end = self.in_child(&mut |interpreter| exit_status(interpreter.run(child)))?;
                match end {
                    ChildEnd::Exited(PASSED) => Ok(0),
                    end => {
                        self.explain(end);
                        Err(DIFFERENT)
                    }
                }
            }
            calls::EXHAUST => self.exhaust(first),
            calls::VFORK_PRCTL | calls::THREAD_PRCTL => {
                let is_thread = step.code == calls::THREAD_PRCTL;
                // SAFETY: As at the head of this file.
                let created = unsafe { raw::prctl_in_sharing_child(is_thread, words) };
                self.lacks_child = created.is_err();
                created?
            }
            calls::UNIQUE | calls::STORE | calls::STORE64 | calls::POKE => {
                let (number, word) = (second.to_ne_bytes(), (second as usize).to_ne_bytes());
                let bytes = match step.code {
                    calls::UNIQUE => &self.file_name,
                    calls::POKE => text,
                    calls::STORE => &word,
                    _ => number.as_slice(),
                };
                // SAFETY: As at the head of this file.
                unsafe { raw::write(first, bytes) };
                Ok(0)
            }
            code => {
                let number = CALLS.get(usize::from(code - calls::FIRST_CALL)).unwrap();
                // SAFETY: As at the head of this file.
                unsafe { raw::call(*number, words) }
            }
        }
    }

    /// Splits a mapping at `address` until this process is at the limit on mappings.
    ///
    /// It takes at most a megabyte of the kernel, so that no other process suffers: the OOM
    /// killer does not count `struct vm_area_struct` when it chooses a process.
    ///
    /// # Errors
    ///
    /// That of the call at the limit; E2BIG if the limit is not reached by [`SPLITS`].
    fn exhaust(&mut self, mut address: u64) -> Result<u64> {
        let page = self.context.page;
        for _ in 0..SPLITS {
            let words = [address, page, MADV_DONTFORK.into(), 0, 0, 0];
            // SAFETY: As at the head of this file.
            unsafe { raw::call(call::madvise as u16, words) }?;
            address += 2 * page;
        }
        let console = &mut *self.console;
        put!(console, "#   vm.max_map_count is above {}\n", 2 * SPLITS);
        Err(E2BIG)
    }

    /// The number of VMAs with this label that lie between two addresses.
    fn count(&mut self, label: &[u8], start: u64, end: u64) -> Result<u64> {
        let mut count = 0;
        self.maps.rewind(self.context.registers[MAPS])?;
        loop {
            let vma = self.maps.next()?;
            count += u64::from(vma.start >= start && vma.end <= end && vma.label == label);
            if vma.start >= end {
                return Ok(count);
            }
        }
    }

    fn compare_numbers(&mut self, found: u64, expected: u64) -> Result<u64> {
        match found == expected {
            true => Ok(0),
            false => differ(found.into(), expected.into(), self.console),
        }
    }

    /// Draws as many pages of the window as the diagram `expected` has.
    fn draw(&mut self, expected: &[u8], drawn: &mut Text) -> Result {
        let (window, page) = (self.context.registers[WINDOW], self.context.page);
        let pages = expected.iter().filter(|byte| **byte != b'|').count() as u64;
        let end = window + pages * page;
        let mut diagram = Diagram::new(drawn, page, window, end);
        self.maps.rewind(self.context.registers[MAPS])?;
        loop {
            let vma = self.maps.next()?;
            diagram.add(&vma);
            if vma.end >= end {
                break;
            }
        }
        diagram.finish();
        Ok(())
    }

    /// The first address of the first VMA whose label begins with `label` and which has at
    /// least `least` bytes. Sets the register `length`.
    fn find(&mut self, label: &[u8], least: u64) -> Result<u64> {
        self.maps.rewind(self.context.registers[MAPS])?;
        loop {
            let vma = self.maps.next()?;
            let length = vma.end - vma.start;
            if vma.label.starts_with(label) && length >= least {
                self.context.registers[LENGTH] = length;
                return Ok(vma.start);
            }
        }
    }

    /// Names the window's first page with names of `size` letters `a`, one of which is
    /// replaced by a byte from `first` to `last`: `first` at each place, the others at both
    /// ends and in the middle. Compares the name in the maps.
    fn try_bytes(&mut self, code: u8, [first, last, size, ..]: [u64; 6]) -> Result<u64> {
        let (window, page) = (self.context.registers[WINDOW], self.context.page);
        let (option, attribute) = (PR_SET_VMA.into(), PR_SET_VMA_ANON_NAME.into());
        let expected = match code {
            calls::ACCEPT => None,
            _ => Some(EINVAL),
        };
        for byte in first..last + 1 {
            let stride = match byte == first {
                true => 1,
                false => (size / 2).max(1),
            };
            let mut place = 0;
            while place < size {
                let name = name_with(byte, place, size);
                let start = name.as_ptr().expose_provenance() as u64;
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
                place += stride;
            }
            // Rejected bytes leave the name as it is, so it is compared after the last one.
            let shown = match expected {
                None => byte,
                Some(_) if byte == last => b'a'.into(),
                Some(_) => continue,
            };
            let vma = self.maps.find(self.context.registers[MAPS], window)?;
            let name = name_with(shown, size - 1, size);
            compare(
                vma.name().unwrap_or_default(),
                split(&name, 0).0,
                self.console,
            )?;
        }
        Ok(0)
    }

    /// Reports the step that failed: its operation and operands, the expected result and the
    /// one seen, and the VMAs in the window.
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
        let _ = self.maps.rewind(self.context.registers[MAPS]);
        while let Ok(vma) = self.maps.next()
            && vma.start < end
        {
            if vma.end > window {
                put!(console, "#   {}\n", self.maps.line());
            }
        }
    }
}

/// Reader of a maps file, one VMA after another.
struct Maps {
    file: Fd,
    /// A part of the file. The line of a VMA may contain a path of PATH_MAX (4096) bytes.
    chunk: Vec<u8, 4352>,
    /// The length of the whole lines at the start of `chunk`.
    whole: usize,
    /// The places in `chunk` at which the current line and the next one begin.
    line: usize,
    next: usize,
    /// Whether the VMA of this process's stack has been found. All VMAs of a case are below it,
    /// so they are complete.
    has_stack: bool,
}

impl Maps {
    /// A reader without a file.
    fn new() -> Self {
        Maps {
            file: raw::file(u64::MAX),
            chunk: Vec::new(),
            whole: 0,
            line: 0,
            next: 0,
            has_stack: false,
        }
    }

    /// Goes to the beginning of `file`.
    fn rewind(&mut self, file: u64) -> Result {
        self.file = raw::file(file);
        self.chunk.clear();
        (self.whole, self.next) = (0, 0);
        self.has_stack = false;
        raw::rewind(&self.file)
    }

    /// Goes to the next VMA.
    ///
    /// # Errors
    ///
    /// The error of a call; ENOENT at the end of the file; EIO if a line is not that of a VMA,
    /// or if the stack of this process is missing.
    fn next(&mut self) -> Result<Vma<'_>> {
        // In smaps, the lines after that of a VMA begin with a capital.
        while let Some(b'A'..=b'Z') = self.rest()?.first() {
            self.skip_line()?;
        }
        let here = (&raw const *self).addr() as u64;
        self.line = self.next;
        let mut rest = after(&self.chunk, self.line);
        let vma = Vma::take(&mut rest).ok_or(Errno::EIO)?;
        self.next = self.chunk.len() - rest.len();
        self.has_stack |= vma.contains(here);
        Ok(vma)
    }

    /// Goes to the VMA that contains `address`.
    fn find(&mut self, file: u64, address: u64) -> Result<Vma<'_>> {
        self.rewind(file)?;
        while !self.next()?.contains(address) {}
        Vma::parse(self.line()).ok_or(Errno::EIO)
    }

    /// Goes to the line `VmFlags` of the VMA that contains `address`.
    fn find_flags(&mut self, file: u64, address: u64) -> Result {
        self.find(file, address)?;
        while !self.line().starts_with(b"VmFlags:") {
            self.skip_line()?;
        }
        Ok(())
    }

    /// The current line.
    fn line(&self) -> &[u8] {
        split(after(&self.chunk, self.line), b'\n').0
    }

    /// Goes to the next line.
    fn skip_line(&mut self) -> Result {
        let length = split(self.rest()?, b'\n').0.len();
        self.line = self.next;
        self.next += length + 1;
        Ok(())
    }

    /// The text after the current line, which is at least one whole line.
    fn rest(&mut self) -> Result<&[u8]> {
        while self.next == self.whole {
            // Keep the beginning of a line, which is not whole yet.
            io::remove(&mut self.chunk, self.whole);
            let is_end = self.chunk.is_empty() && self.has_stack;
            if io::read(&self.file, &mut self.chunk)? == 0 {
                return Err(if is_end { ENOENT } else { Errno::EIO });
            }
            let last = self.chunk.iter().rposition(|byte| *byte == b'\n');
            (self.whole, self.next) = (last.map_or(0, |last| last + 1), 0);
        }
        Ok(after(&self.chunk, self.next))
    }
}

/// The exit status of a process whose parent reports how the case ended.
pub(crate) fn exit_status(end: core::result::Result<(), Stop>) -> u8 {
    match end {
        Ok(()) => PASSED,
        Err(Stop::Failed) => FAILED,
        Err(Stop::Skipped(_, errno)) => SKIPPED + errno.number() as u8,
    }
}

/// Compares texts. Prints both if they differ.
fn compare(found: &[u8], expected: &[u8], console: &mut Console) -> Result<u64> {
    match found == expected {
        true => Ok(0),
        false => differ(found.into(), expected.into(), console),
    }
}

/// Prints what was found and what was expected.
fn differ(found: Value, expected: Value, console: &mut Console) -> Result<u64> {
    put!(console, "#   expected {}\n#   seen {}\n", expected, found);
    Err(DIFFERENT)
}

/// Whether a step is the call under test, or PROCMAP_QUERY, which shows what it did.
fn is_tested(step: &Step) -> bool {
    let words = words(step);
    match step.code {
        // The kernel reads the option of prctl(2) as an int.
        calls::PRCTL => words[0] as u32 == PR_SET_VMA,
        calls::ACCEPT | calls::REJECT | calls::VFORK_PRCTL | calls::THREAD_PRCTL => true,
        calls::IOCTL => words[1] == file::PROCMAP_QUERY,
        _ => false,
    }
}

/// Whether a limit on files or processes refused the step.
fn is_limit(step: &Step, errno: Errno) -> bool {
    errno == EMFILE || errno == ENFILE || (step.code == calls::FORK && errno == Errno::EAGAIN)
}

/// Whether a seccomp filter may have refused the step, which is not a naming call.
fn is_refused(step: &Step, errno: Errno) -> bool {
    let is_naming = is_tested(step) && step.code != calls::IOCTL;
    !is_naming && matches!(errno, Errno::EACCES | Errno::EPERM | ENOSYS) && is_filtered()
}

/// Makes this process the first that the kernel kills when memory runs short. That needs no
/// privilege.
fn offer_to_oom_killer() {
    if let Ok(file) = file::open(&CWD, c"/proc/self/oom_score_adj", O_WRONLY) {
        let _ = io::write_all(&file, b"1000");
        let _ = file::close(file);
    }
}

/// The operands of a step as the six arguments of a system call.
fn words(step: &Step) -> [u64; 6] {
    step.operands.map(|operand| match operand {
        Operand::Number(number) => number,
        Operand::Text(text) => text.as_ptr().expose_provenance() as u64,
    })
}

/// A name of `size` bytes, all `a` but for `byte` at `place`, and a NUL.
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
