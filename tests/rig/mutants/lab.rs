//! Builds of mutant kernels.
//!
//! All mutants are built one after the other in one tree. Its sources are hard links to
//! the original ones; a file that a patch changes is a copy. A build compiles only what
//! differs from the mutant before. An interrupted build needs no clean-up, because each
//! build starts by restoring the sources. An image is kept until its patch changes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::Mutant;
use crate::host_packages;
use crate::kernels::{self, Tree};
use crate::paths;
use crate::tool;

/// Source tree and images of the mutants. Other processes wait for it until it is
/// dropped.
pub struct Lab {
    tree: Tree,
    /// Original sources.
    original: PathBuf,
    /// Directory of the images built so far.
    images: PathBuf,
    /// File with the names of all source files that are copies instead of hard links.
    copies: PathBuf,
}

impl Lab {
    /// Opens the lab. The first time this builds a whole kernel.
    pub fn open() -> Result<Self> {
        host_packages::PATCH.ensure()?;
        let parent = kernels::find(kernels::DEFAULT)?.tree()?;
        let lock = paths::lock("mutants")?;
        let label = parent
            .build
            .file_name()
            .context("the build directory has no name")?;
        let directory = paths::cache("mutants")?.join(label);
        remove_others(&directory)?;
        Ok(Self {
            tree: parent.copy(&directory, lock)?,
            original: parent.source.clone(),
            images: paths::directory(directory.join("images"))?,
            copies: directory.join("copies"),
        })
    }

    /// The image of the mutant, which is built unless it exists.
    pub fn image(&mut self, mutant: &Mutant) -> Result<PathBuf> {
        let image = self.images.join(label(mutant));
        if !image.exists() {
            self.apply(mutant)?;
            self.tree.make(&["Image"])?;
            let partial = image.with_added_extension("partial");
            fs::copy(self.tree.image(), &partial)
                .with_context(|| format!("cannot write {}", partial.display()))?;
            self.remove_older(mutant)?;
            paths::rename(&partial, &image)?;
        }
        Ok(image)
    }

    /// Sets the sources to the original ones with the mutant's patch. Files that do not
    /// change keep their modification time, so that make compiles only what differs
    /// from the last mutant.
    fn apply(&self, mutant: &Mutant) -> Result<()> {
        let patched = self.patched(mutant)?;
        for file in self.note_copies(mutant)? {
            let mut from = patched.path().join(&file);
            if !from.exists() {
                from = self.original.join(&file);
            }
            let (content, to) = (read(&from)?, self.tree.source.join(&file));
            if read(&to)? != content {
                // This replaces the file instead of writing to it, because it may be a hard link.
                paths::write(&to, content)?;
            }
        }
        Ok(())
    }

    /// A directory with the patched files.
    fn patched(&self, mutant: &Mutant) -> Result<tempfile::TempDir> {
        let directory = tempfile::tempdir().context("cannot create a directory")?;
        for file in mutant.files() {
            let to = directory.path().join(file);
            paths::directory(to.parent().context("a file has a directory")?.to_owned())?;
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

    /// Adds the files of the mutant to the list of copies, before they are replaced;
    /// returns the list.
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

    /// Removes the images of earlier versions of the mutant.
    fn remove_older(&self, mutant: &Mutant) -> Result<()> {
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

/// Removes the labs of other versions of the kernel.
fn remove_others(current: &Path) -> Result<()> {
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

impl Mutant {
    /// Names of the files that the patch changes, relative to the sources.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        let lines = self.patch.lines();
        lines.filter_map(|line| line.strip_prefix("+++ b/"))
    }
}

/// File name of the image, which changes with the patch.
fn label(mutant: &Mutant) -> String {
    let hash = Sha256::digest(&mutant.patch);
    let hash: String = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hash}-{}", mutant.name)
}
