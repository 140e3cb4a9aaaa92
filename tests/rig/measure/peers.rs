//! The same job in C++ and C, built as small as their tools make it.
//!
//! Every flag here is in a peer's favour, so that what the table shows is the
//! libraries' cost and not that of careless flags. All are linked by lld, as the
//! program is: GNU ld gives each segment of an aarch64 executable 64 KiB of its
//! own in the file, up to 60 KiB of padding in the dynamic peer.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use which::which;

use super::Subject;
use crate::{debian, host, kernels, paths, program, tool};

const GCC: &str = "aarch64-linux-gnu-gcc";
const GXX: &str = "aarch64-linux-gnu-g++";

/// Where Debian's cross compilers keep headers and libraries for aarch64.
const SYSROOT: &str = "/usr/aarch64-linux-gnu";

/// What the dynamic peer needs at run time.
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
    // Only what is used.
    "-ffunction-sections",
    "-fdata-sections",
    "-Wl,--gc-sections",
    // Neither relocations nor a table of addresses.
    "-fno-pie",
    "-no-pie",
    "-Wl,-z,norelro",
    // Constants beside the code: one segment less.
    "-Wl,--no-rosegment",
    // What nobody reads.
    "-fno-ident",
    "-Wl,--build-id=none",
    "-fuse-ld=lld",
];

/// C needs no unwinding; nolibc could not have the stack protector.
const C_FLAGS: &[&str] = &[
    "-static",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
    "-fno-stack-protector",
];

/// Builds all peers.
pub fn build() -> Result<Vec<Subject>> {
    host::PEERS.ensure()?;
    let bench = Workbench::open()?;
    Ok(vec![
        bench.subject("cpp-dynamic", "C++, dynamic", bench.cpp(&[]))?,
        bench.subject("cpp-static", "C++, static", bench.cpp(&["-static"]))?,
        bench.subject("glibc", "C, glibc", bench.c())?,
        bench.subject("musl", "C, musl", bench.musl()?)?,
        bench.subject("nolibc", "C, nolibc", bench.nolibc()?)?,
    ])
}

/// Builds the first process of the machine that measures.
pub(super) fn meter() -> Result<PathBuf> {
    host::PEERS.ensure()?;
    let bench = Workbench::open()?;
    let mut command = bench.compiler(GCC);
    command.arg("-static");
    // What it executes itself is told by the address.
    command.arg(format!("-Wl,--image-base={:#x}", super::meter::METER.start));
    command.arg(source("meter.c"));
    bench.compile(command, "meter")
}

/// A directory of the toolchain's libraries for aarch64.
pub(super) fn library(name: &str) -> PathBuf {
    Path::new(SYSROOT).join("lib").join(name)
}

/// The versions of what the measurement depends on, one a line.
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
        format!("rustc {}", program::compiler_release()?),
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

/// Where peers are built.
struct Workbench {
    directory: PathBuf,
}

impl Workbench {
    fn open() -> Result<Self> {
        let directory = paths::scratch("peers")?;
        // gcc looks for a linker of that name beside its own tools only.
        let linker = directory.join("ld.lld");
        if !linker.exists() {
            let found = which("ld.lld").context("lld is installed")?;
            // Another test may just have done so.
            let _ = symlink(found, &linker);
        }
        Ok(Self { directory })
    }

    fn subject(&self, name: &'static str, title: &str, command: Command) -> Result<Subject> {
        Ok(Subject {
            name,
            title: title.to_owned(),
            path: self.compile(command, name)?,
        })
    }

    fn compile(&self, mut command: Command, name: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        // Tests that run side by side may build the same one.
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

    /// Musl as Debian builds it for arm64; the compiler's own files around it.
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

    /// The kernel's headers that stand for a libc.
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

/// Where gcc keeps stddef.h and its like.
fn compiler_headers() -> Result<PathBuf> {
    let text = tool::output(Command::new(GCC).arg("-print-file-name=include"))?;
    Ok(text.trim_end().into())
}
