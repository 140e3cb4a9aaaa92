//! The four stages: start, mmap, name, munmap.
//!
//! The words are those of the description that started this program, spelling
//! included; the maps files they name are the ones that `--output` writes.

use super::{console::Console, output::Directory, pause::Pause, report, status};
use crate::{
    start::Process,
    sys::{self, Errno, Memory},
};
use core::ffi::CStr;
use heapless::VecView;
use vm_anon_name::{
    options::{Flag, Options},
    say::Say,
    text::{Sink, digits},
};

/// How many stages there are.
pub(crate) const COUNT: usize = 4;

/// Pages of the neighbour, as many as the anonymous region above the mapping has
/// in the description.
const NEIGHBOUR_PAGES: usize = 6;

/// Walks the stages, pausing after each, with a look at the maps if there is
/// room for `copies` of them, and gives the exit status. A call that fails is reported, and what
/// does not depend on it goes on.
pub(crate) fn walk(
    process: &Process,
    pid: u32,
    options: &Options,
    copies: &mut VecView<u8>,
    console: &mut Console,
) -> u8 {
    let page = process.page_size();
    // A size is below 2^63, and a page is a power of two.
    let length = (options.size.unwrap_or(1) as usize + page - 1) & !(page - 1);
    let mut room = [0; 32];
    let mut walk = Walk {
        options,
        name: options.name(),
        pid: digits(pid.into(), 10, 1, &mut room),
        console,
        pause: Pause::new(!options.has(Flag::Yes)),
        shows: !options.has(Flag::Quiet),
        output: None,
        copies,
        first: 0,
        last: None,
        exit: status::FINE,
    };
    walk.open_output();
    walk.console
        .then(b"Memory map a region and print vm_area_struct\nPID: ")
        .then(walk.pid)
        .then(b"\n");
    // The new memory shall join anonymous memory that is there, as it does in a
    // program with a libc. It is asked for right below, so that it joins even
    // where large mappings are aligned to huge pages.
    let neighbour = walk.map(0, NEIGHBOUR_PAGES * page, false);
    walk.end("mmap - cat /proc/", c"maps_1_start.txt", Memory::NONE);

    let hint = neighbour.start.saturating_sub(length);
    let memory = walk.map(hint, length, options.has(Flag::Shared));
    if memory != Memory::NONE {
        walk.console
            .then(b"\nmmap addr: ")
            .address(memory.start as u64)
            .then(b" size: ")
            .number(memory.length as u64)
            .then(b"\n");
    }
    walk.end(
        "set vm_area_struct's name - cat /proc/",
        c"maps_2_mmap.txt",
        Memory::NONE,
    );

    let named = walk.name(memory);
    walk.end(
        "unmmap the region - cat /proc/",
        c"maps_3_set_vm_name.txt",
        named,
    );

    walk.unmap(memory);
    walk.end("exit - cat /proc/", c"maps_4_ummap.txt", Memory::NONE);
    walk.compare();
    walk.exit
}

/// The stages while they are walked.
pub(super) struct Walk<'a> {
    pub(super) options: &'a Options<'a>,
    /// The name to give.
    pub(super) name: &'a CStr,
    /// The process's number in decimal, which is printed five times.
    pid: &'a [u8],
    pub(super) console: &'a mut Console,
    pause: Pause,
    /// Whether to print what changed.
    pub(super) shows: bool,
    /// Where to write the copies of the maps.
    pub(super) output: Option<Directory>,
    /// The copies, one behind another. Where one failed, there is nothing.
    pub(super) copies: &'a mut VecView<u8>,
    /// Where the first of them ends.
    pub(super) first: usize,
    /// Where the last of them begins, if there was a stage already.
    pub(super) last: Option<usize>,
    /// How the stages went: a failure counts more than a lack.
    pub(super) exit: u8,
}

impl Walk<'_> {
    fn map(&mut self, hint: usize, length: usize, shared: bool) -> Memory {
        sys::mmap(hint, length, shared).unwrap_or_else(|errno| {
            self.fail(errno, b"mmap");
            Memory::NONE
        })
    }

    /// Names `memory`, says so, and gives what has the name now.
    fn name(&mut self, memory: Memory) -> Memory {
        if memory == Memory::NONE {
            return memory;
        }
        if let Err(errno) = sys::set_anon_name(memory, Some(self.name)) {
            self.explain(memory, errno);
            return Memory::NONE;
        }
        self.console
            .then(b"\nSet [")
            .address(memory.start as u64)
            .then(b", ")
            .address(memory.end() as u64)
            .then(b"] = ")
            // As it is: the kernel has taken it, so it is printable.
            .then(self.name.to_bytes())
            .then(b"\n");
        memory
    }

    fn unmap(&mut self, memory: Memory) {
        if memory != Memory::NONE
            && let Err(errno) = sys::munmap(memory)
        {
            self.fail(errno, b"munmap");
        }
        if self.shows {
            self.console.put(b"\n");
        }
    }

    /// Ends a stage, in which `named` has been given the name: Enter will do what
    /// `next` says. (What is the same in each is there four times, because a piece more
    /// to print takes 45 instructions.)
    #[inline(never)] // It is called four times.
    fn end(&mut self, next: &str, file: &CStr, named: Memory) {
        self.look(file, named);
        self.console
            .then(b"\nPress enter to ")
            .then(next.as_bytes())
            .then(self.pid)
            .then(b"/maps > ")
            .then(file.to_bytes());
        if let Err(errno) = self.pause.wait(self.console) {
            self.fail(errno, b"standard input");
        }
    }

    /// Reports a failed call.
    #[inline(never)] // It is called many times.
    pub(super) fn fail(&mut self, errno: Errno, what: &[u8]) {
        report::failure(self.console, errno, what);
        self.exit = status::FAILED;
    }
}
