//! The verdicts over kernels as JUnit's XML, which build servers display.
//!
//! A kernel is a test suite. What is wrong with a run as a whole, a panic or a
//! broken report, is one more test case in it, so that no reader can miss it.

use std::path::Path;

use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{CaseResult, Outcome};
use crate::conformance::CheckRun;
use crate::paths;

/// What the extra test case is called.
const RUN: &str = "the-run-itself";

/// Writes the verdicts to the file.
pub fn write(verdicts: &[CheckRun], path: &Path) -> Result<()> {
    let text = to_xml(verdicts)?;
    paths::write(path, text)
}

fn to_xml(verdicts: &[CheckRun]) -> Result<String> {
    let mut report = Report::new("vm_anon_name check");
    report.add_test_suites(verdicts.iter().map(suite));
    report.to_string().context("cannot put the verdicts in XML")
}

fn suite(verdict: &CheckRun) -> TestSuite {
    let mut suite = TestSuite::new(&verdict.kernel);
    suite.set_time(verdict.took);
    suite.add_property(("version", verdict.version.as_str()));
    suite.add_test_case(case(&verdict.kernel, RUN, run_status(verdict)));
    if let Some(report) = &verdict.report {
        suite.add_property(("kernel", report.kernel.as_str()));
        suite.add_property(("program", report.program.as_str()));
        let cases = report.cases.iter();
        suite.add_test_cases(cases.map(|it| case(&verdict.kernel, &it.name, case_status(it))));
    }
    suite
}

fn case(kernel: &str, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(kernel);
    case
}

fn run_status(verdict: &CheckRun) -> TestCaseStatus {
    if verdict.complaints.is_empty() {
        return TestCaseStatus::success();
    }
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_description(verdict.complaints.join("\n"));
    status
}

fn case_status(case: &CaseResult) -> TestCaseStatus {
    match &case.outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Skipped(reason) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.as_str());
            status
        }
        Outcome::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_description(case.diagnostics.join("\n"));
            status
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::KtapReport;

    fn verdict(report: Option<KtapReport>, complaint: &str) -> CheckRun {
        CheckRun {
            kernel: "6.12".to_owned(),
            version: "6.12.1".to_owned(),
            report,
            complaints: complaint.lines().map(str::to_owned).collect(),
            took: Duration::from_millis(1500),
        }
    }

    /// The test suite of the verdict, from behind its opening tag.
    #[track_caller]
    fn check(verdict: CheckRun, expected: &str) {
        let xml = to_xml(&[verdict]).unwrap();
        let (_, suite) = xml.split_once("<testsuite ").unwrap();
        let lines = suite.lines().map(str::trim);
        assert_eq!(lines.collect::<Vec<_>>().join("\n"), expected.trim());
    }

    #[test]
    fn tells_every_outcome() {
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
            verdict(Some(report), ""),
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
    fn tells_what_is_wrong_with_the_run() {
        check(
            verdict(None, "the machine hung"),
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
