//! Builds of the peers: programs in C++ and C that do the same job, as small as possible.
//!
//! The flags of the [`workbench`] make the peers smaller, so that the tables show the cost of
//! their libraries. The peers with musl and nolibc are built for each architecture. Those with
//! glibc need the libraries of a cross compiler, and are built for the default one alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::Subject;
use crate::target::{self, Target};
use crate::workbench::{self, Workbench, first_line};
use crate::{debian, host_packages, kernels, paths, program, tool};

const GXX: &str = "aarch64-linux-gnu-g++";

/// The directory of libraries for Debian's cross compilers.
const SYSROOT: &str = "/usr/aarch64-linux-gnu";

/// The libraries that the dynamic peer needs at run time.
pub(super) const LIBRARIES: &[&str] = &[
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
    "libstdc++.so.6",
];

/// Builds all peers, for the default architecture.
pub fn build() -> Result<Vec<Subject>> {
    host_packages::PEERS.ensure()?;
    let bench = Workbench::open(target::DEFAULT)?;
    let mut peers = vec![
        subject(&bench, "cpp-dynamic", "C++, dynamic", cpp(&[]))?,
        subject(&bench, "cpp-static", "C++, static", cpp(&["-static"]))?,
        subject(&bench, "glibc", "C, glibc", bench.c(&source("peer.c")))?,
    ];
    peers.extend(build_for(target::DEFAULT)?);
    Ok(peers)
}

/// Builds the peers with musl and with nolibc.
pub fn build_for(target: &'static Target) -> Result<[Subject; 2]> {
    let bench = Workbench::open(target)?;
    let source = source("peer.c");
    Ok([
        subject(&bench, "musl", "C, musl", bench.musl(&source)?)?,
        subject(&bench, "nolibc", "C, nolibc", bench.nolibc(&source)?)?,
    ])
}

/// Builds the meter, which is the init of the machine that measures programs.
pub(super) fn meter(target: &'static Target) -> Result<PathBuf> {
    let bench = Workbench::open(target)?;
    let mut command = bench.musl(&source("meter.c"))?;
    // These addresses distinguish its instructions from those of the program.
    command.arg(format!("-Wl,--image-base={:#x}", super::meter::METER.start));
    bench.compile(command, "meter")
}

/// Builds the program that only reads files, for the default architecture.
pub(super) fn reader() -> Result<PathBuf> {
    let bench = Workbench::open(target::DEFAULT)?;
    bench.compile(bench.musl(&source("read.c"))?, "read")
}

/// The path of a library for aarch64.
pub(super) fn library(name: &str) -> PathBuf {
    Path::new(SYSROOT).join("lib").join(name)
}

/// The tools that the figures depend on, with their versions.
pub fn versions() -> Result<Vec<String>> {
    let libc = tool::output(Command::new("dpkg-query").args([
        "--show",
        "--showformat=${Version}",
        "libc6-dev-arm64-cross",
    ]))?;
    let mut versions = versions_for(target::DEFAULT)?;
    versions.push(format!("glibc {libc}"));
    Ok(versions)
}

/// The versions of the tools that [`build_for`] uses, and of the kernel and the QEMU that measure.
pub(super) fn versions_for(target: &'static Target) -> Result<Vec<String>> {
    let kernel = kernels::find_for(target, kernels::DEFAULT)?.version()?;
    let [gcc, lld] = workbench::versions(target)?;
    Ok(vec![
        format!("rustc {}", program::compiler_release(target)?),
        gcc,
        lld,
        format!(
            "musl {}",
            debian::version(&target.package(workbench::MUSL))?
        ),
        format!("nolibc of Linux {kernel}"),
        format!("Linux {kernel} as the guest"),
        first_line(Command::new(target.qemu))?,
    ])
}

fn subject(
    bench: &Workbench,
    name: &'static str,
    title: &str,
    command: Command,
) -> Result<Subject> {
    Ok(Subject::stages(name, title, bench.compile(command, name)?))
}

fn cpp(flags: &[&str]) -> Command {
    let mut command = Command::new(GXX);
    command
        .args(workbench::FLAGS)
        .args(flags)
        .arg(source("peer.cpp"));
    command
}

fn source(name: &str) -> PathBuf {
    paths::workspace().join("tests/peers").join(name)
}
