//! Mutants: defects of Linux, which `check` must detect.
//!
//! A mutant is a patch of `tests/mutants` to functions of Debian's linux-source-6.12. One
//! kernel contains all of them, and a boot parameter selects one. The header of a patch has a
//! sentence that describes the defect, and a line that names the cases that must fail:
//!
//! ```text
//! NULL does not take a name away.
//! Caught-by: null-takes-the-name-away
//! ```
//!
//! A defect in the reference count of names makes the kernel panic. Such a mutant is
//! caught by `a-panic` in place of a case.

mod lab;
mod versions;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::conformance;
use crate::kernels;
use crate::paths;
use crate::qemu::{Ending, Machine};
use crate::report::{CaseResult, Outcome};

/// Name in `Caught-by` for a panic of the kernel.
const PANIC: &str = "a-panic";

/// A defect.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// Selects it at boot; 0 is the original kernel.
    number: usize,
    /// Name of its file, without the extension.
    pub name: String,
    /// Description of the defect.
    pub description: String,
    /// The cases that must fail.
    pub caught_by: Vec<String>,
    patch: String,
}

/// The image of the kernel with all mutants, built unless it is in the cache.
pub fn image() -> Result<PathBuf> {
    lab::image(&all()?)
}

/// All mutants, sorted by name.
pub fn all() -> Result<Vec<Mutant>> {
    let directory = paths::workspace().join("tests/mutants");
    let entries =
        fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut mutants = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            let mutant = Mutant::load(&path);
            mutants.push(mutant.with_context(|| path.display().to_string())?);
        }
    }
    mutants.sort_by(|a, b| a.name.cmp(&b.name));
    (1..)
        .zip(&mut mutants)
        .for_each(|(number, mutant)| mutant.number = number);
    Ok(mutants)
}

/// The mutants with these names; all if there are no names.
pub fn find(names: &[String]) -> Result<Vec<Mutant>> {
    let mut mutants = all()?;
    for name in names {
        let is_known = mutants.iter().any(|mutant| mutant.name == *name);
        ensure!(is_known, "no mutant is called {name}, see --list");
    }
    mutants.retain(|mutant| names.is_empty() || names.contains(&mutant.name));
    Ok(mutants)
}

impl Mutant {
    /// The original kernel, which must pass.
    pub fn none() -> Self {
        Self {
            number: 0,
            name: "none".to_owned(),
            description: "No defect.".to_owned(),
            caught_by: Vec::new(),
            patch: String::new(),
        }
    }

    fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text)
    }

    fn parse(name: &str, text: &str) -> Result<Self> {
        let (header, patch) = text
            .split_once("\n\n")
            .context("no patch after the header")?;
        let (description, cases) = header
            .split_once("\nCaught-by: ")
            .context("no line 'Caught-by: CASE'")?;
        ensure!(patch.starts_with("--- a/"), "no patch after the header");
        Ok(Self {
            number: 0,
            name: name.to_owned(),
            description: description.replace('\n', " "),
            caught_by: cases
                .split([',', '\n'])
                .map(|case| case.trim().to_owned())
                .collect(),
            patch: patch.to_owned(),
        })
    }

    /// Names of the files that the patch changes, relative to the sources.
    fn files(&self) -> impl Iterator<Item = &str> {
        let lines = self.patch.lines();
        lines.filter_map(|line| line.strip_prefix("+++ b/"))
    }

    /// Runs the suite with this mutant in the [`image`] of all, and returns the cases that
    /// failed. A panic counts as a failure of `a-panic` alone.
    pub fn run(&self, image: &Path, initramfs: &Path) -> Result<Vec<CaseResult>> {
        let machine = kernels::find(kernels::DEFAULT)?.machine_with(image, initramfs);
        let machine = Machine {
            name: format!("mutant-{}", self.name),
            // After an oops a kernel may hang, and the boot would last until the deadline.
            append: format!("oops=panic vm_mutant={}", self.number),
            args: vec!["check".to_owned()],
            ..machine
        };
        let boot = machine.run(conformance::DEADLINE)?;
        if let Ending::Panicked(message) = &boot.ending {
            return Ok(vec![CaseResult {
                name: PANIC.to_owned(),
                outcome: Outcome::Failed,
                diagnostics: vec![message.clone()],
            }]);
        }
        let report = conformance::read(&boot)?;
        Ok(report.failed().cloned().collect())
    }

    /// Fails unless the cases that failed include those that must. The original kernel
    /// must fail none.
    pub fn judge(&self, failed: &[CaseResult]) -> Result<()> {
        let failed: BTreeSet<&str> = failed.iter().map(|case| case.name.as_str()).collect();
        if self.caught_by.is_empty() {
            ensure!(failed.is_empty(), "the original kernel fails {failed:?}");
            return Ok(());
        }
        ensure!(!failed.is_empty(), "SURVIVED");
        let expected = self.caught_by.iter().map(String::as_str);
        let missed: Vec<&str> = expected.filter(|case| !failed.contains(case)).collect();
        if !missed.is_empty() {
            bail!("not caught by {}, but by {failed:?}", missed.join(", "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "Something\nis broken.\nCaught-by: a, b\n\n--- a/c/d.h\n+++ b/c/d.h\n";

    fn case(name: &str) -> CaseResult {
        CaseResult {
            name: name.to_owned(),
            outcome: Outcome::Failed,
            diagnostics: Vec::new(),
        }
    }

    #[track_caller]
    fn check(mutant: &Mutant, failed: &[&str], expected: Result<(), &str>) {
        let failed: Vec<_> = failed.iter().map(|&name| case(name)).collect();
        let judged = mutant.judge(&failed).map_err(|error| error.to_string());
        assert_eq!(judged, expected.map_err(str::to_owned));
    }

    #[test]
    fn parses_the_header() {
        let mutant = Mutant::parse("m", PATCH).unwrap();
        assert_eq!(mutant.description, "Something is broken.");
        assert_eq!(mutant.caught_by, ["a", "b"]);
        assert_eq!(mutant.files().collect::<Vec<_>>(), ["c/d.h"]);
        assert!(Mutant::parse("m", &PATCH.replace("Caught-by", "Caught")).is_err());
        assert!(Mutant::parse("m", &PATCH.replace("---", "***")).is_err());
    }

    #[test]
    fn judges_the_failed_cases() {
        let mutant = Mutant::parse("m", PATCH).unwrap();
        check(&mutant, &["a", "b"], Ok(()));
        check(&mutant, &["a", "b", "c"], Ok(()));
        check(&mutant, &["a"], Err("not caught by b, but by {\"a\"}"));
        check(&mutant, &[], Err("SURVIVED"));
        check(&Mutant::none(), &[], Ok(()));
        check(
            &Mutant::none(),
            &["a"],
            Err("the original kernel fails {\"a\"}"),
        );
    }

    #[test]
    fn every_patch_has_a_header() {
        assert!(all().unwrap().len() >= 112);
    }
}
