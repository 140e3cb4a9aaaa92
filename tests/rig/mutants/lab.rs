//! The kernel that contains all mutants.
//!
//! The sources are a tree of their own, whose files are hard links to the original ones. A file
//! that a patch changes is replaced. The image is kept until a patch changes, and then only what
//! differs is compiled. An interrupted build needs no clean-up, because a build writes all
//! files that any build has ever changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::{Mutant, versions};
use crate::host_packages;
use crate::kernels::{self, Tree};
use crate::mutation::selection;
use crate::paths;
use crate::tool;

/// The source tree and the image. Other processes wait for it until it is dropped.
struct Lab {
    tree: Tree,
    /// The original sources.
    original: PathBuf,
    /// The directory of the tree and the image.
    directory: PathBuf,
}

/// The image of the kernel with these mutants, which is built unless it is in the cache. The
/// first time this builds a whole kernel.
pub fn image(mutants: &[Mutant]) -> Result<PathBuf> {
    let parent = kernels::find(kernels::DEFAULT)?.tree()?;
    let lock = paths::lock("mutants")?;
    let label = parent
        .build
        .file_name()
        .context("the build directory has no name")?;
    let directory = paths::cache("mutants")?.join(label);
    remove_others(&directory)?;
    let image = directory.join(format!("Image-{}", hash(mutants)));
    if !image.exists() {
        host_packages::PATCH.ensure()?;
        let tree = parent.copy(&directory, lock)?;
        let original = parent.source.clone();
        Lab {
            tree,
            original,
            directory,
        }
        .build(mutants, &image)?;
    }
    Ok(image)
}

impl Lab {
    fn build(&self, mutants: &[Mutant], image: &Path) -> Result<()> {
        for file in self.note_changed(mutants)? {
            let text = self.combined(&file, mutants)?;
            selection::write(&self.tree.source.join(&file), &text)?;
        }
        selection::add(&self.tree.source, mutants.len())?;
        self.tree.make(&["Image"])?;
        for old in fs::read_dir(&self.directory)?.flatten() {
            if old.file_name().to_string_lossy().starts_with("Image-") {
                fs::remove_file(old.path()).context("cannot remove an old image")?;
            }
        }
        let partial = image.with_added_extension("partial");
        fs::copy(self.tree.image(), &partial)
            .with_context(|| format!("cannot write {}", partial.display()))?;
        paths::rename(&partial, image)
    }

    /// Adds the files of the mutants to the list of changed files, before they are replaced;
    /// returns the list.
    fn note_changed(&self, mutants: &[Mutant]) -> Result<BTreeSet<String>> {
        let list = self.directory.join("changed");
        let mut files: BTreeSet<String> = match fs::read_to_string(&list) {
            Ok(noted) => noted.lines().map(str::to_owned).collect(),
            Err(_) => BTreeSet::new(),
        };
        files.extend(mutants.iter().flat_map(Mutant::files).map(str::to_owned));
        let lines: String = files.iter().flat_map(|file| [file, "\n"]).collect();
        paths::write(&list, lines)?;
        Ok(files)
    }

    /// The text of a file with the functions of all mutants; the original text if no mutant
    /// changes it.
    fn combined(&self, file: &str, mutants: &[Mutant]) -> Result<String> {
        let original = read(&self.original.join(file))?;
        let mut patched = Vec::new();
        for mutant in mutants.iter().filter(|it| it.files().any(|it| it == file)) {
            let text = self.patched(file, mutant);
            let text = text.with_context(|| format!("mutant {}", mutant.name))?;
            patched.push((mutant.number, text));
        }
        match patched[..] {
            [] => Ok(original),
            _ => versions::combine(&original, &patched).with_context(|| file.to_owned()),
        }
    }

    /// The text of a file with the patch of one mutant.
    fn patched(&self, file: &str, mutant: &Mutant) -> Result<String> {
        let directory = tempfile::tempdir().context("cannot create a directory")?;
        for file in mutant.files() {
            let to = directory.path().join(file);
            paths::directory(to.parent().context("a file has a directory")?.to_owned())?;
            paths::write(&to, read(&self.original.join(file))?)?;
        }
        let patch = directory.path().join("patch");
        paths::write(&patch, &mutant.patch)?;
        let mut command = Command::new("patch");
        command.args(["--batch", "--strip=1", "--directory"]);
        command.arg(directory.path()).arg("--input").arg(&patch);
        tool::output(&mut command)?;
        read(&directory.path().join(file))
    }
}

/// Removes the trees of other versions of the kernel.
fn remove_others(current: &Path) -> Result<()> {
    for entry in fs::read_dir(paths::cache("mutants")?)?.flatten() {
        if entry.path() != current {
            paths::remove(&entry.path())?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A hash of all that the mutants add to the sources.
fn hash(mutants: &[Mutant]) -> String {
    let mut hash = Sha256::new();
    mutants.iter().for_each(|mutant| hash.update(&mutant.patch));
    selection::hash(&mut hash);
    hash.update(include_str!("versions.rs"));
    let hash = hash.finalize();
    hash[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}
