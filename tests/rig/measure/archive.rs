//! The size of the program where an image pays for it: in a compressed initramfs.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use object::LittleEndian;
use object::elf::{FileHeader64, PF_R, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};

use crate::initramfs::Initramfs;
use crate::{host_packages, paths, tool};

/// A compressor, with the options that kernel builds pass to it.
#[derive(Clone, Copy, Debug)]
pub enum Compressor {
    /// `CONFIG_RD_GZIP`
    Gzip,
    /// `CONFIG_RD_XZ`: the kernel checks CRC32 only.
    Xz,
}

impl Compressor {
    /// The command as one types it.
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
    let archive = Initramfs::new()
        .file("/init", 0o755, program)
        .write(&format!("compressed-{compressor:?}"))?;
    let mut words = compressor.command_line().split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).arg("--stdout");
    let output = command
        .stdin(File::open(&archive)?)
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

/// The program without the assembled suite, for comparing sizes; it cannot run.
///
/// The suite and the text of `--help` are all that the read-only segment holds.
pub fn without_suite(program: &[u8]) -> Result<Vec<u8>> {
    let help = fs::read(paths::workspace().join("src/help.txt"))?;
    let header = FileHeader64::<LittleEndian>::parse(program)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, program)?.iter();
    let is_read_only = |p_type, p_flags| p_type == PT_LOAD && p_flags == PF_R;
    let segment = segments
        .clone()
        .find(|segment| is_read_only(segment.p_type(endian), segment.p_flags(endian)))
        .context("the program has no read-only segment")?;
    let (offset, size) = segment.file_range(endian);
    let (before, rest) = program.split_at(offset as usize);
    let (cold, after) = rest.split_at(size as usize);
    ensure!(
        cold.windows(help.len()).any(|window| window == help),
        "the read-only segment has no help text"
    );
    Ok([before, &help, after].concat())
}
