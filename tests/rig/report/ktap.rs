//! Strict reader of the KTAP reports of `check`.
//!
//! KTAP (Documentation/dev-tools/ktap.rst in Linux) lets a reader ignore lines that it
//! does not know and results that are missing. This one accepts only a complete report:
//! the plan, all results in order, before each result the line that repeats its outcome
//! for readers without SKIP, and correct totals. If the kernel prints a warning or an
//! oops meanwhile, the report is an error, even if every case has passed.

use std::collections::BTreeSet;
use std::iter::Enumerate;
use std::str::Lines;

use anyhow::{Context, Result, bail, ensure};

/// A complete report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KtapReport {
    /// Name, version and revision of the program.
    pub program: String,
    /// The kernel according to uname(2): system, release, version, machine.
    pub kernel: String,
    /// Page size in bytes.
    pub page_size: usize,
    /// The results in order, at least one.
    pub cases: Vec<CaseResult>,
}

/// Result of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseResult {
    /// Name of the case.
    pub name: String,
    /// Its outcome.
    pub outcome: Outcome,
    /// The diagnostic lines before the result, without `# `.
    pub diagnostics: Vec<String>,
}

/// Outcome of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel behaved as the case expects.
    Passed,
    /// The kernel did not, or the case could not be completed.
    Failed,
    /// The case does not apply to this kernel; the reason.
    Skipped(String),
}

/// Messages of a kernel that has detected a fault in itself.
const KERNEL_FAULTS: &[&str] = &[
    "Kernel panic",
    "Internal error",
    "Unable to handle kernel",
    "BUG:",
    "WARNING:",
    "Call trace:",
    "soft lockup",
    "rcu: INFO",
    "refcount_t:",
];

impl KtapReport {
    /// Reads the report in the output of a console. Other lines may precede and follow
    /// it, and messages of the kernel may be between its lines.
    pub fn read(log: &str) -> Result<Self> {
        expect_no_kernel_fault(log)?;
        let mut reader = Reader::new(log);
        reader.find_version()?;
        let plan = reader.plan()?;
        let mut report = reader.head()?;
        let totals = loop {
            match reader.entry(report.cases.len() + 1)? {
                Entry::Result(case) => report.add(case, plan)?,
                Entry::Totals(totals) => break totals,
            }
        };
        let count = report.cases.len();
        ensure!(count == plan, "{count} results of the {plan} planned");
        let counted = report.totals();
        ensure!(
            totals == counted,
            "the totals say {totals:?}, the results {counted:?}"
        );
        reader.expect_no_more()?;
        Ok(report)
    }

    /// Release of the kernel, such as 6.12.117.
    pub fn release(&self) -> &str {
        self.kernel.split(' ').nth(1).unwrap_or_default()
    }

    /// The case of that name.
    pub fn case(&self, name: &str) -> Option<&CaseResult> {
        self.cases.iter().find(|case| case.name == name)
    }

    /// Number of cases that passed.
    pub fn passed(&self) -> usize {
        self.totals().passed
    }

    /// The cases that failed.
    pub fn failed(&self) -> impl Iterator<Item = &CaseResult> {
        let failed = |case: &&CaseResult| case.outcome == Outcome::Failed;
        self.cases.iter().filter(failed)
    }

    /// The reasons of the skipped cases.
    pub fn skipped(&self) -> impl Iterator<Item = &str> {
        self.cases.iter().filter_map(|case| match &case.outcome {
            Outcome::Skipped(reason) => Some(reason.as_str()),
            _ => None,
        })
    }

    fn add(&mut self, case: CaseResult, plan: usize) -> Result<()> {
        ensure!(
            self.cases.len() < plan,
            "the result of {} exceeds the plan",
            case.name
        );
        ensure!(
            self.case(&case.name).is_none(),
            "{} has two results",
            case.name
        );
        self.cases.push(case);
        Ok(())
    }

    fn totals(&self) -> Totals {
        let skipped = self.skipped().count();
        let failed = self.failed().count();
        Totals {
            passed: self.cases.len() - failed - skipped,
            failed,
            skipped,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Totals {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// A result with its diagnostic lines, or the last line of the report.
enum Entry {
    Result(CaseResult),
    Totals(Totals),
}

fn expect_no_kernel_fault(log: &str) -> Result<()> {
    let mut lines = log.lines().filter(|line| !line.starts_with('#'));
    match lines.find(|line| KERNEL_FAULTS.iter().any(|words| line.contains(words))) {
        Some(line) => bail!("the kernel reports a fault: {}", line.trim_end()),
        None => Ok(()),
    }
}

/// The lines of the console without the messages of the kernel.
struct Reader<'a> {
    lines: Enumerate<Lines<'a>>,
}

impl<'a> Reader<'a> {
    fn new(log: &'a str) -> Self {
        Self {
            lines: log.lines().enumerate(),
        }
    }

    /// The next line and its number, or `None` at the end.
    fn next(&mut self) -> Option<(usize, &'a str)> {
        let (index, line) = self.lines.find(|(_, line)| !is_printk(line))?;
        Some((index + 1, line.trim_end_matches('\r')))
    }

    /// The next line and its number, or an error at the end.
    fn line(&mut self) -> Result<(usize, &'a str)> {
        self.next().context("the report ends before the totals")
    }

    /// Goes past the first line of a report. A serial port may send noise when it is opened, as
    /// that of the board raspi3b does; the kernel's `kunit.py` passes over it, too.
    fn find_version(&mut self) -> Result<()> {
        while let Some((_, line)) = self.next() {
            if line.ends_with("KTAP version 1") {
                return Ok(());
            }
        }
        bail!("no line 'KTAP version 1'")
    }

    /// The plan `1..N`, which must follow the version.
    fn plan(&mut self) -> Result<usize> {
        let (number, line) = self.line()?;
        let plan = line.strip_prefix("1..").and_then(|n| n.parse().ok());
        let plan =
            plan.with_context(|| format!("line {number}: expected the plan, found '{line}'"))?;
        ensure!(plan > 0, "a plan of zero cases");
        Ok(plan)
    }

    /// The three lines that say which program was run on which kernel.
    fn head(&mut self) -> Result<KtapReport> {
        let program = self.head_line("vm_anon_name ")?;
        let kernel = self.head_line("Linux ")?;
        let page_size = self.head_line("page size ")?;
        let page_size = page_size.trim_start_matches("page size ").parse();
        Ok(KtapReport {
            program,
            kernel,
            page_size: page_size.context("the page size is not a number")?,
            cases: Vec::new(),
        })
    }

    fn head_line(&mut self, start: &str) -> Result<String> {
        let (number, line) = self.line()?;
        let text = line.strip_prefix("# ").unwrap_or_default();
        ensure!(
            text.starts_with(start),
            "line {number}: expected '# {start}...', found '{line}'"
        );
        Ok(text.trim_end().to_owned())
    }

    /// Parses one entry: diagnostic lines and the result with this number, or the totals.
    fn entry(&mut self, number: usize) -> Result<Entry> {
        let mut diagnostics = Vec::new();
        let mut outcome = None;
        loop {
            let (at, line) = self.line()?;
            if let Some(totals) = line.strip_prefix("# Totals: ") {
                ensure!(
                    diagnostics.is_empty() && outcome.is_none(),
                    "line {at}: totals instead of a result"
                );
                let totals = parse_totals(totals);
                return Ok(Entry::Totals(
                    totals.with_context(|| format!("line {at}: invalid totals '{line}'"))?,
                ));
            }
            if let Some(text) = line.strip_prefix("# vm_anon_name: ") {
                ensure!(outcome.is_none(), "line {at}: a second outcome '{text}'");
                outcome = Some(text);
            } else if let Some(text) = line.strip_prefix('#') {
                diagnostics.push(text.strip_prefix(' ').unwrap_or(text).to_owned());
            } else {
                let case = parse_result(line, number, diagnostics);
                let case = case.with_context(|| format!("line {at}"))?;
                let expected = format!("{}: {}", case.name, word(&case.outcome));
                ensure!(
                    outcome == Some(&expected),
                    "line {at}: '{line}' after '# vm_anon_name: {}'",
                    outcome.unwrap_or("nothing")
                );
                return Ok(Entry::Result(case));
            }
        }
    }

    /// Fails if KTAP lines follow the totals. Other lines may: as PID 1 the program
    /// reports its exit status.
    fn expect_no_more(&mut self) -> Result<()> {
        while let Some((number, line)) = self.next() {
            let first = line.split(' ').next().unwrap_or_default();
            let is_ktap = BTreeSet::from(["KTAP", "ok", "not", "#"]).contains(first);
            ensure!(!is_ktap, "line {number}: '{line}' after the totals");
        }
        Ok(())
    }
}

/// Whether the line is a message of the kernel with its time.
fn is_printk(line: &str) -> bool {
    let time = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "));
    time.is_some_and(|(time, _)| time.trim_start().parse::<f64>().is_ok())
}

/// `ok N NAME`, `not ok N NAME`, or `ok N NAME # SKIP REASON`.
fn parse_result(line: &str, number: usize, diagnostics: Vec<String>) -> Result<CaseResult> {
    let (is_ok, rest) = match (line.strip_prefix("ok "), line.strip_prefix("not ok ")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => bail!("'{line}' is not KTAP"),
    };
    let (given, description) = rest.split_once(' ').unwrap_or((rest, ""));
    ensure!(
        given.parse() == Ok(number),
        "result {given} instead of {number}"
    );
    let (name, directive) = match description.split_once(" # ") {
        Some((name, directive)) => (name, Some(directive)),
        None => (description, None),
    };
    ensure!(
        !name.is_empty() && !name.contains(['#', ' ']),
        "'{name}' is not the name of a case"
    );
    let outcome = match (is_ok, directive.map(|it| it.strip_prefix("SKIP "))) {
        (true, None) => Outcome::Passed,
        (false, None) => Outcome::Failed,
        (true, Some(Some(reason))) => Outcome::Skipped(reason.to_owned()),
        _ => bail!("'{line}': only SKIP with a reason may follow #"),
    };
    Ok(CaseResult {
        name: name.to_owned(),
        outcome,
        diagnostics,
    })
}

/// The outcome in the line for readers without SKIP.
fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "pass",
        Outcome::Failed => "fail",
        Outcome::Skipped(_) => "skip",
    }
}

/// The totals in the form of kselftest. `check` has no xfail, xpass and error.
fn parse_totals(text: &str) -> Option<Totals> {
    let mut numbers = [0; 6];
    let labels = ["pass", "fail", "xfail", "xpass", "skip", "error"];
    let mut words = text.split(' ');
    for (number, label) in numbers.iter_mut().zip(labels) {
        let (name, value) = words.next()?.split_once(':')?;
        *number = value.parse().ok().filter(|_| name == label)?;
    }
    let [passed, failed, 0, 0, skipped, 0] = numbers else {
        return None;
    };
    words.next().is_none().then_some(Totals {
        passed,
        failed,
        skipped,
    })
}

#[cfg(test)]
impl KtapReport {
    /// A report with these results, for tests.
    pub(crate) fn example(cases: &[(&str, Outcome)]) -> Self {
        let cases = cases.iter().map(|(name, outcome)| CaseResult {
            name: (*name).to_owned(),
            outcome: outcome.clone(),
            diagnostics: Vec::new(),
        });
        Self {
            program: "vm_anon_name 1".to_owned(),
            kernel: "Linux 6.12.1 #1".to_owned(),
            page_size: 4096,
            cases: cases.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
Booting
[    0.5] a kernel speaks
KTAP version 1
1..3
# vm_anon_name 0.1.0 (0123456789ab)
# Linux 6.12.1 #1 SMP aarch64\x20
# page size 4096
# vm_anon_name: first: pass
ok 1 first
# name 0 1 a
#   expected |a|
[    1.5] the kernel speaks again
# vm_anon_name: second: fail
not ok 2 second
# vm_anon_name: third: skip
ok 3 third # SKIP since Linux 7.0
# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:1 error:0

vm_anon_name: status 1, then poweroff
reboot: Power down
";

    fn good() -> KtapReport {
        let case = |name: &str, outcome, diagnostics: &[&str]| CaseResult {
            name: name.to_owned(),
            outcome,
            diagnostics: diagnostics.iter().map(|&line| line.to_owned()).collect(),
        };
        KtapReport {
            program: "vm_anon_name 0.1.0 (0123456789ab)".to_owned(),
            kernel: "Linux 6.12.1 #1 SMP aarch64".to_owned(),
            page_size: 4096,
            cases: vec![
                case("first", Outcome::Passed, &[]),
                case("second", Outcome::Failed, &["name 0 1 a", "  expected |a|"]),
                case("third", Outcome::Skipped("since Linux 7.0".to_owned()), &[]),
            ],
        }
    }

    /// Expects this error if `part` of the good report is replaced.
    #[track_caller]
    fn check(part: &str, by: &str, expected: &str) {
        assert!(GOOD.contains(part), "{part:?} is not in the good report");
        let error = KtapReport::read(&GOOD.replacen(part, by, 1)).unwrap_err();
        assert_eq!(format!("{error:#}"), expected);
    }

    /// Expects this error if the good report ends before `part`.
    #[track_caller]
    fn check_cut(part: &str, expected: &str) {
        let end = GOOD.find(part).unwrap();
        let error = KtapReport::read(&GOOD[..end]).unwrap_err();
        assert_eq!(format!("{error:#}"), expected);
    }

    #[test]
    fn reads_a_good_report() {
        assert_eq!(KtapReport::read(GOOD).unwrap(), good());
        assert_eq!(
            KtapReport::read(&GOOD.replace('\n', "\r\n")).unwrap(),
            good()
        );
        assert_eq!(good().release(), "6.12.1");
        assert_eq!(good().passed(), 1);
        assert_eq!(good().skipped().collect::<Vec<_>>(), ["since Linux 7.0"]);
    }

    #[test]
    fn passes_over_noise_before_the_report() {
        let noisy = GOOD.replace("KTAP version 1", "\u{fffd}KTAP version 1");
        assert_eq!(KtapReport::read(&noisy).unwrap(), good());
    }

    #[test]
    fn requires_a_version() {
        check(
            "KTAP version 1",
            "TAP version 14",
            "no line 'KTAP version 1'",
        );
        check_cut("KTAP", "no line 'KTAP version 1'");
        assert!(KtapReport::read("").is_err());
    }

    #[test]
    fn requires_a_plan() {
        check(
            "1..3\n",
            "",
            "line 4: expected the plan, found '# vm_anon_name 0.1.0 (0123456789ab)'",
        );
        check(
            "1..3",
            "1..three",
            "line 4: expected the plan, found '1..three'",
        );
        check("1..3", "1..0", "a plan of zero cases");
        check(
            "1..3",
            "1..0 # SKIP nothing here",
            "line 4: expected the plan, found '1..0 # SKIP nothing here'",
        );
        check("1..3", "1..4", "3 results of the 4 planned");
        check("1..3", "1..2", "the result of third exceeds the plan");
        check(
            "ok 1 first\n",
            "ok 1 first\n1..3\n",
            "line 10: '1..3' is not KTAP",
        );
    }

    #[test]
    fn requires_a_head() {
        check(
            "# page size 4096\n",
            "",
            "line 7: expected '# page size ...', found '# vm_anon_name: first: pass'",
        );
        check(
            "# Linux",
            "# Minix",
            "line 6: expected '# Linux ...', found '# Minix 6.12.1 #1 SMP aarch64 '",
        );
    }

    #[test]
    fn requires_every_result_once_and_in_order() {
        check("not ok 2", "not ok 3", "line 14: result 3 instead of 2");
        check("ok 3 third", "ok 2 third", "line 16: result 2 instead of 3");
        check(
            "ok 3 third",
            "ok third",
            "line 16: result third instead of 3",
        );
        check(
            "# vm_anon_name: first: pass\nok 1 first\n",
            "",
            "line 12: result 2 instead of 1",
        );
        check(
            "third: skip\nok 3 third # SKIP since Linux 7.0",
            "first: pass\nok 3 first",
            "first has two results",
        );
        check("ok 1 first", "ok 1", "line 9: '' is not the name of a case");
        check(
            "ok 1 first",
            "ok 1 first of all",
            "line 9: 'first of all' is not the name of a case",
        );
    }

    #[test]
    fn requires_outcomes_that_agree() {
        let first = "line 9: 'ok 1 first' after '# vm_anon_name: first: fail'";
        check("first: pass", "first: fail", first);
        check(
            "third: skip",
            "third: pass",
            "line 16: 'ok 3 third # SKIP since Linux 7.0' after '# vm_anon_name: third: pass'",
        );
        check(
            "# vm_anon_name: first: pass\n",
            "",
            "line 8: 'ok 1 first' after '# vm_anon_name: nothing'",
        );
        check(
            "ok 1 first\n",
            "",
            "line 12: a second outcome 'second: fail'",
        );
    }

    #[test]
    fn requires_a_reason_to_skip() {
        check(
            " # SKIP since Linux 7.0",
            " # SKIP",
            "line 16: 'ok 3 third # SKIP': only SKIP with a reason may follow #",
        );
        check(
            "ok 3 third # SKIP since Linux 7.0",
            "not ok 3 third # TODO later",
            "line 16: 'not ok 3 third # TODO later': only SKIP with a reason may follow #",
        );
    }

    #[test]
    fn requires_totals_that_agree() {
        check(
            "pass:1 fail:1",
            "pass:2 fail:0",
            "the totals say Totals { passed: 2, failed: 0, skipped: 1 }, \
             the results Totals { passed: 1, failed: 1, skipped: 1 }",
        );
        check(
            " error:0",
            " error:1",
            "line 17: invalid totals '# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:1 error:1'",
        );
        check(
            "ok 3 third # SKIP since Linux 7.0\n",
            "",
            "line 16: totals instead of a result",
        );
        check_cut("# Totals", "the report ends before the totals");
        check_cut("ok 3", "the report ends before the totals");
        check_cut("# page", "the report ends before the totals");
    }

    #[test]
    fn rejects_other_lines() {
        check(
            "ok 1 first\n",
            "ok 1 first\nSegmentation fault\n",
            "line 10: 'Segmentation fault' is not KTAP",
        );
        check(
            "ok 1 first\n",
            "ok 1 first\nKTAP version 1\n",
            "line 10: 'KTAP version 1' is not KTAP",
        );
        check(
            "reboot",
            "ok 4 fourth\nreboot",
            "line 20: 'ok 4 fourth' after the totals",
        );
    }

    #[test]
    fn rejects_a_kernel_fault() {
        check(
            "reboot: Power down",
            "Kernel panic - not syncing: Attempted to kill init!",
            "the kernel reports a fault: Kernel panic - not syncing: Attempted to kill init!",
        );
        check(
            "[    1.5] the kernel speaks again",
            "[    1.5] WARNING: CPU: 0 PID: 80 at lib/refcount.c:28",
            "the kernel reports a fault: [    1.5] WARNING: CPU: 0 PID: 80 at lib/refcount.c:28",
        );
    }
}
