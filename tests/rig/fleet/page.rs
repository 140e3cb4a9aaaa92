//! The page of a fleet: a table of cases and kernels.
//!
//! A kernel that cannot name memory skips all cases for one reason, which is in the summary.
//! The other kernels are compared: the rows in which they differ are always visible.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use minijinja::Environment;
use minijinja::value::Serde;
use serde_json::{Value, json};

use super::PlaceResults;
use crate::conformance::CheckRun;
use crate::report::{CaseResult, KtapReport, Outcome};

/// The page. The ending of the name makes the engine escape values for HTML.
const TEMPLATE: (&str, &str) = ("page.html", include_str!("page.html.jinja2"));

/// The page as HTML.
pub(super) fn render(results: &[PlaceResults]) -> Result<String> {
    let mut environment = Environment::new();
    environment.add_template(TEMPLATE.0, TEMPLATE.1)?;
    let template = environment.get_template(TEMPLATE.0)?;
    let variables = minijinja::Value::from(Serde(content(results)));
    template.render(variables).context("the page")
}

/// The variables of the template.
fn content(results: &[PlaceResults]) -> Value {
    let reports = || results.iter().filter_map(|it| it.check.report.as_ref());
    // A report that is cut may lack cases; the longest has all.
    let longest = reports().max_by_key(|report| report.cases.len());
    let cases = longest.iter().flat_map(|report| &report.cases);
    let rows: Vec<Value> = cases.map(|case| row(&case.name, results)).collect();
    let same = rows.iter().filter(|row| row["is_same"] == true).count();
    json!({
        "program": longest.map(|report| report.program.as_str()),
        "kernels": results.iter().map(kernel).collect::<Vec<_>>(),
        "rows": rows,
        "same": same,
    })
}

fn kernel(results: &PlaceResults) -> Value {
    let check = &results.check;
    let report = check.report.as_ref();
    let (word, text) = results.verdict.split_once(": ").unwrap_or_default();
    json!({
        "name": results.name,
        "why": results.kernel.why,
        "architecture": results.kernel.target.name,
        "version": check.version,
        "page_size": report.map(|report| report.page_size),
        "verdict": word,
        "explanation": text,
        "passed": report.map(KtapReport::passed),
        "failed": report.map(|report| report.failed().count()),
        "skipped": report.map(|report| report.skipped().count()),
        "is_ok": check.is_ok(),
        "problems": problems(check),
        "seconds": check.took.as_secs(),
    })
}

fn problems(check: &CheckRun) -> Vec<&String> {
    let differences = check.differences.iter().filter(|_| check.is_pinned);
    check.problems.iter().chain(differences).collect()
}

/// The results of a case.
fn row(name: &str, results: &[PlaceResults]) -> Value {
    let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut words = Vec::new();
    let mut cells = Vec::new();
    for PlaceResults {
        name: place,
        kernel,
        check,
        ..
    } in results
    {
        let case = check.report.as_ref().and_then(|report| report.case(name));
        let (word, reason) = cell(case);
        // A failure that is known to be a fault of the kernel has a reference.
        let reference = check.reference(name).map(|it| format!("known fault: {it}"));
        let reason = reference.or(reason);
        cells.push(json!({"word": word, "kernel": place}));
        if kernel.names {
            words.push(word);
            if let Some(reason) = reason {
                reasons.entry(reason).or_default().push(place);
            }
        }
    }
    words.dedup();
    let reasons = reasons.into_iter();
    let reasons = reasons.map(|(text, kernels)| json!({"text": text, "kernels": kernels}));
    json!({
        "name": name,
        "cells": cells,
        "is_same": words == ["pass"],
        "reasons": reasons.collect::<Vec<_>>(),
    })
}

/// The result as a word, and the reason if the case did not pass.
fn cell(case: Option<&CaseResult>) -> (&'static str, Option<String>) {
    let Some(case) = case else {
        return ("missing", Some("the report is incomplete".to_owned()));
    };
    match &case.outcome {
        Outcome::Passed => ("pass", None),
        Outcome::Failed => ("fail", Some(case.diagnostics.join("; "))),
        Outcome::Skipped(reason) => ("skip", Some(reason.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels;

    fn results(kernel: &str, cases: &[(&str, Outcome)]) -> PlaceResults {
        let cases = cases.iter().map(|(name, outcome)| CaseResult {
            name: (*name).to_owned(),
            outcome: outcome.clone(),
            diagnostics: vec!["prctl: EINVAL <22>".to_owned()],
        });
        let report = KtapReport {
            program: "vm_anon_name 1".to_owned(),
            kernel: "Linux 6.12.1 #1".to_owned(),
            page_size: 4096,
            cases: cases.collect(),
        };
        PlaceResults {
            name: kernel.to_owned(),
            kernel: kernels::find(kernel).unwrap(),
            verdict: "supported: Linux 6.12.1 names private memory".to_owned(),
            check: CheckRun {
                report: Some(report),
                ..CheckRun::default()
            },
        }
    }

    fn skip(reason: &str) -> Outcome {
        Outcome::Skipped(reason.to_owned())
    }

    #[test]
    fn shows_rows_in_which_kernels_differ() {
        let lacking = skip("built without");
        let kernels = [
            results("6.1", &[("a", Outcome::Passed), ("b", skip("since 6.2"))]),
            results("6.12", &[("a", Outcome::Passed), ("b", Outcome::Passed)]),
            results("debian-6.1", &[("a", lacking.clone()), ("b", lacking)]),
        ];
        let content = content(&kernels);
        let rows = &content["rows"];
        assert_eq!(rows[0]["is_same"], true);
        assert_eq!(rows[0]["reasons"], json!([]));
        assert_eq!(rows[1]["is_same"], false);
        let reasons = json!([{"text": "since 6.2", "kernels": ["6.1"]}]);
        assert_eq!(rows[1]["reasons"], reasons);
        assert_eq!(content["same"], 1);
    }

    #[test]
    fn says_what_is_wrong_with_a_kernel() {
        let mut failed = results("6.12", &[("a", Outcome::Passed)]);
        failed.check.problems.push("stages: <none>".to_owned());
        let page = render(&[failed]).unwrap();
        assert!(page.contains(">FAILED</td>"), "{page}");
        assert!(page.contains("<b>6.12</b>: stages: &lt;none&gt;"), "{page}");
    }

    #[test]
    fn escapes_what_a_kernel_prints() {
        let page = render(&[results("6.12", &[("a", Outcome::Failed)])]).unwrap();
        assert!(page.contains("prctl: EINVAL &lt;22&gt;"), "{page}");
    }
}
