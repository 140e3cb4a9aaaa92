//! Coverage-guided fuzzing of the program's pure core, with libFuzzer.
//!
//! The targets lie in `tests/fuzz`, a package apart. They are built by the
//! toolchain of the workspace: what only a nightly one has are the sanitizers,
//! which look for what safe code cannot do. cargo-fuzz is installed into the
//! cache if it is not on the path.
//!
//! What a run learns is kept in `target`, and the next run goes on from there.
//! An input on which a target fails stays there too, and is named.

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

/// The targets: each a function in `tests/fuzz/targets.rs`.
pub const TARGETS: [&str; 3] = ["parse", "diff", "options"];

/// The version that is installed.
const CARGO_FUZZ: &str = "0.13.2";

/// The longest input tried, in bytes, and how long one may take, in seconds.
const LONGEST: &str = "-max_len=4096";
const PATIENCE: &str = "-timeout=10";

/// Fuzzes one target for that long.
pub fn run(target: &str, time: Duration) -> Result<()> {
    ensure!(
        TARGETS.contains(&target),
        "no fuzz target is called {target}; there are {}",
        TARGETS.join(", ")
    );
    host_packages::FUZZER.ensure()?;
    let learnt = paths::scratch("fuzz")?.join(target);
    let learnt = paths::directory(learnt)?;
    let package = Path::new("tests/fuzz");
    let mut fuzz = cargo_fuzz("run")?;
    fuzz.arg(target)
        .arg(&learnt)
        .arg(package.join("corpus").join(target));
    // The last one given counts, so this overrules the package's own directory.
    let failures = format!("-artifact_prefix={}-failed-", learnt.display());
    let time = format!("-max_total_time={}", time.as_secs());
    fuzz.args([
        "--",
        LONGEST,
        PATIENCE,
        "-verbosity=0",
        "-print_final_stats=1",
    ]);
    tool::run(fuzz.args([failures, time]))
}

/// A command of cargo-fuzz about the targets, which may have to be installed first.
fn cargo_fuzz(command: &str) -> Result<Command> {
    let mut cargo = program::cargo("fuzz");
    if which("cargo-fuzz").is_err() {
        let directory = install()?;
        cargo.env("PATH", with_path(directory)?);
    }
    let build = paths::target().join("fuzz");
    cargo.args([command, "--fuzz-dir", "tests/fuzz", "--sanitizer", "none"]);
    cargo.arg("--target-dir").arg(build);
    Ok(cargo)
}

/// Installs cargo-fuzz into the cache, once; returns where the executable lies.
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

/// The path of executables with one more directory.
fn with_path(directory: PathBuf) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = [directory].into_iter().chain(env::split_paths(&path));
    env::join_paths(directories).context("the cache's path has a colon")
}
