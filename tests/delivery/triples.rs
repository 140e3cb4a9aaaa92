//! The program for the triples of musl, which image builders use.
//!
//! Neither the active toolchain nor Debian has a core library for these, so Debian's compiler
//! also compiles core, from Debian's sources. It runs in an installation that has the start
//! files of musl in the directory where rustup's toolchains have them. rustc links these
//! files, although the program does not need them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use libtest_mimic::Trial;
use rig::program::{self, Build, PACKAGE};
use rig::target::{AARCH64, Target, X86_64};
use rig::{debian, paths, shape, tool};

use crate::workshop::{self, Workshop};
use crate::{trial, works};

/// A triple of Rust.
struct Triple {
    name: &'static str,
    /// The rig's target of this architecture.
    target: &'static Target,
    /// Whether its trial runs by name only: core is compiled for each triple.
    by_name: bool,
}

const TRIPLES: [Triple; 2] = [
    Triple::new("aarch64-unknown-linux-musl", &AARCH64, false),
    Triple::new("x86_64-unknown-linux-musl", &X86_64, true),
];

pub(crate) fn trials() -> Vec<Trial> {
    let trials = TRIPLES.iter().map(|triple| {
        let name = format!("triples::{} works", triple.name);
        trial(name, || triple.works()).with_ignored_flag(triple.by_name)
    });
    trials.collect()
}

impl Triple {
    const fn new(name: &'static str, target: &'static Target, by_name: bool) -> Self {
        Self {
            name,
            target,
            by_name,
        }
    }

    /// With each linker, the program has the ELF layout, and passes `probe` and `check`.
    fn works(&self) -> Result<()> {
        let workshop = workshop::open()?;
        let gcc = self.target.c_compiler()?;
        let mut programs = Vec::new();
        for (name, linker) in [("gcc", gcc), ("rust-lld", program::linker()?)] {
            let built = self.build(workshop, &linker)?;
            shape::expect(self.target, &built, Build::Full).context(name)?;
            let kept = workshop.scratch(self.name)?.join(name);
            fs::copy(&built, &kept)?;
            programs.push((name.to_owned(), kept));
        }
        works::expect(self.target, &format!("triples-{}", self.name), &programs)
    }

    fn build(&self, workshop: &Workshop, linker: &Path) -> Result<PathBuf> {
        let triple = self.name;
        let variable = triple.to_uppercase().replace('-', "_");
        let directory = workshop.scratch(triple)?;
        let mut cargo = workshop.cargo_with_core("build")?;
        cargo.env(format!("CARGO_TARGET_{variable}_LINKER"), linker);
        let sysroot = self.sysroot(workshop)?;
        cargo.env("RUSTFLAGS", format!("--sysroot={}", sysroot.display()));
        cargo.args(["--release", "--target", triple, "--target-dir"]);
        tool::output(cargo.arg(directory.join("build")))?;
        Ok(directory
            .join("build")
            .join(triple)
            .join("release")
            .join(PACKAGE))
    }

    /// An installation of Rust with nothing but core's sources and the start files of musl.
    fn sysroot(&self, workshop: &Workshop) -> Result<PathBuf> {
        let sysroot = workshop.scratch(self.name)?.join("sysroot");
        let libraries = sysroot.join("lib/rustlib");
        if libraries.exists() {
            return Ok(sysroot);
        }
        let start_files = paths::directory(libraries.join(self.name).join("lib/self-contained"))?;
        symlink(program::LIBRARY_SOURCE, libraries.join("src"))?;
        for file in self.start_files()? {
            let name = file.file_name().context("a file has a name")?;
            fs::copy(&file, start_files.join(name))
                .with_context(|| format!("cannot read {}", file.display()))?;
        }
        Ok(sysroot)
    }

    /// The start files of executables, at a fixed address and at any.
    fn start_files(&self) -> Result<Vec<PathBuf>> {
        let package = debian::unpack(&self.target.package("musl-dev"))?;
        let libraries = fs::read_dir(package.join("usr/lib"))?.flatten();
        let mut libraries = libraries.map(|entry| entry.path());
        let musl = libraries.find(|path| path.join("crt1.o").exists());
        let musl = musl.context("musl-dev has no start files")?;
        let of_musl = ["crt1.o", "rcrt1.o", "crti.o", "crtn.o"].map(|name| Ok(musl.join(name)));
        let gcc = self.target.c_compiler()?;
        let of_gcc = ["crtbegin.o", "crtbeginS.o", "crtend.o", "crtendS.o"].map(|name| {
            let mut gcc = Command::new(&gcc);
            let path = tool::output(gcc.arg(format!("-print-file-name={name}")))?;
            Ok(path.trim_end().into())
        });
        of_musl.into_iter().chain(of_gcc).collect()
    }
}
