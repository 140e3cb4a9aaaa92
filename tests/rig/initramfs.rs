//! Initramfs archives in the cpio format "newc".
//!
//! See Documentation/driver-api/early-userspace/buffer-format.rst in Linux. Archives are
//! reproducible: no entry has a time, and all entries belong to root.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cpio::newc::{self, ModeFileType};

use crate::paths;
use crate::program::{self, Build};
use crate::target::{self, Target};

/// An archive. The kernel unpacks its entries in order, so a directory must precede its
/// files.
#[derive(Clone, Debug, Default)]
pub struct Initramfs {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    /// Permissions and file type.
    mode: u32,
    /// Major and minor number of a device.
    device: (u32, u32),
    content: Vec<u8>,
}

impl Initramfs {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// An archive with the program as `/init` only. The kernel's built-in archive has
    /// /dev/console.
    pub fn with_program(build: Build) -> Result<Self> {
        Self::with_program_for(target::DEFAULT, build)
    }

    /// The archive of [`Initramfs::with_program`] for another architecture.
    pub fn with_program_for(target: &'static Target, build: Build) -> Result<Self> {
        let path = program::build_for(target, build)?;
        let program = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self::new().file("/init", 0o755, program))
    }

    /// Adds a regular file.
    pub fn file(self, path: &str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        self.add(path, mode, ModeFileType::Regular, (0, 0), content.into())
    }

    /// Adds a directory.
    pub fn directory(self, path: &str, mode: u32) -> Self {
        self.add(path, mode, ModeFileType::Directory, (0, 0), Vec::new())
    }

    /// Adds a symbolic link.
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.add(path, 0o777, ModeFileType::Symlink, (0, 0), target.into())
    }

    /// Adds a character device.
    pub fn char_device(self, path: &str, mode: u32, major: u32, minor: u32) -> Self {
        self.add(path, mode, ModeFileType::Char, (major, minor), Vec::new())
    }

    /// The bytes of the archive.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut archive = Vec::new();
        // The kernel treats entries with equal inode numbers as hard links.
        for (number, entry) in (1..).zip(&self.entries) {
            entry
                .write(number, &mut archive)
                .with_context(|| format!("cannot archive /{}", entry.name))?;
        }
        newc::trailer(&mut archive)?;
        Ok(archive)
    }

    /// Writes the archive to `NAME.cpio` in the target directory; returns its path.
    pub fn write(&self, name: &str) -> Result<PathBuf> {
        let path = paths::scratch("initramfs")?.join(format!("{name}.cpio"));
        // Atomically: tests that run in parallel may write the same archive.
        paths::write(&path, self.to_bytes()?)?;
        Ok(path)
    }

    /// Writes the archive to a file, which may be a pipe.
    pub fn write_to(&self, path: &Path) -> Result<()> {
        fs::write(path, self.to_bytes()?)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn add(
        mut self,
        path: &str,
        mode: u32,
        kind: ModeFileType,
        device: (u32, u32),
        content: Vec<u8>,
    ) -> Self {
        self.entries.push(Entry {
            name: path.trim_start_matches('/').to_owned(),
            mode: mode | u32::from(kind),
            device,
            content,
        });
        self
    }
}

impl Entry {
    fn write(&self, number: u32, archive: &mut Vec<u8>) -> Result<()> {
        ensure!(
            !self.name.is_empty(),
            "the root directory must not have an entry"
        );
        let size = u32::try_from(self.content.len()).context("too large for the newc format")?;
        let mut file = newc::Builder::new(&self.name)
            .ino(number)
            .mode(self.mode)
            .rdev_major(self.device.0)
            .rdev_minor(self.device.1)
            .write(archive, size);
        io::copy(&mut self.content.as_slice(), &mut file)?;
        file.finish()?;
        Ok(())
    }
}
