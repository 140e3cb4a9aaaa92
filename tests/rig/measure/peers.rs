//! Builds of the peers: programs in C++ and C that do the same job, as small as possible.
//!
//! The flags make the peers smaller, so that the table shows the cost of their
//! libraries. All are linked by lld, as the program is: GNU ld aligns each segment
//! of an aarch64 executable to 64 KiB in the file, which adds up to 60 KiB of
//! padding to the dynamic peer.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use which::which;

use super::Subject;
use crate::{debian, host_packages, kernels, paths, program, target, tool};

const GCC: &str = "aarch64-linux-gnu-gcc";
const GXX: &str = "aarch64-linux-gnu-g++";

/// The directory of headers and libraries for Debian's cross compilers.
const SYSROOT: &str = "/usr/aarch64-linux-gnu";

/// The libraries that the dynamic peer needs at run time.
pub(super) const LIBRARIES: &[&str] = &[
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
    "libstdc++.so.6",
];

const FLAGS: &[&str] = &[
    "-Os",
    "-s",
    "-Wall",
    "-Wextra",
    "-Werror",
    // Leave out unused functions and data.
    "-ffunction-sections",
    "-fdata-sections",
    "-Wl,--gc-sections",
    // Leave out relocations and the table of addresses.
    "-fno-pie",
    "-no-pie",
    "-Wl,-z,norelro",
    // Put constants beside the code, which saves a segment.
    "-Wl,--no-rosegment",
    // No notes.
    "-fno-ident",
    "-Wl,--build-id=none",
    "-fuse-ld=lld",
];

/// C needs no unwinding, and the stack protector would make each function larger.
const C_FLAGS: &[&str] = &[
    "-static",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
    "-fno-stack-protector",
];

/// Builds all peers.
pub fn build() -> Result<Vec<Subject>> {
    host_packages::PEERS.ensure()?;
    let bench = Workbench::open()?;
    Ok(vec![
        bench.subject("cpp-dynamic", "C++, dynamic", bench.cpp(&[]))?,
        bench.subject("cpp-static", "C++, static", bench.cpp(&["-static"]))?,
        bench.subject("glibc", "C, glibc", bench.c())?,
        bench.subject("musl", "C, musl", bench.musl()?)?,
        bench.subject("nolibc", "C, nolibc", bench.nolibc()?)?,
    ])
}

/// Builds the meter, which is the init of the machine that measures programs.
pub(super) fn meter() -> Result<PathBuf> {
    host_packages::PEERS.ensure()?;
    let bench = Workbench::open()?;
    let mut command = bench.compiler(GCC);
    command.arg("-static");
    // These addresses distinguish its instructions from those of the program.
    command.arg(format!("-Wl,--image-base={:#x}", super::meter::METER.start));
    command.arg(source("meter.c"));
    bench.compile(command, "meter")
}

/// Builds the program that only reads files.
pub(super) fn reader() -> Result<PathBuf> {
    host_packages::PEERS.ensure()?;
    let bench = Workbench::open()?;
    let mut command = bench.compiler(GCC);
    command.args(C_FLAGS).arg(source("read.c"));
    bench.compile(command, "read")
}

/// The path of a library for aarch64.
pub(super) fn library(name: &str) -> PathBuf {
    Path::new(SYSROOT).join("lib").join(name)
}

/// The tools that the figures depend on, with their versions.
pub fn versions() -> Result<Vec<String>> {
    let first_line = |program: &str, argument: &str| -> Result<String> {
        let text = tool::output(Command::new(program).arg(argument))?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    };
    let libc = tool::output(Command::new("dpkg-query").args([
        "--show",
        "--showformat=${Version}",
        "libc6-dev-arm64-cross",
    ]))?;
    let kernel = kernels::find(kernels::DEFAULT)?.version()?;
    Ok(vec![
        format!("rustc {}", program::compiler_release(target::DEFAULT)?),
        first_line(GCC, "--version")?,
        first_line("ld.lld", "--version")?,
        format!("glibc {libc}"),
        format!("musl {}", debian::version("musl-dev")?),
        format!("nolibc of Linux {kernel}"),
        format!("Linux {kernel} as the guest"),
        first_line("qemu-system-aarch64", "--version")?,
    ])
}

fn source(name: &str) -> PathBuf {
    paths::workspace().join("tests/peers").join(name)
}

/// The directory where peers are built.
struct Workbench {
    directory: PathBuf,
}

impl Workbench {
    fn open() -> Result<Self> {
        let directory = paths::scratch("peers")?;
        // With -fuse-ld=lld, gcc looks for ld.lld only in directories that -B names.
        let linker = directory.join("ld.lld");
        if !linker.exists() {
            let found = which("ld.lld").context("lld is installed")?;
            // This fails if another test has made the link in the meantime.
            let _ = symlink(found, &linker);
        }
        Ok(Self { directory })
    }

    fn subject(&self, name: &'static str, title: &str, command: Command) -> Result<Subject> {
        Ok(Subject::stages(name, title, self.compile(command, name)?))
    }

    fn compile(&self, mut command: Command, name: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        // Tests that run at the same time may build the same peer.
        let partial = tempfile::NamedTempFile::new_in(&self.directory)?.into_temp_path();
        tool::output(command.arg("-o").arg(&partial))?;
        partial.persist(&path)?;
        Ok(path)
    }

    fn compiler(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.arg("-B").arg(&self.directory).args(FLAGS);
        command
    }

    fn cpp(&self, flags: &[&str]) -> Command {
        let mut command = self.compiler(GXX);
        command.args(flags).arg(source("peer.cpp"));
        command
    }

    fn c(&self) -> Command {
        let mut command = self.compiler(GCC);
        command.args(C_FLAGS).arg(source("peer.c"));
        command
    }

    /// Debian's musl for arm64, with libgcc and the headers of the compiler.
    fn musl(&self) -> Result<Command> {
        let package = debian::unpack("musl-dev")?;
        let library = package.join("usr/lib/aarch64-linux-musl");
        let headers = package.join("usr/include/aarch64-linux-musl");
        let mut command = self.c();
        command.args(["-nostdinc", "-nostdlib"]);
        include(&mut command, &[&headers, &compiler_headers()?]);
        command.args(["crt1.o", "crti.o", "libc.a"].map(|file| library.join(file)));
        command.arg("-lgcc").arg(library.join("crtn.o"));
        Ok(command)
    }

    /// The kernel's nolibc, a libc in headers.
    fn nolibc(&self) -> Result<Command> {
        let tree = kernels::find(kernels::DEFAULT)?.tree()?;
        let headers = tree.source.join("tools/include/nolibc");
        let kernel_headers = Path::new(SYSROOT).join("include");
        let mut command = self.c();
        command.args(["-nostdinc", "-nostdlib", "-DNOLIBC", "-include", "nolibc.h"]);
        include(
            &mut command,
            &[&headers, &compiler_headers()?, &kernel_headers],
        );
        command.arg("-lgcc");
        Ok(command)
    }
}

fn include(command: &mut Command, directories: &[&Path]) {
    for directory in directories {
        command.arg("-isystem").arg(directory);
    }
}

/// The directory with gcc's own headers, such as stddef.h.
fn compiler_headers() -> Result<PathBuf> {
    let text = tool::output(Command::new(GCC).arg("-print-file-name=include"))?;
    Ok(text.trim_end().into())
}
