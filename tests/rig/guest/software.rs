//! Programs for guests: those of Debian, each with the files that it needs, and those in C.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::initramfs::Initramfs;
use crate::{debian, host_packages, tool};

/// A file: its package, the end of its path there, and its path in the guest.
pub type File = (&'static str, &'static str, &'static str);

/// The newest glibc.
pub const GLIBC: &[File] = &[
    (
        "libc6",
        "ld-linux-aarch64.so.1",
        "/lib/ld-linux-aarch64.so.1",
    ),
    ("libc6", "libc.so.6", "/lib/libc.so.6"),
];

/// A program in Go, which reads JSON from standard input.
pub const GRON: &[File] = &[("gron", "bin/gron", "/bin/gron")];

/// pmap of procps.
pub const PMAP: &[File] = &[
    ("procps", "bin/pmap", "/bin/pmap-procps"),
    ("libproc2-1", "libproc2.so.1", "/lib/libproc2.so.1"),
    ("libsystemd0", "libsystemd.so.0", "/lib/libsystemd.so.0"),
    ("libc6", "libm.so.6", "/lib/libm.so.6"),
];

/// Toybox, which has a pmap.
pub const TOYBOX: &[File] = &[
    ("toybox", "bin/toybox", "/bin/toybox"),
    ("libcrypt1", "libcrypt.so.1", "/lib/libcrypt.so.1"),
    ("libc6", "libm.so.6", "/lib/libm.so.6"),
];

/// OpenJDK, as far as keytool needs it.
pub const JAVA: &[File] = &[
    (JRE, "bin/java", "/jvm/bin/java"),
    (JRE, "jvm-arm64.cfg", "/jvm/lib/jvm.cfg"),
    (JRE, "java.security", "/jvm/conf/security/java.security"),
    (JRE, "modules", "/jvm/lib/modules"),
    (JRE, "libjava.so", "/jvm/lib/libjava.so"),
    (JRE, "libjimage.so", "/jvm/lib/libjimage.so"),
    (JRE, "libjli.so", "/jvm/lib/libjli.so"),
    (JRE, "libnet.so", "/jvm/lib/libnet.so"),
    (JRE, "libnio.so", "/jvm/lib/libnio.so"),
    (JRE, "libzip.so", "/jvm/lib/libzip.so"),
    (JRE, "libjvm.so", "/jvm/lib/server/libjvm.so"),
    (JRE, "classes.jsa", "/jvm/lib/server/classes.jsa"),
    ("libc6", "libm.so.6", "/lib/libm.so.6"),
    ("libgcc-s1", "libgcc_s.so.1", "/lib/libgcc_s.so.1"),
    ("libstdc++6", "libstdc++.so.6", "/lib/libstdc++.so.6"),
    ("zlib1g", "libz.so.1", "/lib/libz.so.1"),
];

const JRE: &str = "openjdk-25-jre-headless";

/// The packages of all these files.
pub(crate) const PACKAGES: &[&str] = &[
    "gron",
    "libc6",
    "libcrypt1",
    "libgcc-s1",
    "libproc2-1",
    r"libstdc\+\+6",
    "libsystemd0",
    JRE,
    "procps",
    "toybox",
    "zlib1g",
];

/// Adds files to an archive, with their directories.
pub fn add(mut archive: Initramfs, files: &[File]) -> Result<Initramfs> {
    for file in files {
        let (.., path) = file;
        let parents: Vec<&Path> = Path::new(path).ancestors().skip(1).collect();
        for directory in parents.into_iter().rev().skip(1) {
            archive = archive.directory(&directory.to_string_lossy(), 0o755);
        }
        let source = find(file)?;
        let content = fs::read(&source).with_context(|| source.display().to_string())?;
        archive = archive.file(path, 0o755, content);
    }
    Ok(archive)
}

/// Compiles a program in C for the default architecture, and returns the executable.
pub fn compile(source: &Path, flags: &[&str]) -> Result<Vec<u8>> {
    host_packages::PEERS.ensure()?;
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("program");
    let mut gcc = Command::new("aarch64-linux-gnu-gcc");
    gcc.arg("-O2").args(flags).arg(source);
    tool::output(gcc.arg("-o").arg(&output))?;
    fs::read(&output).with_context(|| output.display().to_string())
}

/// The file in its unpacked package.
pub fn find((package, end, _): &File) -> Result<PathBuf> {
    find_below(&debian::unpack(package)?, end)
}

/// The first file below the directory of a package whose path ends so. It may be a link to a file
/// beside it.
pub(crate) fn find_below(package: &Path, end: &str) -> Result<PathBuf> {
    let found = find_in(package, end)?;
    found.with_context(|| format!("no {end} in {}", package.display()))
}

fn find_in(directory: &Path, end: &str) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if path.ends_with(end) && path.is_file() {
            return Ok(Some(path));
        }
        if entry.file_type()?.is_dir()
            && let Some(found) = find_in(&path, end)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
