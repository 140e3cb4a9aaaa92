//! Watches the stages: what each changed in the maps, and why a call failed.

use super::{output::Directory, report, snapshot::Snapshot, status, up_to_nul};
use crate::{
    console::Console,
    stages::{Plan, Stage, Watch},
    sys::{self, Errno, Memory, files},
};
use core::ffi::CStr;
use vm_anon_name::{
    diff,
    kernel::Attempt,
    options::{Flag, Options},
    text::{
        Shown, Sink,
        Value::{self, *},
    },
};

/// How far a line of a diff stands in from the transcript.
const INDENT: &[u8] = b"  ";

/// Takes a snapshot at each stage, unless nobody wants to see or keep it.
pub(crate) struct Watcher<'a> {
    plan: &'a Plan<'a>,
    /// Whether to print what changed.
    shows: bool,
    /// Where to write the snapshots.
    output: Option<Directory>,
    /// The maps at each stage.
    snapshots: &'a mut [Snapshot; 4],
    /// The worst that has happened, as an exit status.
    exit: u8,
}

impl<'a> Watcher<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        options: &Options,
        snapshots: &'a mut [Snapshot; 4],
        console: &mut Console,
    ) -> Self {
        let mut watcher = Watcher {
            plan,
            shows: !options.has(Flag::Quiet),
            output: None,
            snapshots,
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
        if self.shows {
            let [first, _, _, last] = &*self.snapshots;
            if !first.bytes().is_empty() && !last.bytes().is_empty() {
                let same = first.bytes() == last.bytes();
                console.put(if same {
                    b"\nThe first and the last maps are the same.\n"
                } else {
                    b"\nThe first and the last maps differ.\n"
                });
                if !same {
                    self.exit = self.exit.max(status::FAILED);
                }
            }
        }
        self.exit
    }

    /// Reports a failed call.
    fn fail(&mut self, console: &mut Console, errno: Errno, what: &[u8], values: &[Value]) {
        report::failure(console, errno, what, values);
        self.exit = status::FAILED;
    }

    /// Takes the snapshot of `stage`, and writes it out if that is wanted.
    fn take(&mut self, stage: Stage, file: &CStr, console: &mut Console) {
        let Some(snapshot) = self.snapshots.get_mut(stage as usize) else {
            return;
        };
        if let Err(errno) = snapshot.take() {
            return self.fail(console, errno, b"/proc/self/maps", &[]);
        }
        if let Some(output) = &self.output
            && let Err(errno) = output.write(file, snapshot.bytes())
        {
            self.fail(console, errno, b"%", &[Text(file.to_bytes())]);
        }
    }

    /// Prints what `stage` changed.
    fn show(&mut self, stage: Stage, console: &mut Console) {
        if stage == Stage::Munmap {
            console.put(b"\n");
        }
        let at = stage as usize;
        let before = self.snapshots.get(at.wrapping_sub(1));
        let (Some(before), Some(now)) = (before, self.snapshots.get(at)) else {
            return;
        };
        if before.bytes().is_empty() || now.bytes().is_empty() {
            return; // A snapshot failed, and that has been reported.
        }
        match diff::normal(before.bytes(), now.bytes(), INDENT, &mut Shown(console)) {
            Ok(true) => {}
            Ok(false) => console.put(b"The maps did not change.\n"),
            Err(malformed) => {
                self.exit = status::FAILED;
                let text = b"/proc/self/maps: line % is no line of a maps file: no diff";
                console.complain(text, &[Number(malformed.line)]);
            }
        }
    }

    /// Checks that the kernel, which accepted the name of `memory`, shows it.
    fn verify(&mut self, memory: Memory, console: &mut Console) {
        let [_, _, now, _] = &*self.snapshots;
        let name = self.plan.name.to_bytes();
        let found = now
            .vmas()
            .find(|vma| (vma.start..vma.end).contains(&(memory.start as u64)));
        if now.bytes().is_empty()
            || found.is_some_and(|vma| vma.end >= memory.end() as u64 && vma.name() == Some(name))
        {
            return;
        }
        self.exit = status::FAILED;
        let text = b"the name '%' was accepted, but /proc/self/maps does not show it at %";
        console.complain(text, &[Foreign(name), Address(memory.start as u64)]);
    }

    /// Finds out why `memory` could not be named, and says so.
    fn explain(&mut self, memory: Memory, errno: Errno, console: &mut Console) {
        let names = files::uname();
        let attempt = Attempt {
            errno: errno.number(),
            probe: sys::probe(),
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
        self.take(stage, file, console);
        if self.shows && stage != Stage::Start {
            self.show(stage, console);
        }
        if named != Memory::NONE {
            self.verify(named, console);
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
        let text = b"standard input, so there are no more pauses";
        self.fail(console, errno, text, &[]);
    }
}
