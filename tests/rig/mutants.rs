//! Kernels with one behaviour broken each, to prove that the suite would notice.
//!
//! A mutant is a patch under `tests/mutants` against Debian's 6.12. Before the
//! patch stand a sentence that says what is broken, which may take some lines,
//! and a line that names the cases that must fail for it:
//!
//! ```text
//! NULL does not take a name away.
//! Caught-by: null-takes-the-name-away
//! ```
//!
//! A name freed too early is not noticed by a case: the kernel falls over it. Such
//! a mutant is caught by `a-panic`.
//!
//! They are built one after the other in a tree of their own: the sources are
//! hard links to the shared ones, and what a patch changes is a copy. So a build
//! makes only what the last mutant and this one differ in, and an interrupted run
//! leaves nothing to clean up: each begins by making the sources what they must be.
//! Images are kept until their patch changes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::conformance::{self, TestedKernel};
use crate::host_packages;
use crate::kernels::{self, Tree};
use crate::paths;
use crate::qemu::Ending;
use crate::report::{CaseResult, Outcome};
use crate::tool;

/// What stands for a case where the kernel does not live to report any.
const PANIC: &str = "a-panic";

/// A kernel with one behaviour broken.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// The name of its file, without the ending.
    pub name: String,
    /// What is broken.
    pub sentence: String,
    /// The cases that must fail.
    pub caught_by: Vec<String>,
    /// The patch itself.
    patch: String,
}

/// All mutants, in the order of their names.
pub fn all() -> Result<Vec<Mutant>> {
    let directory = paths::workspace().join("tests/mutants");
    let entries =
        fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut mutants = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "patch") {
            let mutant = Mutant::load(&path);
            mutants.push(mutant.with_context(|| path.display().to_string())?);
        }
    }
    mutants.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(mutants)
}

/// The mutants of these names; all of them, if there are none.
pub fn find(names: &[String]) -> Result<Vec<Mutant>> {
    let mut mutants = all()?;
    for name in names {
        let is_known = mutants.iter().any(|mutant| mutant.name == *name);
        ensure!(is_known, "no mutant is called {name}, see --list");
    }
    mutants.retain(|mutant| names.is_empty() || names.contains(&mutant.name));
    Ok(mutants)
}

impl Mutant {
    /// The sound kernel, as a mutant that breaks nothing.
    pub fn none() -> Self {
        Self {
            name: "none".to_owned(),
            sentence: "Nothing is broken.".to_owned(),
            caught_by: Vec::new(),
            patch: String::new(),
        }
    }

    fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text)
    }

    fn parse(name: &str, text: &str) -> Result<Self> {
        let (head, patch) = text
            .split_once("\n\n")
            .context("no patch behind its head")?;
        let (sentence, cases) = head
            .split_once("\nCaught-by: ")
            .context("no line 'Caught-by: CASE'")?;
        ensure!(patch.starts_with("--- a/"), "no patch behind its head");
        Ok(Self {
            name: name.to_owned(),
            sentence: sentence.replace('\n', " "),
            caught_by: cases
                .split([',', '\n'])
                .map(|case| case.trim().to_owned())
                .collect(),
            patch: patch.to_owned(),
        })
    }

    /// The files the patch changes, relative to the sources.
    fn files(&self) -> impl Iterator<Item = &str> {
        let lines = self.patch.lines();
        lines.filter_map(|line| line.strip_prefix("+++ b/"))
    }

    /// A file name that changes when the patch does.
    fn label(&self) -> String {
        let hash = Sha256::digest(&self.patch);
        let hash: String = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{hash}-{}", self.name)
    }

    /// Runs the suite in the mutant's image, and returns the cases that failed. A
    /// kernel that panics has told as much, and fails the one case `a-panic`.
    pub fn run(&self, image: PathBuf, initramfs: &Path) -> Result<Vec<CaseResult>> {
        let name = format!("mutant-{}", self.name);
        let console = TestedKernel::Image(image).boot(initramfs, &name, &["check"])?;
        if let Ending::Panicked(words) = &console.ending {
            return Ok(vec![CaseResult {
                name: PANIC.to_owned(),
                outcome: Outcome::Failed,
                diagnostics: vec![words.clone()],
            }]);
        }
        let report = conformance::read(&console)?;
        Ok(report.failed().cloned().collect())
    }

    /// Fails unless the cases that failed are as they must be.
    pub fn judge(&self, failed: &[CaseResult]) -> Result<()> {
        let failed: BTreeSet<&str> = failed.iter().map(|case| case.name.as_str()).collect();
        if self.caught_by.is_empty() {
            ensure!(failed.is_empty(), "a sound kernel fails {failed:?}");
            return Ok(());
        }
        ensure!(!failed.is_empty(), "SURVIVED");
        let expected = self.caught_by.iter().map(String::as_str);
        let missed: Vec<&str> = expected.filter(|case| !failed.contains(case)).collect();
        if !missed.is_empty() {
            bail!("not caught by {}, but by {failed:?}", missed.join(", "));
        }
        Ok(())
    }
}

/// Where mutants are built. No other run has it until it is dropped.
pub struct Lab {
    tree: Tree,
    /// The sources as Debian has them.
    original: PathBuf,
    /// The images built so far.
    images: PathBuf,
    /// The list of the files in the tree that are copies, a line each.
    copies: PathBuf,
}

impl Lab {
    /// Opens the lab, which the first time means to build a whole kernel.
    pub fn open() -> Result<Self> {
        host_packages::PATCH.ensure()?;
        let parent = kernels::find(kernels::DEFAULT)?.tree()?;
        let lock = paths::lock("mutants")?;
        let label = parent.build.file_name().context("a tree has a name")?;
        let directory = paths::cache("mutants")?.join(label);
        forget_others(&directory)?;
        Ok(Self {
            tree: parent.copy(&directory, lock)?,
            original: parent.source.clone(),
            images: paths::directory(directory.join("images"))?,
            copies: directory.join("copies"),
        })
    }

    /// The mutant's image, built unless it is there.
    pub fn image(&mut self, mutant: &Mutant) -> Result<PathBuf> {
        let image = self.images.join(mutant.label());
        if !image.exists() {
            self.mutate(mutant)?;
            self.tree.make(&["Image"])?;
            let partial = image.with_added_extension("partial");
            fs::copy(self.tree.image(), &partial)
                .with_context(|| format!("cannot write {}", partial.display()))?;
            self.forget_older(mutant)?;
            paths::rename(&partial, &image)?;
        }
        Ok(image)
    }

    /// Makes the sources the original ones with the mutant's patch. Files that are
    /// right already keep their time, by which make knows what is to be done.
    fn mutate(&self, mutant: &Mutant) -> Result<()> {
        let patched = self.patched(mutant)?;
        for file in self.note_copies(mutant)? {
            let mut from = patched.path().join(&file);
            if !from.exists() {
                from = self.original.join(&file);
            }
            let (content, to) = (read(&from)?, self.tree.source.join(&file));
            if read(&to)? != content {
                // A new file in its place: the old one may be a link.
                paths::write(&to, content)?;
            }
        }
        Ok(())
    }

    /// A directory with the files that the mutant changes, as it has them.
    fn patched(&self, mutant: &Mutant) -> Result<tempfile::TempDir> {
        let directory = tempfile::tempdir().context("cannot create a directory")?;
        for file in mutant.files() {
            let to = directory.path().join(file);
            paths::directory(to.parent().context("a file is in a directory")?.to_owned())?;
            paths::write(&to, read(&self.original.join(file))?)?;
        }
        if !mutant.patch.is_empty() {
            let patch = directory.path().join("patch");
            paths::write(&patch, &mutant.patch)?;
            let mut command = Command::new("patch");
            command.args(["--batch", "--strip=1", "--directory"]);
            command.arg(directory.path()).arg("--input").arg(&patch);
            tool::output(&mut command).with_context(|| format!("mutant {}", mutant.name))?;
        }
        Ok(directory)
    }

    /// All files that are or will be copies, written down before they become it.
    fn note_copies(&self, mutant: &Mutant) -> Result<BTreeSet<String>> {
        let noted = fs::read_to_string(&self.copies).unwrap_or_default();
        let copies: BTreeSet<String> = noted
            .lines()
            .chain(mutant.files())
            .map(str::to_owned)
            .collect();
        let lines: String = copies.iter().flat_map(|file| [file, "\n"]).collect();
        paths::write(&self.copies, lines)?;
        Ok(copies)
    }

    /// Removes the images that the mutant had by other patches.
    fn forget_older(&self, mutant: &Mutant) -> Result<()> {
        for entry in fs::read_dir(&self.images)?.flatten() {
            let file = entry.file_name();
            let name = file.to_str().and_then(|file| file.split_once('-'));
            if name.is_some_and(|(_, name)| name == mutant.name) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Removes the labs of kernels that are no longer built.
fn forget_others(current: &Path) -> Result<()> {
    for entry in fs::read_dir(paths::cache("mutants")?)?.flatten() {
        if entry.path() != current {
            paths::remove(&entry.path())?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "Something\nis broken.\nCaught-by: a, b\n\n--- a/c/d.h\n+++ b/c/d.h\n";

    fn case(name: &str) -> CaseResult {
        CaseResult {
            name: name.to_owned(),
            outcome: Outcome::Failed,
            diagnostics: Vec::new(),
        }
    }

    #[track_caller]
    fn check(mutant: &Mutant, failed: &[&str], expected: Result<(), &str>) {
        let failed: Vec<_> = failed.iter().map(|&name| case(name)).collect();
        let judged = mutant.judge(&failed).map_err(|error| error.to_string());
        assert_eq!(judged, expected.map_err(str::to_owned));
    }

    #[test]
    fn reads_the_head() {
        let mutant = Mutant::parse("m", PATCH).unwrap();
        assert_eq!(mutant.sentence, "Something is broken.");
        assert_eq!(mutant.caught_by, ["a", "b"]);
        assert_eq!(mutant.files().collect::<Vec<_>>(), ["c/d.h"]);
        assert!(Mutant::parse("m", &PATCH.replace("Caught-by", "Caught")).is_err());
        assert!(Mutant::parse("m", &PATCH.replace("---", "***")).is_err());
    }

    #[test]
    fn judges_what_failed() {
        let mutant = Mutant::parse("m", PATCH).unwrap();
        check(&mutant, &["a", "b"], Ok(()));
        check(&mutant, &["a", "b", "c"], Ok(()));
        check(&mutant, &["a"], Err("not caught by b, but by {\"a\"}"));
        check(&mutant, &[], Err("SURVIVED"));
        check(&Mutant::none(), &[], Ok(()));
        check(&Mutant::none(), &["a"], Err("a sound kernel fails {\"a\"}"));
    }

    #[test]
    fn every_patch_has_its_head() {
        assert!(all().unwrap().len() >= 24);
    }
}
