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
use heapless::{Vec, VecView};
use vm_anon_name::{
    diff,
    format::Escaping,
    maps,
    picture::Picture,
    put,
    scan::{after, before},
};

/// Indentation of a diff within the transcript.
const INDENT: &[u8] = b"  ";

/// The number of stages.
const STAGES: usize = 4;

/// Takes a copy of the maps at each stage, writes it to a file and prints it or the
/// difference to the copy before.
pub(crate) struct Observer<'a> {
    /// What to print.
    pub(crate) prints: Prints,
    /// Where to write the copies.
    pub(crate) output: Option<Directory>,
    /// The range of pages to draw at each stage.
    pub(crate) picture: Option<Picture>,
    /// All copies, one after another.
    copies: &'a mut VecView<u8>,
    /// The name of each stage so far, and its copy; empty if that failed.
    stages: Vec<(&'static str, Range<usize>), STAGES>,
}

/// How much of the maps each stage prints.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prints {
    Nothing,
    /// The differences, and at the first stage the whole maps.
    Changes,
    /// The whole maps.
    Whole,
}

/// An observation failed. The failure has been reported.
pub(crate) struct Failed;

impl<'a> Observer<'a> {
    /// Without anything to print and without `output`, `copies` is not used and may have no
    /// capacity.
    pub(crate) fn new(prints: Prints, copies: &'a mut VecView<u8>) -> Self {
        Observer {
            prints,
            output: None,
            picture: None,
            copies,
            stages: Vec::new(),
        }
    }

    /// Takes a copy of the maps, writes it to `file` and prints what changed in the stage
    /// `name`. If a mapping has just been `named`, checks that the maps show its name.
    pub(crate) fn observe(
        &mut self,
        name: &'static str,
        file: &CStr,
        named: Option<(&Mapping, &CStr)>,
        console: &mut Console,
    ) -> Result<(), Failed> {
        if self.prints == Prints::Nothing && self.output.is_none() {
            return Ok(());
        }
        let start = self.copies.len();
        let taken = snapshot::take(self.copies);
        let _ = self.stages.push((name, start..self.copies.len())); // There is space.
        if let Err(errno) = taken {
            // The picture compares each stage with the one before.
            self.picture = None;
            console.report(snapshot::FILE.to_bytes(), errno);
            return Err(Failed);
        }
        let mut result = self.print(console);
        let copy = after(self.copies, start);
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

    /// The bytes of the copy of a stage, counted from 0; empty if there is none.
    fn copy(&self, stage: usize) -> &[u8] {
        let range = self
            .stages
            .get(stage)
            .map_or(0..0, |(_, copy)| copy.clone());
        after(before(self.copies, range.end), range.start)
    }

    /// Prints the last copy or how it differs from the one before, and the picture.
    fn print(&mut self, console: &mut Console) -> Result<(), Failed> {
        if self.prints == Prints::Nothing {
            return Ok(());
        }
        let stage = self.stages.len().saturating_sub(1);
        let copy = self.copy(stage);
        let last = match stage.checked_sub(1) {
            Some(last) => self.copy(last),
            None => copy,
        };
        // After a copy that failed there is nothing to compare with.
        if last.is_empty() {
            return Ok(());
        }
        let out = &mut Escaping(&mut *console);
        let printed = match self.prints == Prints::Whole || stage == 0 {
            true => diff::whole(last, copy, out).map(|()| true),
            false => diff::normal(last, copy, INDENT, out),
        };
        match printed {
            Ok(true) => {}
            Ok(false) => put!(console, "The maps did not change.\n"),
            Err(_) => {
                console.report(snapshot::FILE.to_bytes(), Errno::EIO);
                return Err(Failed);
            }
        }
        self.draw(stage, console);
        Ok(())
    }

    /// Draws the pages at `stage`.
    fn draw(&mut self, stage: usize, console: &mut Console) {
        if let Some(mut picture) = self.picture.take()
            && let Some((name, _)) = self.stages.get(stage)
        {
            picture.put(stage + 1, name, self.copy(stage), console);
            self.picture = Some(picture);
        }
    }

    /// Draws all stages together, and prints whether the last copy equals the first, as it
    /// should.
    pub(crate) fn compare_ends(&mut self, console: &mut Console) -> Result<(), Failed> {
        if let Some(picture) = &mut self.picture {
            put!(console, "\n");
            picture.restart(console);
            (0..STAGES).for_each(|stage| self.draw(stage, console));
        }
        let (first, last) = (self.copy(0), self.copy(STAGES - 1));
        if self.prints == Prints::Nothing || first.is_empty() || last.is_empty() {
            return Ok(());
        }
        if first == last {
            put!(console, "\nThe first and the last maps are the same.\n");
            return Ok(());
        }
        put!(console, "\nThe first and the last maps differ.\n");
        Err(Failed)
    }
}

fn shows_name(maps: &[u8], mapping: &Mapping, name: &CStr) -> bool {
    maps::find(maps, mapping.start() as u64)
        .is_some_and(|vma| vma.end >= mapping.end() as u64 && vma.name() == Some(name.to_bytes()))
}
