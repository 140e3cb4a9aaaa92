//! Expected results of `check`: the files of `tests/expected`, one per kernel.
//!
//! A file lists the cases that do not pass, one per line. Every other case must pass,
//! and a case that is listed must not.
//!
//! ```text
//! skip CASE: REASON
//! fail CASE: REFERENCE
//! ```
//!
//! REASON is the reason in the report, with `RELEASE` for the release of the kernel. `*`
//! stands for all cases. REFERENCE says which defect of this kernel makes a correct case
//! fail, and where that is documented. It is written by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::{KtapReport, Outcome};
use crate::paths;

/// The name that stands for all cases.
const ALL: &str = "*";

/// Replaces the release of the kernel in a reason.
const RELEASE: &str = "RELEASE";

/// Expected results on one kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedResults {
    /// Reason to skip, by case.
    skipped: BTreeMap<String, String>,
    /// Reference, by case.
    failed: BTreeMap<String, String>,
}

impl ExpectedResults {
    /// Reads the file of the kernel; without one, every case must pass.
    pub fn load(kernel: &str) -> Result<Self> {
        let path = file(kernel);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Writes the file of the kernel.
    pub fn save(&self, kernel: &str) -> Result<()> {
        let mut text = format!(
            "# Cases that do not pass on {kernel}; see tests/rig/report/expected.rs.\n\
             # Written by `cargo xtask check --kernel {kernel} --bless`.\n"
        );
        for (word, list) in [("skip", &self.skipped), ("fail", &self.failed)] {
            for (case, words) in list {
                text.push_str(&format!("{word} {case}: {words}\n"));
            }
        }
        let path = file(kernel);
        paths::directory(path.parent().context("a file has a directory")?.to_owned())?;
        paths::write(&path, text)
    }

    /// The results of the report. A case that failed must be listed with a reference.
    pub fn updated(&self, report: &KtapReport) -> Result<Self> {
        let mut updated = Self::default();
        for case in &report.cases {
            match &case.outcome {
                Outcome::Passed => {}
                Outcome::Skipped(reason) => {
                    let reason = general(reason, report);
                    updated.skipped.insert(case.name.clone(), reason);
                }
                Outcome::Failed => {
                    let Some(reference) = self.failed.get(&case.name) else {
                        bail!(
                            "{} failed. If that is a fault of the kernel, add a line \
                             'fail {}: REFERENCE' by hand",
                            case.name,
                            case.name
                        );
                    };
                    updated.failed.insert(case.name.clone(), reference.clone());
                }
            }
        }
        updated.join_equal_reasons(report.cases.len());
        Ok(updated)
    }

    /// Reference of the fault that makes this case fail.
    pub fn reference(&self, case: &str) -> Option<&str> {
        self.failed.get(case).map(String::as_str)
    }

    /// Every result that differs from the expected one, except failures, one text each.
    /// `is_whole` says whether the report has all cases of the suite.
    pub fn differences(&self, report: &KtapReport, is_whole: bool) -> Vec<String> {
        let mut differences = Vec::new();
        for case in &report.cases {
            let name = &case.name;
            let skipped = self.skipped.get(name).or_else(|| self.skipped.get(ALL));
            match (&case.outcome, skipped, self.reference(name)) {
                (Outcome::Skipped(reason), Some(expected), _) => {
                    let reason = general(reason, report);
                    if reason != *expected {
                        differences.push(format!(
                            "{name}: skipped because '{reason}', expected '{expected}'"
                        ));
                    }
                }
                (Outcome::Skipped(reason), None, _) => {
                    differences.push(format!("{name}: skipped because '{reason}'"));
                }
                (Outcome::Passed, Some(reason), _) => {
                    differences.push(format!("{name}: passed, expected a skip: '{reason}'"));
                }
                (Outcome::Passed, None, Some(reference)) => {
                    differences.push(format!("{name}: passed, expected to fail: {reference}"));
                }
                (Outcome::Passed, None, None) | (Outcome::Failed, _, _) => {}
            }
        }
        let listed = self.skipped.keys().chain(self.failed.keys());
        let unknown = listed.filter(|name| *name != ALL && report.case(name).is_none());
        if is_whole {
            differences.extend(unknown.map(|name| format!("{name}: no such case")));
        }
        differences
    }

    fn parse(text: &str) -> Result<Self> {
        let mut expected = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let parts = line.split_once(": ").and_then(|(start, words)| {
                let (word, case) = start.split_once(' ')?;
                Some((word, case, words))
            });
            let list = match parts {
                Some(("skip", ..)) => &mut expected.skipped,
                Some(("fail", ..)) => &mut expected.failed,
                _ => bail!("'{line}' is neither 'skip CASE: REASON' nor 'fail CASE: REFERENCE'"),
            };
            let (_, case, words) = parts.context("the line lacks one of its three parts")?;
            let former = list.insert(case.to_owned(), words.to_owned());
            ensure!(former.is_none(), "{case} is listed twice");
        }
        Ok(expected)
    }

    /// Lists all cases as one, if they are skipped for the same reason.
    fn join_equal_reasons(&mut self, cases: usize) {
        let mut reasons: Vec<&String> = self.skipped.values().collect();
        reasons.dedup();
        if self.skipped.len() == cases
            && let [reason] = reasons[..]
        {
            self.skipped = BTreeMap::from([(ALL.to_owned(), reason.clone())]);
        }
    }
}

fn file(kernel: &str) -> PathBuf {
    paths::workspace().join(format!("tests/expected/{kernel}.txt"))
}

/// The reason without the release of the kernel, which changes with its version.
fn general(reason: &str, report: &KtapReport) -> String {
    match report.release() {
        "" => reason.to_owned(),
        release => reason.replace(release, RELEASE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(reason: &str) -> Outcome {
        Outcome::Skipped(reason.to_owned())
    }

    const LISTED: &str = "# a comment\nskip a: before Linux 7.0\nfail b: fault: http://x\n";

    #[track_caller]
    fn check(listed: &str, cases: &[(&str, Outcome)], expected: &[&str]) {
        let listed = ExpectedResults::parse(listed).unwrap();
        assert_eq!(
            listed.differences(&KtapReport::example(cases), true),
            expected
        );
    }

    #[test]
    fn accepts_what_is_listed() {
        let cases = [
            ("a", skip("before Linux 7.0")),
            ("b", Outcome::Failed),
            ("c", Outcome::Passed),
        ];
        check(LISTED, &cases, &[]);
    }

    #[test]
    fn reports_each_difference() {
        let cases = [
            ("a", skip("since Linux 6.0")),
            ("b", Outcome::Passed),
            ("c", skip("memfd_create: ENOSYS (38)")),
        ];
        check(
            LISTED,
            &cases,
            &[
                "a: skipped because 'since Linux 6.0', expected 'before Linux 7.0'",
                "b: passed, expected to fail: fault: http://x",
                "c: skipped because 'memfd_create: ENOSYS (38)'",
            ],
        );
        check(
            LISTED,
            &[("a", Outcome::Passed)],
            &[
                "a: passed, expected a skip: 'before Linux 7.0'",
                "b: no such case",
            ],
        );
    }

    #[test]
    fn expects_only_the_cases_that_ran() {
        let listed = ExpectedResults::parse(LISTED).unwrap();
        let part = KtapReport::example(&[("c", Outcome::Passed)]);
        assert_eq!(listed.differences(&part, false), [""; 0]);
    }

    #[test]
    fn lists_all_cases_as_one() {
        let without = skip("Linux 6.12.1 was built without CONFIG_ANON_VMA_NAME");
        let cases = [("a", without.clone()), ("b", without)];
        let updated = ExpectedResults::default().updated(&KtapReport::example(&cases));
        let listed = "skip *: Linux RELEASE was built without CONFIG_ANON_VMA_NAME\n";
        assert_eq!(updated.unwrap(), ExpectedResults::parse(listed).unwrap());
        check(listed, &cases, &[]);
        check(
            listed,
            &[("a", Outcome::Passed)],
            &["a: passed, expected a skip: 'Linux RELEASE was built without CONFIG_ANON_VMA_NAME'"],
        );
    }

    #[test]
    fn updates_all_but_failures() {
        let listed = ExpectedResults::parse(LISTED).unwrap();
        let cases = [("b", Outcome::Failed), ("c", skip("x"))];
        let updated = listed.updated(&KtapReport::example(&cases)).unwrap();
        let expected = "skip c: x\nfail b: fault: http://x\n";
        assert_eq!(updated, ExpectedResults::parse(expected).unwrap());
        let error = listed.updated(&KtapReport::example(&[("c", Outcome::Failed)]));
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("c failed."), "{error}");
    }

    #[test]
    fn rejects_other_lines() {
        for line in ["skip a", "pass a: x", "skip a: x\nskip a: y"] {
            assert!(ExpectedResults::parse(line).is_err(), "{line}");
        }
    }
}
