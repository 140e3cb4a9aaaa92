//! What Cargo says to a person whose build cannot work.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use rig::program;
use rig::target::AARCH64;
use rig::{host_packages, tool};

use crate::trial;
use crate::workshop;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("messages::a missing linker: one error", missing_linker),
        trial("messages::mold and gold: one error", unable_linker),
        trial("messages::an unsupported target: one error", unsupported),
        trial("messages::a target directory serves any linker", any_linker),
    ]
}

/// Without a linker for the target, the build ends with one error, not with hundreds of lines of
/// the host's `cc`, which is rustc's default.
fn missing_linker() -> Result<()> {
    let workshop = workshop::open()?;
    let mut cargo = workshop.cargo("build")?;
    cargo.args(["--release", "--target", AARCH64.triple, "--target-dir"]);
    cargo.arg(workshop.scratch("missing-linker")?);
    let variable = AARCH64.linker_variable();
    expect_one_error(&mut cargo, &format!("set {variable} to rust-lld"))
}

/// Many users have mold in their configuration. It need not be installed for the message.
fn unable_linker() -> Result<()> {
    let workshop = workshop::open()?;
    for flags in [
        "-Clink-arg=-fuse-ld=mold",
        "-C linker=/usr/bin/ld.mold",
        "-Clink-args=-fuse-ld=gold",
    ] {
        let mut cargo = workshop.cargo("build")?;
        cargo.env("RUSTFLAGS", flags);
        cargo.env(AARCH64.linker_variable(), "aarch64-linux-gnu-gcc");
        cargo.args(["--release", "--target", AARCH64.triple, "--target-dir"]);
        cargo.arg(workshop.scratch("unable-linker")?);
        expect_one_error(&mut cargo, "cannot link vm_anon_name").with_context(|| flags)?;
    }
    Ok(())
}

/// No dependency is compiled for such a target: the build script's error is the only one.
fn unsupported() -> Result<()> {
    let workshop = workshop::open()?;
    for target in [
        "s390x-unknown-linux-gnu",
        "aarch64_be-unknown-linux-gnu",
        "aarch64-apple-darwin",
    ] {
        let mut cargo = workshop.cargo("build")?;
        cargo.args(["--release", "--target", target, "--target-dir"]);
        cargo.arg(workshop.scratch("unsupported")?);
        expect_one_error(&mut cargo, "choose a target with Linux on one of aarch64, ")
            .with_context(|| target)?;
    }
    Ok(())
}

/// Fails unless Cargo prints two lines of errors: one with these words, and its own about the
/// build script.
fn expect_one_error(cargo: &mut Command, words: &str) -> Result<()> {
    let output = cargo.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run {}", tool::show(cargo)))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("error"))
        .collect();
    ensure!(!output.status.success(), "the build succeeded:\n{text}");
    ensure!(
        errors.len() == 2 && errors.iter().any(|line| line.contains(words)),
        "{text}"
    );
    Ok(())
}

/// A change of the linker alone does not make Cargo run the build script again.
fn any_linker() -> Result<()> {
    host_packages::CROSS_LIBC.ensure()?;
    let workshop = workshop::open()?;
    let lld = program::linker()?;
    let lld = lld.to_string_lossy();
    let by_flag = format!("-Clinker={lld}");
    let of_target = AARCH64.linker_variable();
    let of_target = of_target.as_str();
    for (variable, value) in [
        (of_target, "aarch64-linux-gnu-gcc"),
        (of_target, &lld),
        (of_target, "aarch64-linux-gnu-ld"),
        ("RUSTFLAGS", &by_flag),
        (of_target, "aarch64-linux-gnu-gcc"),
    ] {
        let mut cargo = workshop.cargo("build")?;
        cargo.env(variable, value);
        cargo.args(["--release", "--target", AARCH64.triple, "--target-dir"]);
        tool::output(cargo.arg(workshop.scratch("any-linker")?))?;
    }
    Ok(())
}
