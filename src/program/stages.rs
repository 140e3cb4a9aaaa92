//! The four stages: start, mmap, name, munmap.
//!
//! The transcript is that of the C++ program that this one replaces, including its
//! spelling.

use crate::{
    commands::status,
    console::Console,
    maps_files::Directory,
    naming,
    observer::{Failed, Observer, Prints},
    prompt::Prompt,
    scratch::Stack,
    start::Process,
    sys::{
        Errno,
        memory::{self, Mapping},
        system::Uname,
    },
};
use core::ffi::CStr;
use heapless::{Vec, VecView};
use vm_anon_name::{
    diagnosis,
    format::{Sink, put_decimal},
    options::{Flag, Options},
    picture::Picture,
    put,
};

/// A stage: its name, the name of its maps file, and the prompt before and after the PID.
/// The prompt is not a text for `put!`, so that it is copied without a search for
/// placeholders.
struct Stage {
    name: &'static str,
    file: &'static CStr,
    before: &'static str,
    after: &'static str,
}

const START: Stage = Stage {
    name: "start",
    file: c"maps_1_start.txt",
    before: "\nPress enter to mmap - cat /proc/",
    after: "/maps > maps_1_start.txt",
};
const MMAP: Stage = Stage {
    name: "mmap",
    file: c"maps_2_mmap.txt",
    before: "\nPress enter to set vm_area_struct's name - cat /proc/",
    after: "/maps > maps_2_mmap.txt",
};
const NAME: Stage = Stage {
    name: "name",
    file: c"maps_3_set_vm_name.txt",
    before: "\nPress enter to unmmap the region - cat /proc/",
    after: "/maps > maps_3_set_vm_name.txt",
};
const MUNMAP: Stage = Stage {
    name: "munmap",
    file: c"maps_4_ummap.txt",
    before: "\nPress enter to exit - cat /proc/",
    after: "/maps > maps_4_ummap.txt",
};

/// Size in pages of the anonymous mapping that exists before the first stage, as in
/// the transcript of the C++ program.
const NEIGHBOUR_PAGES: usize = 6;

/// Runs the stages and returns the exit status. If a call fails, the stages that do
/// not depend on it still run.
pub(crate) fn run(
    process: &Process,
    options: &Options,
    pid: u32,
    stack: &Stack,
    console: &mut Console,
) -> u8 {
    let page = process.page_size();
    if options.has(Flag::Quiet) && !options.has(Flag::Maps) && options.output.is_none() {
        return Stages::new(options, pid, &mut Vec::<u8, 0>::new(), console).walk(page);
    }
    let mut status = status::FAILED;
    stack.with_buffer(&mut |copies| {
        status = Stages::new(options, pid, copies, console).walk(page);
    });
    status
}

struct Stages<'a> {
    options: &'a Options<'a>,
    pid: u32,
    prompt: Prompt,
    observer: Observer<'a>,
    console: &'a mut Console,
    status: u8,
}

impl<'a> Stages<'a> {
    fn new(
        options: &'a Options,
        pid: u32,
        copies: &'a mut VecView<u8>,
        console: &'a mut Console,
    ) -> Self {
        let prints = match (options.has(Flag::Maps), options.has(Flag::Quiet)) {
            (true, _) => Prints::Whole,
            (false, false) => Prints::Changes,
            (false, true) => Prints::Nothing,
        };
        let mut stages = Stages {
            options,
            pid,
            // The kernel's log has no input.
            prompt: Prompt::new(!options.has(Flag::Yes) && !console.is_log),
            observer: Observer::new(prints, copies),
            console,
            status: status::SUCCESS,
        };
        if let Some(path) = options.output {
            match Directory::open(path) {
                Ok(directory) => stages.observer.output = Some(directory),
                Err(errno) => stages.fail(path.to_bytes(), errno),
            }
        }
        stages
    }

    fn walk(&mut self, page: usize) -> u8 {
        put!(
            self.console,
            "Memory map a region and print vm_area_struct\n"
        );
        put!(self.console, "PID: {}\n", self.pid);
        // In the C++ program, the new memory joins anonymous memory that libc has
        // mapped. This program has no libc, so it maps some itself, and requests the
        // new memory directly below it. Without this hint, the kernel could align a
        // large mapping to huge pages and leave a gap.
        let neighbour = self.map(0, NEIGHBOUR_PAGES * page, false);
        // A size that a 32-bit `usize` cannot hold becomes its maximum, which the kernel refuses
        // as it refuses any size above the address space.
        let size = usize::try_from(self.options.size.unwrap_or(1)).unwrap_or(usize::MAX);
        let length = size.saturating_add(page - 1) & page.wrapping_neg();
        let hint = match &neighbour {
            Some(neighbour) => neighbour.start().saturating_sub(length),
            None => 0,
        };
        if self.observer.prints != Prints::Nothing
            && let Some(neighbour) = neighbour.filter(|_| hint > 0)
        {
            let (length, end) = (length as u64, neighbour.end() as u64);
            self.observer.picture = Some(Picture::new(page as u64, hint as u64, length, end));
        }
        self.finish(&START, None);

        let mapping = self.map(hint, length, self.options.has(Flag::Shared));
        if let Some(mapping) = &mapping {
            // `put!` does not search this text for placeholders, because it has no values.
            put!(self.console, "\nmmap addr: ");
            put!(
                self.console,
                "{hex} size: {}\n",
                mapping.start() as u64,
                mapping.length()
            );
        }
        self.finish(&MMAP, None);

        let named = mapping.as_ref().filter(|mapping| self.name(mapping));
        self.finish(&NAME, named);

        if let Some(mapping) = mapping
            && let Err(errno) = memory::munmap(mapping)
        {
            self.fail(b"munmap", errno);
        }
        if self.observer.prints != Prints::Nothing {
            put!(self.console, "\n");
        }
        self.finish(&MUNMAP, None);
        let result = self.observer.compare_ends(self.console);
        self.note(result);
        self.status
    }

    fn map(&mut self, hint: usize, length: usize, shared: bool) -> Option<Mapping> {
        match memory::mmap(hint, length, shared) {
            Ok(mapping) => Some(mapping),
            Err(errno) => {
                self.fail(b"mmap", errno);
                None
            }
        }
    }

    /// Names `mapping`, and returns whether it has the name now.
    fn name(&mut self, mapping: &Mapping) -> bool {
        let name = self.options.name;
        if let Err(errno) = memory::set_name(mapping, name) {
            self.explain(mapping, errno);
            return false;
        }
        put!(
            self.console,
            "\nSet [{hex}, {hex}] = {}\n",
            mapping.start() as u64,
            mapping.end() as u64,
            name
        );
        true
    }

    /// Reports why `mapping` could not be named.
    fn explain(&mut self, mapping: &Mapping, errno: Errno) {
        let uname = Uname::get();
        let failure = diagnosis::Failure {
            errno: errno.number(),
            probe: naming::probe().err().map_or(0, Errno::number),
            release: uname.release(),
            name: self.options.name.to_bytes(),
            shared: self.options.has(Flag::Shared),
        };
        let console = &mut *self.console;
        console.begin_error();
        // As in `walk`.
        put!(console, "prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, ");
        put!(
            console,
            "{hex}, {}, \"{}\"): {errno}",
            mapping.start() as u64,
            mapping.length(),
            failure.name,
            errno
        );
        let is_lacking = failure.explain(console);
        console.end_error();
        if !is_lacking {
            self.status = status::FAILED;
        } else if self.status == status::SUCCESS {
            self.status = status::LACKING;
        }
    }

    /// Shows what `stage` changed, and waits for Enter. `named` is the mapping that got
    /// its name in this stage, if any.
    fn finish(&mut self, stage: &Stage, named: Option<&Mapping>) {
        let named = named.map(|mapping| (mapping, self.options.name));
        let result = self
            .observer
            .observe(stage.name, stage.file, named, self.console);
        self.note(result);
        self.console.put(stage.before.as_bytes());
        put_decimal(self.pid.into(), self.console);
        self.console.put(stage.after.as_bytes());
        if let Err(errno) = self.prompt.wait(self.console) {
            self.fail(b"standard input", errno);
        }
    }

    /// Reports a call that failed.
    fn fail(&mut self, what: &[u8], errno: Errno) {
        self.console.report(what, errno);
        self.status = status::FAILED;
    }

    fn note(&mut self, result: Result<(), Failed>) {
        if result.is_err() {
            self.status = status::FAILED;
        }
    }
}
