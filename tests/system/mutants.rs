//! Mutants: `check` detects each defect of `tests/mutants`, and continues after a case that kills
//! or hangs its process.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Result, anyhow, ensure};
use rig::kernels;
use rig::mutants::{self, Mutant};
use rig::report::CaseResult;

use crate::check::initramfs;
use crate::trial::Trial;

/// Mutants that end the process of one case, and what the report says about it.
const ENDED: &[(&str, &str)] = &[
    ("kills-on-a-certain-name", "killed by signal 9"),
    ("hangs-on-a-certain-name", "it hung and was killed"),
];

/// A trial for each mutant, and one for their kernel without a defect.
pub(crate) fn trials() -> Vec<Trial> {
    let mutants = match mutants::all() {
        Ok(mutants) => mutants,
        Err(error) => return vec![Trial::new("patches", || Err(error))],
    };
    let all = [Mutant::none()].into_iter().chain(mutants);
    all.map(|mutant| Trial::new(mutant.name.clone(), move || try_one(&mutant)))
        .collect()
}

/// Runs `check` with the mutant. Fails unless the cases that the patch names fail.
fn try_one(mutant: &Mutant) -> Result<()> {
    let initramfs = initramfs(kernels::find(kernels::DEFAULT)?)?;
    let failed = mutant.run(image()?, &initramfs)?;
    mutant.judge(&failed)?;
    match ENDED.iter().find(|(name, _)| *name == mutant.name) {
        Some((_, reason)) => check_end(mutant, &failed, reason),
        None => Ok(()),
    }
}

/// The kernel, which the first trial builds. The others wait, and fail if that fails.
fn image() -> Result<&'static Path> {
    static IMAGE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let image = IMAGE.get_or_init(|| mutants::image().map_err(|error| format!("{error:#}")));
    image.as_deref().map_err(|error| anyhow!("{error}"))
}

/// Fails unless only the expected cases fail, each with this reason in the report.
fn check_end(mutant: &Mutant, failed: &[CaseResult], reason: &str) -> Result<()> {
    let names: Vec<&str> = failed.iter().map(|case| case.name.as_str()).collect();
    ensure!(names == mutant.caught_by, "{names:?} failed");
    for case in failed {
        let has_reason = case.diagnostics.iter().any(|line| line.contains(reason));
        ensure!(has_reason, "{case:?} does not say '{reason}'");
    }
    Ok(())
}
