//! A directory outside the repository, where the source package is built as image builders
//! do it: without the repository's configuration of Cargo and without a network.
//!
//! The Cargo home in it has no registry: Cargo takes the dependencies from a directory that
//! `cargo vendor` has filled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use rig::target::AARCH64;
use rig::{paths, program, source_package, tool};

/// The directory, and the source in it.
pub(crate) struct Workshop {
    directory: PathBuf,
    /// The unpacked source package.
    pub(crate) source: PathBuf,
}

static WORKSHOP: OnceLock<Result<Workshop, String>> = OnceLock::new();

/// Opens the workshop; the first call fills it.
pub(crate) fn open() -> Result<&'static Workshop> {
    let opened = WORKSHOP.get_or_init(|| Workshop::fill().map_err(|error| format!("{error:#}")));
    opened.as_ref().map_err(|error| anyhow!("{error}"))
}

/// Removes the directory at the end of the tests.
pub(crate) fn remove() {
    if let Some(Ok(workshop)) = WORKSHOP.get() {
        // A directory that stays in /tmp is no reason for a failure.
        let _ = fs::remove_dir_all(&workshop.directory);
    }
}

impl Workshop {
    fn fill() -> Result<Self> {
        let directory = tempfile::tempdir()
            .context("cannot create a directory")?
            .keep();
        let source = source_package::unpack(&source_package::make()?, &directory)?;
        let workshop = Self { directory, source };
        let home = paths::directory(workshop.home())?;
        let mut vendor = program::cargo("vendor");
        vendor.args(["--offline", "--locked", "--versioned-dirs"]);
        vendor
            .current_dir(&workshop.source)
            .arg(workshop.vendored());
        let configuration = tool::output(&mut vendor)?;
        paths::write(&home.join("config.toml"), configuration)?;
        Ok(workshop)
    }

    /// The directory with the dependencies.
    pub(crate) fn vendored(&self) -> PathBuf {
        self.directory.join("vendored")
    }

    fn home(&self) -> PathBuf {
        self.directory.join("cargo-home")
    }

    /// A directory of that name, created if missing.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf> {
        paths::directory(self.directory.join("scratch").join(name))
    }

    /// Cargo with a compiler for the program's target, in the source.
    pub(crate) fn cargo(&self, subcommand: &str) -> Result<Command> {
        self.cargo_in(&self.source, subcommand)
    }

    /// The same in another directory.
    pub(crate) fn cargo_in(&self, directory: &Path, subcommand: &str) -> Result<Command> {
        let mut cargo = program::cross_cargo(&AARCH64, subcommand)?;
        self.adjust(&mut cargo, directory);
        Ok(cargo)
    }

    /// Cargo with a compiler that compiles core for any triple, in the source. It keeps the user's
    /// Cargo home, whose registry has the dependencies of std.
    pub(crate) fn cargo_with_core(&self, subcommand: &str) -> Result<Command> {
        let mut cargo = program::cargo_with_core(subcommand)?;
        isolate(&mut cargo, &self.source);
        cargo.arg("--locked");
        Ok(cargo)
    }

    /// Cargo with the user's compiler, in the source.
    pub(crate) fn host_cargo(&self, subcommand: &str) -> Command {
        let mut cargo = program::cargo(subcommand);
        self.adjust(&mut cargo, &self.source);
        cargo
    }

    fn adjust(&self, cargo: &mut Command, directory: &Path) {
        isolate(cargo, directory);
        cargo.env("CARGO_HOME", self.home());
        cargo.args(["--offline", "--locked"]);
    }

    /// Writes an executable script.
    pub(crate) fn script(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.scratch("scripts")?.join(name);
        paths::write_executable(&path, text)?;
        Ok(path)
    }
}

/// Makes Cargo work in a directory without the settings of the environment.
fn isolate(cargo: &mut Command, directory: &Path) {
    cargo.current_dir(directory);
    for variable in [
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET",
        "RUSTFLAGS",
        "GIT_DIR",
    ] {
        cargo.env_remove(variable);
    }
}
