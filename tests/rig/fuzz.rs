//! Coverage-guided fuzzing of the program's pure core, with libFuzzer.
//!
//! The targets are in `tests/fuzz`, a package outside the workspace. They are built by
//! the workspace's stable toolchain, without sanitizers, which need a nightly toolchain
//! and detect errors that safe code cannot have. cargo-fuzz is installed into the cache
//! unless it is in PATH.
//!
//! Inputs that a run finds, and those on which a target fails, are kept in the target
//! directory. The next run starts with them.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use which::which;

use crate::host_packages;
use crate::paths;
use crate::program;
use crate::progress::Progress;
use crate::tool;

/// Names of the targets: functions of `tests/fuzz/targets.rs`.
pub const TARGETS: [&str; 4] = ["parse", "diff", "options", "smaps"];

/// Version of cargo-fuzz that is installed.
const CARGO_FUZZ: &str = "0.13.2";

/// Longest input in bytes.
const MAX_LENGTH: &str = "-max_len=4096";
/// Time limit for one input in seconds.
const TIMEOUT: &str = "-timeout=10";

/// Fuzzes a target for this time.
pub fn run(target: &str, time: Duration) -> Result<()> {
    ensure!(
        TARGETS.contains(&target),
        "no fuzz target is called {target}; there are {}",
        TARGETS.join(", ")
    );
    host_packages::FUZZER.ensure()?;
    let found = paths::directory(paths::scratch("fuzz")?.join(target))?;
    let package = Path::new("tests/fuzz");
    let mut fuzz = cargo_fuzz()?;
    fuzz.arg(target)
        .arg(&found)
        .arg(package.join("corpus").join(target));
    // cargo-fuzz passes an artifact prefix of its own before this one. libFuzzer uses the last.
    let failures = format!("-artifact_prefix={}-failed-", found.display());
    let time = format!("-max_total_time={}", time.as_secs());
    fuzz.args([
        "--",
        MAX_LENGTH,
        TIMEOUT,
        "-verbosity=0",
        "-print_final_stats=1",
    ]);
    tool::run(fuzz.args([failures, time]))
}

/// `cargo fuzz run` for the targets. Installs cargo-fuzz if it is missing.
fn cargo_fuzz() -> Result<Command> {
    let mut cargo = program::cargo("fuzz");
    if which("cargo-fuzz").is_err() {
        let directory = install()?;
        cargo.env("PATH", with_path(directory)?);
    }
    let build = paths::target().join("fuzz");
    cargo.args(["run", "--fuzz-dir", "tests/fuzz", "--sanitizer", "none"]);
    cargo.arg("--target-dir").arg(build);
    Ok(cargo)
}

/// Installs cargo-fuzz into the cache, once; returns the directory of the executable.
fn install() -> Result<PathBuf> {
    let root = paths::cache("tools")?;
    let directory = root.join("bin");
    let _lock = paths::lock("cargo-fuzz")?;
    if !directory.join("cargo-fuzz").exists() {
        let progress = Progress::start(format!("installing cargo-fuzz {CARGO_FUZZ}"));
        let mut install = program::cargo("install");
        install.args(["cargo-fuzz", "--locked", "--version", CARGO_FUZZ, "--root"]);
        tool::output(install.arg(root))?;
        progress.done();
    }
    Ok(directory)
}

/// PATH with one more directory.
fn with_path(directory: PathBuf) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = [directory].into_iter().chain(env::split_paths(&path));
    env::join_paths(directories).context("the path of the cache has a colon")
}
