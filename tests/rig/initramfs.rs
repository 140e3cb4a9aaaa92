//! The archive a kernel unpacks into its first file system.
//!
//! The format is "newc", see Documentation/driver-api/early-userspace in Linux.
//! The same entries give the same bytes on every machine: there are no times, and
//! everything belongs to root.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cpio::newc::{self, ModeFileType};

use crate::paths;
use crate::program::{self, Build};

/// Entries in the order they are unpacked. A directory comes before its files.
#[derive(Clone, Debug, Default)]
pub struct Initramfs {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    /// The permissions and the type of the file.
    mode: u32,
    /// The numbers of a device; zero for anything else.
    device: (u32, u32),
    content: Vec<u8>,
}

impl Initramfs {
    /// An archive without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// The program as `/init`, and nothing else. The kernel brings /dev/console.
    pub fn with_program(build: Build) -> Result<Self> {
        let path = program::build(build)?;
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

    /// Adds a symbolic link at `path` to `target`.
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.add(path, 0o777, ModeFileType::Symlink, (0, 0), target.into())
    }

    /// Adds a character device.
    pub fn char_device(self, path: &str, mode: u32, major: u32, minor: u32) -> Self {
        self.add(path, mode, ModeFileType::Char, (major, minor), Vec::new())
    }

    /// Adds a block device.
    pub fn block_device(self, path: &str, mode: u32, major: u32, minor: u32) -> Self {
        self.add(path, mode, ModeFileType::Block, (major, minor), Vec::new())
    }

    /// The archive.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut archive = Vec::new();
        // The kernel takes entries of equal numbers for links to one file.
        for (number, entry) in (1..).zip(&self.entries) {
            entry
                .write(number, &mut archive)
                .with_context(|| format!("cannot archive /{}", entry.name))?;
        }
        newc::trailer(&mut archive)?;
        Ok(archive)
    }

    /// Writes the archive for this checkout's own use; returns where it lies.
    pub fn write(&self, name: &str) -> Result<PathBuf> {
        let path = paths::scratch("initramfs")?.join(format!("{name}.cpio"));
        // Tests that run side by side may write the same archive.
        paths::write(&path, self.to_bytes()?)?;
        Ok(path)
    }

    /// Writes the archive to any file, be it a pipe.
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
        ensure!(!self.name.is_empty(), "the root directory needs no entry");
        let size = u32::try_from(self.content.len()).context("too large for this format")?;
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
