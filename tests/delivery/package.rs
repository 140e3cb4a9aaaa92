//! The source package: its content, its size, and the revision that a build of it reports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use rig::checkout::{Checkout, git};
use rig::program::{self, Build, PACKAGE};
use rig::target::{self, AARCH64};
use rig::{paths, shape, source_package, tool};

use crate::trial;
use crate::workshop::{self, Workshop};

/// The largest size of the package in bytes.
const LARGEST: u64 = 150_000;

/// The number of crates that the program depends on, directly or indirectly.
const DEPENDENCIES: usize = 6;

/// The beginnings of the paths in the package.
const CONTENT: [&str; 12] = [
    ".cargo_vcs_info.json",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "Cargo.toml.orig",
    "LICENSE",
    "README.md",
    "linker/build.rs",
    "linker/minimal.ld",
    "linker/program.ld",
    "linker/text.ld",
    "src/",
];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("package::is small and has what a build needs", content),
        trial("package::is built offline with six crates", dependencies),
        trial("package::passes Cargo's verification", verification),
        trial(
            "package::is installed on the host by cargo install",
            installation,
        ),
        trial("package::knows its revision", revision),
    ]
}

fn content() -> Result<()> {
    let mut list = Checkout::own("source-package")?.cargo("package");
    list.args(["--package", PACKAGE, "--list", "--allow-dirty"]);
    let list = tool::output(&mut list)?;
    let is_expected = |path: &&str| CONTENT.iter().any(|start| path.starts_with(start));
    let unexpected: Vec<&str> = list.lines().filter(|path| !is_expected(path)).collect();
    ensure!(unexpected.is_empty(), "the package has {unexpected:?}");
    for start in CONTENT {
        let is_there = list.lines().any(|path| path.starts_with(start));
        ensure!(is_there, "the package lacks {start}");
    }
    let size = source_package::make()?.metadata()?.len();
    ensure!(size <= LARGEST, "the package has {size} bytes");
    Ok(())
}

/// The module `builds` uses no registry, only the directory that this test checks.
fn dependencies() -> Result<()> {
    let vendored = workshop::open()?.vendored();
    let count = fs::read_dir(&vendored)?.count();
    ensure!(
        count == DEPENDENCIES,
        "{count} crates in {}",
        vendored.display()
    );
    Ok(())
}

fn verification() -> Result<()> {
    let mut cargo = program::cross_cargo(&AARCH64, "package")?;
    cargo.env(AARCH64.linker_variable(), program::linker()?);
    cargo.args(["--package", PACKAGE, "--allow-dirty", "--offline"]);
    cargo.args(["--target", AARCH64.triple, "--target-dir"]);
    tool::output(cargo.arg(paths::scratch("source-package-verified")?)).map(drop)
}

/// Without a target, Cargo builds for the host, with the host's C compiler as the linker.
fn installation() -> Result<()> {
    let workshop = workshop::open()?;
    let root = workshop.scratch("installed")?;
    let mut cargo = workshop.host_cargo("install");
    cargo.args(["--path", ".", "--root"]).arg(&root);
    tool::output(&mut cargo)?;
    let program = root.join("bin").join(PACKAGE);
    let version = tool::output(Command::new(&program).arg("--version"))?;
    ensure!(version.starts_with("vm_anon_name "), "{version}");
    shape::expect(target::host()?, &program, Build::Full)
}

/// A build reports the revision in the package, not that of a repository around the package.
fn revision() -> Result<()> {
    let revision = git(paths::workspace(), &["rev-parse", "HEAD"])?;
    let workshop = workshop::open()?;
    let foreign = workshop.scratch("foreign-repository")?;
    foreign_repository(&foreign)?;
    let source = source_package::unpack(&source_package::make()?, &foreign)?;
    let program = fs::read(build(workshop, &source)?)?;
    let (packaged, _) = revision.split_at(12);
    ensure!(has(&program, &format!("({packaged})")), "not {packaged}");

    fs::remove_file(source.join(".cargo_vcs_info.json"))?;
    let program = fs::read(build(workshop, &source)?)?;
    ensure!(
        has(&program, "(unknown)"),
        "the revision of another repository"
    );
    Ok(())
}

fn foreign_repository(directory: &Path) -> Result<()> {
    git(directory, &["init", "--quiet"])?;
    let author = [
        "-c",
        "user.name=nobody",
        "-c",
        "user.email=nobody@localhost",
    ];
    let commit = [
        "commit",
        "--quiet",
        "--allow-empty",
        "--message=another project",
    ];
    git(directory, &[author.as_slice(), &commit].concat()).map(drop)
}

fn build(workshop: &Workshop, source: &Path) -> Result<PathBuf> {
    let target_directory = workshop.scratch("revision")?;
    let mut cargo = workshop.cargo_in(source, "build")?;
    cargo.env(AARCH64.linker_variable(), program::linker()?);
    cargo.args(["--release", "--target", AARCH64.triple, "--target-dir"]);
    tool::output(cargo.arg(&target_directory))?;
    Ok(target_directory
        .join(AARCH64.triple)
        .join("release")
        .join(PACKAGE))
}

fn has(program: &[u8], text: &str) -> bool {
    program
        .windows(text.len())
        .any(|bytes| bytes == text.as_bytes())
}
