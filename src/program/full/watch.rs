//! Looks on while the stages are walked: what each changed in the maps, and why memory
//! could not be named. Nothing here may change the maps.

use super::{
    output::Directory,
    report,
    snapshot::{self, find},
    stages::Walk,
    status, up_to_nul,
};
use crate::sys::{self, Errno, Memory, files};
use core::{ffi::CStr, mem::MaybeUninit};
use vm_anon_name::{
    diff, kernel::Attempt, maps::Vma, messages::Message, options::Flag, say::Say, text::Shown,
};

/// How far a line of a diff stands in from the transcript.
const INDENT: &[u8] = b"  ";

impl Walk<'_> {
    /// Opens the directory for the copies, if one is named.
    pub(super) fn open_output(&mut self) {
        if let Some(path) = self.options.output() {
            match Directory::open(path) {
                Ok(directory) => self.output = Some(directory),
                Err(errno) => self.fail(errno, path.to_bytes()),
            }
        }
    }

    /// Copies the maps, writes it to `file`, and shows what changed. Memory that has
    /// been given the name must have it.
    pub(super) fn look(&mut self, file: &CStr, named: Memory) {
        if !self.shows && self.output.is_none() {
            return;
        }
        let start = self.copies.len();
        let before = self.last.replace(start);
        if let Err(errno) = snapshot::take(self.copies) {
            return self.fail(errno, snapshot::FILE.to_bytes());
        }
        let (earlier, now) = self.copies.split_at_checked(start).unwrap_or_default();
        let written = match &self.output {
            Some(output) => output.write(file, now),
            None => Ok(()),
        };
        match before {
            None => self.first = now.len(),
            Some(before) if self.shows && before < start => {
                let before = earlier.get(before..).unwrap_or_default();
                match diff::normal(before, now, INDENT, &mut Shown(self.console)) {
                    Ok(true) => {}
                    Ok(false) => {
                        self.console.say(Message::UNCHANGED);
                    }
                    Err(_) => {
                        report::failure(self.console, Errno::EIO, snapshot::FILE.to_bytes());
                        self.exit = status::FAILED;
                    }
                }
            }
            _ => {}
        }
        // What the kernel has accepted, it must show.
        let name = self.name.to_bytes();
        let shows = |vma: Vma| vma.end >= named.end() as u64 && vma.name() == Some(name);
        if named != Memory::NONE && !find(now, named.start as u64).is_some_and(shows) {
            self.exit = status::FAILED;
            self.console.complain(Message::UNSEEN).foreign(name).end();
        }
        if let Err(errno) = written {
            self.fail(errno, file.to_bytes());
        }
    }

    /// Compares the last maps with the first.
    pub(super) fn compare(&mut self) {
        let last = self.last.unwrap_or_default();
        let (first, _) = self.copies.split_at_checked(self.first).unwrap_or_default();
        let (_, last) = self.copies.split_at_checked(last).unwrap_or_default();
        if self.shows && !first.is_empty() && !last.is_empty() {
            self.console.say(if first == last {
                Message::SAME
            } else {
                self.exit = status::FAILED;
                Message::DIFFERENT
            });
        }
    }

    /// Finds out why `memory` could not be named, and says so.
    pub(super) fn explain(&mut self, memory: Memory, errno: Errno) {
        let mut names = MaybeUninit::uninit();
        let names = files::uname(&mut names);
        let attempt = Attempt {
            errno: errno.number(),
            probe: sys::probe().err().map_or(0, Errno::number),
            release: up_to_nul(&names.release),
            name: self.name.to_bytes(),
            shared: self.options.has(Flag::Shared),
        };
        let complaint = self.console.complain(Message::NAMING);
        let complaint = complaint.address(memory.start as u64);
        let complaint = complaint.number(memory.length as u64);
        report::number(complaint.foreign(attempt.name), errno);
        let is_lack = attempt.explain(self.console);
        self.console.end();
        if self.exit == status::FINE {
            self.exit = if is_lack {
                status::LACKING
            } else {
                status::FAILED
            };
        }
    }
}
