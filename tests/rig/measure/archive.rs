//! The size of the program in a compressed initramfs.

use std::io::{Seek, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::initramfs::Initramfs;
use crate::{host_packages, tool};

/// A compressor, with options whose output the kernel can decompress.
#[derive(Clone, Copy, Debug)]
pub enum Compressor {
    /// `CONFIG_RD_GZIP`
    Gzip,
    /// `CONFIG_RD_XZ`: the kernel checks CRC32 only.
    Xz,
}

impl Compressor {
    /// The command line of the compressor.
    pub fn command_line(self) -> &'static str {
        match self {
            Compressor::Gzip => "gzip -9 -n",
            Compressor::Xz => "xz -9 --check=crc32",
        }
    }
}

/// The bytes that a newc archive with `program` as its only file takes, compressed.
pub fn compressed_size(program: &[u8], compressor: Compressor) -> Result<u64> {
    host_packages::COMPRESSORS.ensure()?;
    let archive = Initramfs::new().file("/init", 0o755, program).to_bytes()?;
    // Without a name: tests that run in parallel measure other programs.
    let mut file = tempfile::tempfile()?;
    file.write_all(&archive)?;
    file.rewind()?;
    let mut words = compressor.command_line().split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).arg("--stdout");
    let output = command
        .stdin(file)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", tool::show(&command)))?;
    ensure!(
        output.status.success(),
        "{}: {}",
        tool::show(&command),
        output.status
    );
    Ok(output.stdout.len() as u64)
}
