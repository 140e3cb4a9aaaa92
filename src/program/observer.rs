//! What each stage changed in the maps of this process.
//!
//! Nothing here may change the maps.

use crate::{
    console::{Console, error},
    maps_files::Directory,
    snapshot,
    sys::{Errno, memory::Mapping},
};
use core::{ffi::CStr, ops::Range};
use heapless::VecView;
use vm_anon_name::{
    diff,
    format::Escaping,
    maps, put,
    scan::{after, before},
};

/// Indentation of a diff within the transcript.
const INDENT: &[u8] = b"  ";

/// Takes a copy of the maps at each stage, writes it to a file and prints the
/// difference to the copy before.
pub(crate) struct Observer<'a> {
    /// Whether to print differences.
    pub(crate) prints: bool,
    /// Where to write the copies.
    pub(crate) output: Option<Directory>,
    /// All copies, one after another.
    copies: &'a mut VecView<u8>,
    /// Whether no stage has been observed yet.
    is_first: bool,
    /// The copy of the first stage; empty if that one failed.
    first: Range<usize>,
    /// The copy of the last stage; empty if that one failed.
    last: Range<usize>,
}

/// An observation failed. The failure has been reported.
pub(crate) struct Failed;

impl<'a> Observer<'a> {
    /// Without `prints` and `output`, `copies` is not used and may have no capacity.
    pub(crate) fn new(prints: bool, copies: &'a mut VecView<u8>) -> Self {
        Observer {
            prints,
            output: None,
            copies,
            is_first: true,
            first: 0..0,
            last: 0..0,
        }
    }

    /// Takes a copy of the maps, writes it to `file` and prints the difference to
    /// the last copy. If a mapping has just been `named`, checks that the maps show
    /// its name.
    pub(crate) fn observe(
        &mut self,
        file: &CStr,
        named: Option<(&Mapping, &CStr)>,
        console: &mut Console,
    ) -> Result<(), Failed> {
        if !self.prints && self.output.is_none() {
            return Ok(());
        }
        let start = self.copies.len();
        let is_first = core::mem::take(&mut self.is_first);
        let last = core::mem::replace(&mut self.last, start..start);
        if let Err(errno) = snapshot::take(self.copies) {
            console.report(snapshot::FILE.to_bytes(), errno);
            return Err(Failed);
        }
        self.last.end = self.copies.len();
        let copy = after(self.copies, start);
        let mut result = Ok(());
        if is_first {
            self.first = self.last.clone();
        } else if self.prints && !last.is_empty() {
            result = print_changes(self.copy(&last), copy, console);
        }
        if let Some((mapping, name)) = named
            && !shows_name(copy, mapping, name)
        {
            let name = name.to_bytes();
            error!(
                console,
                "'{}' was accepted, but the maps do not show it", name
            );
            result = Err(Failed);
        }
        if let Some(output) = &self.output
            && let Err(errno) = output.write(file, copy)
        {
            console.report(file.to_bytes(), errno);
            result = Err(Failed);
        }
        result
    }

    /// The bytes of one copy.
    fn copy(&self, range: &Range<usize>) -> &[u8] {
        after(before(self.copies, range.end), range.start)
    }

    /// Prints whether the last copy equals the first, as it should.
    pub(crate) fn compare_ends(&self, console: &mut Console) -> Result<(), Failed> {
        if !self.prints || self.first.is_empty() || self.last.is_empty() {
            return Ok(());
        }
        if self.copy(&self.first) == self.copy(&self.last) {
            put!(console, "\nThe first and the last maps are the same.\n");
            return Ok(());
        }
        put!(console, "\nThe first and the last maps differ.\n");
        Err(Failed)
    }
}

fn print_changes(before: &[u8], after: &[u8], console: &mut Console) -> Result<(), Failed> {
    match diff::normal(before, after, INDENT, &mut Escaping(&mut *console)) {
        Ok(true) => Ok(()),
        Ok(false) => {
            put!(console, "The maps did not change.\n");
            Ok(())
        }
        Err(_) => {
            console.report(snapshot::FILE.to_bytes(), Errno::EIO);
            Err(Failed)
        }
    }
}

fn shows_name(maps: &[u8], mapping: &Mapping, name: &CStr) -> bool {
    maps::find(maps, mapping.start() as u64)
        .is_some_and(|vma| vma.end >= mapping.end() as u64 && vma.name() == Some(name.to_bytes()))
}
