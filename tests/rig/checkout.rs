//! A checkout of the repository, and where Cargo builds it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{paths, program, tool};

/// A checkout of the repository.
pub struct Checkout {
    /// Its top directory.
    pub source: PathBuf,
    /// A directory for what Cargo builds.
    pub target: PathBuf,
    /// Cargo's home.
    pub cargo_home: PathBuf,
}

impl Checkout {
    /// The rig's own, built in a scratch directory of that name.
    pub fn own(name: &str) -> Result<Self> {
        Ok(Self {
            source: paths::workspace().to_owned(),
            target: paths::scratch(name)?,
            cargo_home: cargo_home()?,
        })
    }

    /// Cargo in this checkout, without a network.
    pub fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = program::cargo(subcommand);
        self.adjust(&mut cargo);
        cargo.arg("--offline");
        cargo
    }

    /// Changes a Cargo command for the rig's own checkout into one for this checkout.
    pub fn adjust(&self, cargo: &mut Command) {
        cargo.current_dir(&self.source);
        cargo.env("CARGO_HOME", &self.cargo_home);
        cargo.env("CARGO_TARGET_DIR", &self.target);
    }

    /// What git prints in this checkout.
    pub fn git(&self, arguments: &[&str]) -> Result<String> {
        git(&self.source, arguments)
    }
}

/// What git prints in a directory.
pub fn git(directory: &Path, arguments: &[&str]) -> Result<String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(directory).args(arguments);
    Ok(tool::output(&mut git)?.trim_end().to_owned())
}

/// The home of this user's Cargo.
pub fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = std::env::home_dir().context("this user has no home directory")?;
    Ok(home.join(".cargo"))
}
