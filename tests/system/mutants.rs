//! Mutant kernels: `check` detects a defect in the kernel, and continues after a case that
//! kills or hangs its process. `cargo xtask mutants` runs all mutants; these are a few.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use rig::kernels;
use rig::mutants::{self, Lab, Mutant};
use rig::report::CaseResult;

use crate::check::initramfs;
use crate::trial::Trial;

/// Mutants with wrong behaviour.
const WRONG: &[&str] = &["length-is-rounded-down", "fork-loses-the-names"];

/// Mutants that end the process of one case, and what the report says about it.
const ENDED: &[(&str, &str)] = &[
    ("kills-on-a-certain-name", "killed by signal 9"),
    ("hangs-on-a-certain-name", "it hung and was killed"),
];

/// The trials are ignored by default: each builds a kernel, which takes minutes.
pub(crate) fn trials() -> Vec<Trial> {
    let wrong = WRONG.iter().map(|&name| {
        let test = move || run(name).map(drop);
        Trial::new(name, test).ignored()
    });
    let ended = ENDED.iter().map(|&(name, reason)| {
        let test = move || check_end(name, reason);
        Trial::new(name, test).ignored()
    });
    wrong.chain(ended).collect()
}

/// Builds the mutant and runs `check` in it. Returns the cases that failed, which must
/// include those that the patch names.
fn run(name: &str) -> Result<(Mutant, Vec<CaseResult>)> {
    let mutant = mutants::find(&[name.to_owned()])?.remove(0);
    let initramfs = initramfs(kernels::find(kernels::DEFAULT)?)?;
    let failed = mutant.run(image(&mutant)?, &initramfs)?;
    mutant.judge(&failed)?;
    Ok((mutant, failed))
}

/// Builds one mutant at a time.
fn image(mutant: &Mutant) -> Result<PathBuf> {
    static LAB: Mutex<Option<Lab>> = Mutex::new(None);
    let mut lab = LAB.lock().unwrap_or_else(PoisonError::into_inner);
    if lab.is_none() {
        *lab = Some(Lab::open()?);
    }
    lab.as_mut().context("no lab")?.image(mutant)
}

/// Fails unless only the expected cases fail, each with this reason in the report.
fn check_end(name: &str, reason: &str) -> Result<()> {
    let (mutant, failed) = run(name)?;
    let names: Vec<&str> = failed.iter().map(|case| case.name.as_str()).collect();
    ensure!(names == mutant.caught_by, "{names:?} failed");
    for case in &failed {
        let has_reason = case.diagnostics.iter().any(|line| line.contains(reason));
        ensure!(has_reason, "{case:?} does not say '{reason}'");
    }
    Ok(())
}
