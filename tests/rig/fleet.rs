//! A fleet: LAVA jobs for several kernels and boards, run here, and their results in one JUnit
//! file and one page.
//!
//! The jobs are those that a lab with boards runs. What LAVA records is compared with the
//! report on the console, and the report with the expected results of the kernel.

mod page;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::boards::Board;
use crate::conformance::{self, CheckRun, TestedKernel};
use crate::kernels::{self, Kernel};
use crate::lava::{self, Device, Dispatcher, Files, Finished, Test, TestResult};
use crate::paths;
use crate::progress::Progress;
use crate::qemu::Machine;
use crate::report::{KtapReport, Outcome, junit};

/// Steps of the stages, as the job names them.
const STAGES: [&str; 4] = ["mmap", "name", "munmap", "same-maps"];

/// Where jobs run.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// A kernel on the machine of its architecture.
    Kernel(&'static Kernel),
    /// A board with its kernel.
    Board(&'static Board),
}

impl Place {
    /// The name of the kernel, and of the board if it is another one.
    fn name(self) -> String {
        match self {
            Place::Kernel(kernel) => kernel.name.to_owned(),
            Place::Board(board) => format!("{} on {}", board.kernel, board.name),
        }
    }

    /// The name as that of a file.
    fn file_name(self) -> String {
        self.name().replace([' ', ',', '='], "-")
    }

    fn kernel(self) -> Result<&'static Kernel> {
        match self {
            Place::Kernel(kernel) => Ok(kernel),
            Place::Board(board) => kernels::find(board.kernel),
        }
    }

    fn machine(self, initramfs: &Path) -> Result<Machine> {
        match self {
            Place::Kernel(kernel) => kernel.machine(initramfs),
            Place::Board(board) => board.machine(initramfs),
        }
    }
}

/// Results of all places.
#[derive(Debug)]
pub struct Fleet {
    results: Vec<PlaceResults>,
}

/// Results of a place.
#[derive(Debug)]
struct PlaceResults {
    name: String,
    kernel: &'static Kernel,
    /// The line of `probe`.
    verdict: String,
    /// Results of `check`, and what is wrong with any of the jobs.
    check: CheckRun,
}

impl Fleet {
    /// Runs the jobs in the places, one after the other. The job files and the logs stay in
    /// the target directory.
    pub fn run(places: &[Place]) -> Result<Self> {
        let dispatcher = Dispatcher::open()?;
        let first = places.first().context("no kernel")?;
        let cases = cases(first.kernel()?)?;
        let mut results = Vec::new();
        for place in places {
            let progress = Progress::start(format!("jobs for {}", place.name()));
            results.push(PlaceResults::of(*place, &dispatcher, &cases)?);
            progress.done();
        }
        Ok(Self { results })
    }

    /// The runs of `check`. Their problems include those of the other jobs.
    pub fn runs(&self) -> impl Iterator<Item = &CheckRun> {
        self.results.iter().map(|results| &results.check)
    }

    /// Writes `junit.xml` and `index.html` to the directory.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let directory = &paths::directory(directory.to_owned())?;
        junit::write(self.runs(), &directory.join("junit.xml"))?;
        paths::write(&directory.join("index.html"), page::render(&self.results)?)
    }
}

/// Writes the job files for a lab to the directory. The jobs fetch the kernel from
/// `address/KERNEL/Image`, and the archive from `address/vm_anon_name-ARCHITECTURE.cpio`.
pub fn write_jobs(kernels: &[&'static Kernel], address: &str, directory: &Path) -> Result<()> {
    let directory = &paths::directory(directory.to_owned())?;
    let cases = cases(kernels.first().context("no kernel")?)?;
    for kernel in kernels {
        let initramfs = conformance::initramfs(kernel.target, "fleet")?;
        let machine = kernel.machine(&initramfs)?;
        let device = Device::qemu(kernel.name, &machine);
        let files = Files {
            kernel: format!("{address}/{}/Image", kernel.name),
            ramdisk: format!("{address}/vm_anon_name-{}.cpio", kernel.target.name),
        };
        for test in Test::ALL {
            let job = lava::job(test, &device, &files, &cases)?;
            let name = format!("{}-{}.yaml", kernel.name, test.name());
            paths::write(&directory.join(name), job)?;
        }
    }
    Ok(())
}

/// Names of the cases, as `check --list` prints them.
pub fn cases(kernel: &'static Kernel) -> Result<Vec<String>> {
    let initramfs = conformance::initramfs(kernel.target, "fleet-list")?;
    let name = format!("fleet-list-{}", kernel.name);
    let boot = TestedKernel::Listed(kernel).boot(&initramfs, &name, &["check", "--list"])?;
    boot.expect_power_off()?;
    let text = boot.text();
    let names = text.lines().take_while(|line| !line.is_empty());
    Ok(names.map(str::to_owned).collect())
}

impl PlaceResults {
    /// Runs the jobs. What is wrong with them becomes a problem of the results.
    fn of(place: Place, dispatcher: &Dispatcher, cases: &[String]) -> Result<Self> {
        let (name, kernel) = (place.name(), place.kernel()?);
        let initramfs = format!("fleet-{}", place.file_name());
        let machine = place.machine(&conformance::initramfs(kernel.target, &initramfs)?)?;
        let (device, files) = (Device::qemu(&name, &machine), Files::of(&machine));
        let run = |test: Test| {
            let job = lava::job(test, &device, &files, cases)?;
            let name = format!("{}-{}", place.file_name(), test.name());
            dispatcher.run(&device, &job, &name)
        };
        let started = Instant::now();
        let probe = run(Test::Probe)?;
        let check = run(Test::Check)?;
        let mut results = Self {
            name: name.clone(),
            kernel,
            verdict: verdict(&probe).unwrap_or_default().to_owned(),
            check: CheckRun {
                kernel: name,
                ..CheckRun::from_console(kernel, &check.console)?
            },
        };
        let judged = [
            judge_probe(kernel, &probe),
            judge_check(&check, results.check.report.as_ref()),
            // On a kernel that cannot name memory, the second stage fails by design.
            match kernel.names {
                true => judge_stages(&run(Test::Stages)?),
                false => Ok(()),
            },
        ];
        let problems = judged.into_iter().filter_map(Result::err);
        let problems = problems.map(|error| format!("{error:#}"));
        results.check.problems.extend(problems);
        results.check.took = started.elapsed();
        Ok(results)
    }
}

/// The line of `probe`: a word, a colon and the explanation.
fn verdict(probe: &Finished) -> Option<&str> {
    let mut lines = probe.console.lines();
    let result = lines.position(|line| line.starts_with("# vm_anon_name: probe: "))?;
    probe.console.lines().nth(result.checked_sub(1)?)
}

fn judge_probe(kernel: &Kernel, probe: &Finished) -> Result<()> {
    let expected = match kernel.names {
        true => "pass",
        false => "skip",
    };
    let results = probe.results_of(Test::Probe)?;
    let found: Vec<(&str, &str)> = pairs(results).collect();
    ensure!(found == [("probe", expected)], "probe: {found:?}");
    Ok(())
}

fn judge_stages(stages: &Finished) -> Result<()> {
    let found: Vec<(&str, &str)> = pairs(stages.results_of(Test::Stages)?).collect();
    ensure!(
        found == STAGES.map(|name| (name, "pass")),
        "stages: {found:?}"
    );
    Ok(())
}

fn judge_check(check: &Finished, report: Option<&KtapReport>) -> Result<()> {
    let results = check.results_of(Test::Check)?;
    compare(results, report.context("no report on the console")?)
}

/// Fails unless LAVA has recorded the results of the report.
fn compare(results: &[TestResult], report: &KtapReport) -> Result<()> {
    let mut recorded = pairs(results);
    for case in &report.cases {
        let name = lava::case_id(&case.name);
        let word = match case.outcome {
            Outcome::Passed => "pass",
            Outcome::Failed => "fail",
            Outcome::Skipped(_) => "skip",
        };
        let next = recorded.next();
        ensure!(
            next == Some((&name, word)),
            "the report has {name}: {word}, LAVA {next:?}"
        );
    }
    match recorded.next() {
        // Such as a case that the job expects and the program lacks.
        Some((name, result)) => bail!("LAVA has {name}: {result}, the report nothing"),
        None => Ok(()),
    }
}

fn pairs(results: &[TestResult]) -> impl Iterator<Item = (&str, &str)> {
    results
        .iter()
        .map(|result| (result.case.as_str(), result.result.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(recorded: &[(&str, &str)], expected: &str) {
        let results = recorded.iter().map(|&(case, result)| TestResult {
            suite: "check".to_owned(),
            case: case.to_owned(),
            result: result.to_owned(),
        });
        let skipped = Outcome::Skipped("before Linux 7.0".to_owned());
        let report = KtapReport::example(&[("a-b", Outcome::Passed), ("c", skipped)]);
        let outcome = compare(&results.collect::<Vec<_>>(), &report);
        let message = outcome.err().map(|error| error.to_string());
        assert_eq!(message.unwrap_or_default(), expected);
    }

    #[test]
    fn accepts_equal_results() {
        check(&[("a_b", "pass"), ("c", "skip")], "");
    }

    #[test]
    fn reports_each_difference() {
        let differs = r#"the report has c: skip, LAVA Some(("c", "pass"))"#;
        check(&[("a_b", "pass"), ("c", "pass")], differs);
        check(&[("a_b", "pass")], "the report has c: skip, LAVA None");
        let more = [("a_b", "pass"), ("c", "skip"), ("d", "fail")];
        check(&more, "LAVA has d: fail, the report nothing");
    }
}
