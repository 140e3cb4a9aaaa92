//! Watches the stages: what each changed in the maps, and why a call failed.

use super::{
    output::Directory,
    report,
    snapshot::{self, find},
    status, up_to_nul,
};
use crate::{
    console::Console,
    stages::{Plan, Stage, Watch},
    sys::{self, Errno, Memory, files},
};
use core::{ffi::CStr, mem};
use heapless::VecView;
use vm_anon_name::{
    diff,
    kernel::Attempt,
    maps::Vma,
    options::{Flag, Options},
    text::{
        Shown, Sink,
        Value::{self, *},
    },
};

/// How far a line of a diff stands in from the transcript.
const INDENT: &[u8] = b"  ";

/// Takes a copy of the maps at each stage, unless nobody wants to see or keep it.
pub(crate) struct Watcher<'a> {
    plan: &'a Plan<'a>,
    /// Whether to print what changed.
    shows: bool,
    /// Where to write the copies.
    output: Option<Directory>,
    /// The copies, one behind another. Where one failed, there is nothing.
    copies: &'a mut VecView<u8>,
    /// Where the first of them ends.
    first: usize,
    /// Where the last of them begins.
    last: usize,
    /// How the stages went: a failure counts more than a lack.
    exit: u8,
}

impl<'a> Watcher<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        options: &Options,
        copies: &'a mut VecView<u8>,
        console: &mut Console,
    ) -> Self {
        let mut watcher = Watcher {
            plan,
            shows: !options.has(Flag::Quiet),
            output: None,
            copies,
            first: 0,
            last: 0,
            exit: status::FINE,
        };
        if let Some(path) = options.output {
            match Directory::open(path) {
                Ok(directory) => watcher.output = Some(directory),
                Err(errno) => watcher.fail(console, errno, b"%", &[Foreign(path.to_bytes())]),
            }
        }
        watcher
    }

    /// Compares the last maps with the first, and gives the exit status.
    pub(crate) fn finish(&mut self, console: &mut Console) -> u8 {
        let (first, _) = self.copies.split_at_checked(self.first).unwrap_or_default();
        let (_, last) = self.copies.split_at_checked(self.last).unwrap_or_default();
        if self.shows && !first.is_empty() && !last.is_empty() {
            let verdict: &[u8] = if first == last {
                b"are the same"
            } else {
                self.exit = status::FAILED;
                b"differ"
            };
            console.print(b"\nThe first and the last maps %.\n", &[Text(verdict)]);
        }
        self.exit
    }

    /// Reports a failed call.
    fn fail(&mut self, console: &mut Console, errno: Errno, what: &[u8], values: &[Value]) {
        report::failure(console, errno, what, values);
        self.exit = status::FAILED;
    }

    /// Copies the maps, and writes the copy to `file` if that is wanted.
    fn copy(&mut self, file: &CStr, console: &mut Console) {
        if let Err(errno) = snapshot::take(self.copies) {
            return self.fail(console, errno, b"/proc/self/maps", &[]);
        }
        let (_, copy) = self.copies.split_at_checked(self.last).unwrap_or_default();
        if let Some(output) = &self.output
            && let Err(errno) = output.write(file, copy)
        {
            self.fail(console, errno, b"%", &[Text(file.to_bytes())]);
        }
    }

    /// Finds out why `memory` could not be named, and says so.
    fn explain(&mut self, memory: Memory, errno: Errno, console: &mut Console) {
        let names = files::uname();
        let attempt = Attempt {
            errno: errno.number(),
            probe: sys::probe().map_err(Errno::number),
            release: up_to_nul(&names.release),
            name: self.plan.name.to_bytes(),
            shared: self.plan.shared,
        };
        let (start, length) = (Address(memory.start as u64), Number(memory.length as u64));
        let text = b"prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, %, %, \"%\")";
        console.begin_complaint();
        console.print(text, &[start, length, Foreign(attempt.name)]);
        report::number(console, errno);
        let is_lack = attempt.explain(console);
        console.end_complaint();
        if self.exit == status::FINE {
            self.exit = if is_lack {
                status::LACKING
            } else {
                status::FAILED
            };
        }
    }
}

impl Watch for Watcher<'_> {
    fn reached(&mut self, stage: Stage, file: &CStr, named: Memory, console: &mut Console) {
        if !self.shows && self.output.is_none() {
            return;
        }
        let before = mem::replace(&mut self.last, self.copies.len());
        self.copy(file, console);
        let (earlier, now) = self.copies.split_at_checked(self.last).unwrap_or_default();
        let before = earlier.get(before..).unwrap_or_default();
        if stage == Stage::Start {
            self.first = now.len();
        }
        if now.is_empty() {
            return;
        }
        if self.shows && !before.is_empty() {
            if stage == Stage::Munmap {
                console.put(b"\n");
            }
            match diff::normal(before, now, INDENT, &mut Shown(console)) {
                Ok(true) => {}
                Ok(false) => console.put(b"The maps did not change.\n"),
                Err(_) => return self.fail(console, Errno::EIO, b"/proc/self/maps", &[]),
            }
        }
        // What the kernel has accepted, it must show.
        let name = self.plan.name.to_bytes();
        let shows = |vma: Vma| vma.end >= named.end() as u64 && vma.name() == Some(name);
        if named != Memory::NONE && !find(now, named.start as u64).is_some_and(shows) {
            self.exit = status::FAILED;
            let text = b"the name '%' was accepted, but the maps do not show it at %";
            console.complain(text, &[Foreign(name), Address(named.start as u64)]);
        }
    }

    fn mmap_failed(&mut self, length: usize, errno: Errno, console: &mut Console) {
        self.fail(console, errno, b"mmap of % bytes", &[Number(length as u64)]);
    }

    fn name_failed(&mut self, memory: Memory, errno: Errno, console: &mut Console) {
        self.explain(memory, errno, console);
    }

    fn munmap_failed(&mut self, memory: Memory, errno: Errno, console: &mut Console) {
        let start = Address(memory.start as u64);
        self.fail(console, errno, b"munmap at %", &[start]);
    }

    fn read_failed(&mut self, errno: Errno, console: &mut Console) {
        self.fail(console, errno, b"standard input", &[]);
    }
}
