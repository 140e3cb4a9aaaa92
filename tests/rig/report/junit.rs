//! Results of `check` on kernels as JUnit XML, for build servers.
//!
//! A kernel is a test suite. The first test case of each suite fails if the kernel
//! panicked, the report is incomplete, or the results differ from the expected ones.

use std::path::Path;

use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{CaseResult, Outcome};
use crate::conformance::CheckRun;
use crate::paths;

/// Name of the test case for the run as a whole.
const RUN: &str = "the-run-itself";

/// Writes the runs to the file.
pub fn write<'a>(runs: impl IntoIterator<Item = &'a CheckRun>, path: &Path) -> Result<()> {
    let text = to_xml(runs)?;
    paths::write(path, text)
}

fn to_xml<'a>(runs: impl IntoIterator<Item = &'a CheckRun>) -> Result<String> {
    let mut report = Report::new("vm_anon_name check");
    report.add_test_suites(runs.into_iter().map(suite));
    report.to_string().context("cannot write XML")
}

fn suite(run: &CheckRun) -> TestSuite {
    let mut suite = TestSuite::new(&run.kernel);
    suite.set_time(run.took);
    suite.add_property(("version", run.version.as_str()));
    suite.add_test_case(test_case(run, RUN, run_status(run)));
    if let Some(report) = &run.report {
        suite.add_property(("kernel", report.kernel.as_str()));
        suite.add_property(("program", report.program.as_str()));
        let cases = report.cases.iter();
        suite.add_test_cases(cases.map(|case| test_case(run, &case.name, case_status(run, case))));
    }
    suite
}

fn test_case(run: &CheckRun, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(&run.kernel);
    case
}

fn run_status(run: &CheckRun) -> TestCaseStatus {
    let mut lines = run.problems.clone();
    lines.extend(run.differences.iter().filter(|_| run.is_pinned).cloned());
    if lines.is_empty() {
        return TestCaseStatus::success();
    }
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_description(lines.join("\n"));
    status
}

fn case_status(run: &CheckRun, case: &CaseResult) -> TestCaseStatus {
    match (&case.outcome, run.reference(&case.name)) {
        (Outcome::Passed, _) => TestCaseStatus::success(),
        (Outcome::Skipped(reason), _) => skipped(reason),
        (Outcome::Failed, Some(reference)) => skipped(&format!("expected to fail: {reference}")),
        (Outcome::Failed, None) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_description(case.diagnostics.join("\n"));
            status
        }
    }
}

fn skipped(reason: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(reason);
    status
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::KtapReport;

    fn run(report: Option<KtapReport>, problem: &str) -> CheckRun {
        CheckRun {
            kernel: "6.12".to_owned(),
            version: "6.12.1".to_owned(),
            report,
            problems: problem.lines().map(str::to_owned).collect(),
            took: Duration::from_millis(1500),
            ..CheckRun::default()
        }
    }

    /// Compares the test suite of the run, without the start of its opening tag.
    #[track_caller]
    fn check(run: CheckRun, expected: &str) {
        let xml = to_xml([&run]).unwrap();
        let (_, suite) = xml.split_once("<testsuite ").unwrap();
        let lines = suite.lines().map(str::trim);
        assert_eq!(lines.collect::<Vec<_>>().join("\n"), expected.trim());
    }

    #[test]
    fn writes_every_outcome() {
        let case = |name: &str, outcome, diagnostics: &[&str]| CaseResult {
            name: name.to_owned(),
            outcome,
            diagnostics: diagnostics.iter().map(|&line| line.to_owned()).collect(),
        };
        let report = KtapReport {
            program: "vm_anon_name 1".to_owned(),
            kernel: "Linux 6.12.1".to_owned(),
            page_size: 4096,
            cases: vec![
                case("a", Outcome::Passed, &[]),
                case("b", Outcome::Failed, &["seen <a>", "expected b"]),
                case("c", Outcome::Skipped("since Linux 7.0".to_owned()), &[]),
            ],
        };
        check(
            run(Some(report), ""),
            r#"
name="6.12" tests="4" skipped="1" errors="0" failures="1" time="1.500">
<properties>
<property name="version" value="6.12.1"/>
<property name="kernel" value="Linux 6.12.1"/>
<property name="program" value="vm_anon_name 1"/>
</properties>
<testcase name="the-run-itself" classname="6.12"/>
<testcase name="a" classname="6.12"/>
<testcase name="b" classname="6.12">
<failure>seen &lt;a&gt;
expected b</failure>
</testcase>
<testcase name="c" classname="6.12">
<skipped message="since Linux 7.0"/>
</testcase>
</testsuite>
</testsuites>
"#,
        );
    }

    #[test]
    fn writes_what_is_wrong_with_the_run() {
        check(
            run(None, "the machine hung"),
            r#"
name="6.12" tests="1" skipped="0" errors="1" failures="0" time="1.500">
<properties>
<property name="version" value="6.12.1"/>
</properties>
<testcase name="the-run-itself" classname="6.12">
<error>the machine hung</error>
</testcase>
</testsuite>
</testsuites>
"#,
        );
    }
}
