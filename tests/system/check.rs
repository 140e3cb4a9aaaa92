//! `check` and `probe` on real kernels, and the suite on broken ones.
//!
//! What `check` prints is read by the rig, by perl's `prove` and by the kernel's
//! own `kunit.py`; the latter two must also refuse a log that is spoilt. Of the
//! broken kernels only some are tried here; `cargo xtask mutants` tries all.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use regex::Regex;
use rig::check::{self, Subject, Verdict};
use rig::kernels::{self, Kernel};
use rig::ktap::{Case, Report};
use rig::mutants::{self, Lab, Mutant};
use rig::{guest, host, paths};

/// The fewest cases that must run, rather than be skipped, on the default kernel.
const FEWEST: usize = 90;

/// Mutants whose broken behaviour a case must see.
const SOME_MUTANTS: &[&str] = &["length-is-rounded-down", "fork-loses-the-names"];

/// Mutants that end a single case early, and the words that must tell.
const ENDINGS: &[(&str, &str)] = &[
    ("kills-on-a-certain-name", "killed by signal 9"),
    ("hangs-on-a-certain-name", "it hung and was killed"),
];

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for kernel in kernels::matrix() {
        trials.push(trial(kernel, "check", check_passes));
        trials.push(trial(kernel, "check --require", check_requires));
        trials.push(trial(kernel, "probe", probe_tells));
    }
    let on_default: &[(&str, Test)] = &[
        ("check runs the cases it is given", check_runs_the_named),
        ("check --list lists the cases it runs", check_lists),
        ("check knows no unknown case", check_knows_no_unknown),
        ("check leaves the limit as it was", check_restores_the_limit),
        ("probe -q prints nothing", probe_is_quiet),
        ("prove and kunit.py agree", other_judges_agree),
    ];
    for (what, test) in on_default {
        trials.push(trial(default(), what, *test));
    }
    for name in SOME_MUTANTS {
        trials.push(mutant_trial(name, |mutant, failed| mutant.judge(failed)));
    }
    for (name, words) in ENDINGS {
        trials.push(mutant_trial(name, |mutant, failed| {
            fails_alone(mutant, failed, words)
        }));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

type Test = fn(&'static Kernel) -> Result<()>;

fn trial(kernel: &'static Kernel, what: &str, test: Test) -> Trial {
    Trial::test(format!("{}: {what}", kernel.name), move || {
        test(kernel).map_err(in_full)
    })
}

fn mutant_trial(
    name: &'static str,
    judge: impl Fn(&Mutant, &[Case]) -> Result<()> + Send + 'static,
) -> Trial {
    Trial::test(format!("mutant {name} is caught"), move || {
        run_mutant(name)
            .and_then(|(mutant, failed)| judge(&mutant, &failed))
            .map_err(in_full)
    })
    // It builds a kernel: minutes, the first time.
    .with_ignored_flag(true)
}

/// An error with all of its causes.
fn in_full(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}

fn default() -> &'static Kernel {
    kernels::find(kernels::DEFAULT).unwrap()
}

fn initramfs() -> Result<PathBuf> {
    check::initramfs("tests-check")
}

fn boot(kernel: &'static Kernel, args: &[&str]) -> Result<rig::qemu::Console> {
    let name = format!("tests-check {} {}", kernel.name, args.join(" "));
    Subject::Kernel(kernel).boot(&initramfs()?, &name, args)
}

/// The verdict on a run of `check` with these arguments.
fn verdict(kernel: &'static Kernel, args: &[&str]) -> Result<Verdict> {
    let name = format!("tests-check {} check {}", kernel.name, args.join(" "));
    Ok(Subject::Kernel(kernel).check(&initramfs()?, &name, args))
}

/// The report of a run that is good.
fn report(kernel: &'static Kernel, args: &[&str]) -> Result<Report> {
    let verdict = verdict(kernel, args)?;
    ensure!(verdict.is_ok(), "{verdict}");
    verdict.report.context("a good verdict has a report")
}

fn check_passes(kernel: &'static Kernel) -> Result<()> {
    let report = report(kernel, &[])?;
    let (size, passed) = (report.page_size, report.passed());
    ensure!(size == kernel.pages.bytes(), "pages of {size} bytes");
    match kernel.names {
        true => ensure!(passed >= FEWEST, "only {passed} cases ran"),
        false => ensure!(passed == 0, "{passed} cases ran without names"),
    }
    Ok(())
}

/// What is skipped for its version is skipped all the same; what is skipped for
/// want of the feature is not.
fn check_requires(kernel: &'static Kernel) -> Result<()> {
    if kernel.names {
        let skipped = report(kernel, &["--require"])?.skipped().count();
        ensure!(skipped > 0, "nothing is skipped");
        return Ok(());
    }
    let verdict = verdict(kernel, &["--require"])?;
    ensure!(verdict.complaints.is_empty(), "{verdict}");
    let report = verdict.report.context("no complaint, so a report")?;
    let (failed, count) = (report.failed().count(), report.cases.len());
    ensure!(failed == count, "{failed} of {count} failed");
    Ok(())
}

fn probe_tells(kernel: &'static Kernel) -> Result<()> {
    let version = kernel.version()?;
    let release = r"(\d+\.\d+\.\d+\S*)";
    let since = |first| match check::is_older(&version, first) {
        true => "no",
        false => "yes",
    };
    let (status, line) = if kernel.names {
        let (shared, query) = (since((6, 2)), since((6, 11)));
        let text = "names private memory, shared memory";
        (
            0,
            format!("supported: Linux {release} {text}: {shared}, PROCMAP_QUERY: {query}"),
        )
    } else if check::is_older(&version, check::NAMES) {
        (
            5,
            format!(
                "too-old: Linux {release} is older than 5.17, the first to name anonymous memory"
            ),
        )
    } else {
        (
            4,
            format!("built-without: Linux {release} was built without CONFIG_ANON_VMA_NAME"),
        )
    };
    let console = boot(kernel, &["probe"])?;
    console.expect_power_off()?;
    let text = console.text();
    let line = Regex::new(&format!("(?m)^{line}$"))?;
    ensure!(line.is_match(&text), "no line {line} in\n{text}");
    let told = check::status(&console)?;
    ensure!(told == status, "status {told}, not {status}");
    Ok(())
}

fn probe_is_quiet(kernel: &'static Kernel) -> Result<()> {
    let console = boot(kernel, &["probe", "-q"])?;
    console.expect_power_off()?;
    ensure!(check::status(&console)? == 0);
    let text = console.text();
    let said = "\nvm_anon_name: status 0, then poweroff\nreboot: Power down\n";
    ensure!(text == said, "{text:?} instead of {said:?}");
    Ok(())
}

fn check_runs_the_named(kernel: &'static Kernel) -> Result<()> {
    let named = ["name-is-shown", "fork-copies-the-names"];
    let report = report(kernel, &named)?;
    let ran: Vec<&str> = report.cases.iter().map(|case| case.name.as_str()).collect();
    ensure!(ran == named, "{ran:?}");
    ensure!(report.passed() == named.len(), "not all passed");
    Ok(())
}

fn check_lists(kernel: &'static Kernel) -> Result<()> {
    let console = boot(kernel, &["check", "--list"])?;
    console.expect_power_off()?;
    ensure!(check::status(&console)? == 0);
    let text = console.text();
    let listed: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
    let report = report(kernel, &["-r"])?;
    let ran: Vec<&str> = report.cases.iter().map(|case| case.name.as_str()).collect();
    ensure!(listed == ran, "lists {listed:?}\nruns {ran:?}");
    Ok(())
}

fn check_knows_no_unknown(kernel: &'static Kernel) -> Result<()> {
    // The second is what PID 1 does with the limit on mappings.
    for unknown in ["no-such-case", "..lower"] {
        let console = boot(kernel, &["check", "name-is-shown", unknown])?;
        console.expect_power_off()?;
        let (status, text) = (check::status(&console)?, console.text());
        ensure!(status == 2, "status {status}");
        let complaint = format!("'{unknown}': no such case");
        ensure!(text.contains(&complaint), "{text}");
        ensure!(!text.contains("KTAP"), "it ran all the same:\n{text}");
    }
    Ok(())
}

/// As PID 1 it lowers the limit on mappings for a while. The real init, which comes next,
/// finds the limit of before, and no file open.
fn check_restores_the_limit(kernel: &'static Kernel) -> Result<()> {
    let before = "echo 4711 > /proc/sys/vm/max_map_count
exec /bin/vm_anon_name check limit-on-mappings-is-eagain --then /after";
    let after = "#!/bin/busybox sh
echo the limit is $(cat /proc/sys/vm/max_map_count), files are $(ls /proc/self/fd)
poweroff -f";
    let initramfs = guest::initramfs(before)?.file("/after", 0o755, after);
    let mut machine = kernel.machine(&initramfs.write("tests-check-limit")?)?;
    machine.name = "tests-check-limit".to_owned();
    let console = machine.run(Duration::from_secs(60))?;
    console.expect_power_off()?;
    let text = console.text();
    ensure!(
        text.contains("\nok 1 limit-on-mappings-is-eagain\n"),
        "{text}"
    );
    // The last one is the directory itself.
    let found = "the limit is 4711, files are 0 1 2 3\n";
    ensure!(text.contains(found), "{text}");
    Ok(())
}

/// Both judges take the log as it is, and neither takes it with a case that fails,
/// nor when it breaks off.
fn other_judges_agree(kernel: &'static Kernel) -> Result<()> {
    let console = boot(kernel, &["check"])?;
    check::read(&console)?;
    let good = console.text();
    let failed = good.replacen("\nok 7 ", "\nnot ok 7 ", 1);
    let cut = good.split_inclusive('\n').take(100).collect::<String>();
    let kunit = kunit(kernel)?;
    for (name, log, expected) in [
        ("good", &good, true),
        ("failed", &failed, false),
        ("cut", &cut, false),
    ] {
        let path = paths::scratch("judges")?.join(name);
        paths::write(&path, log)?;
        let prove = judge("prove", &["--exec", "cat"], &path)?;
        ensure!(prove == expected, "prove on the {name} log: {prove}");
        // Without bytecode: the sources are not the place for it.
        let kunit = judge("python3", &["-B", &kunit, "parse"], &path)?;
        ensure!(kunit == expected, "kunit.py on the {name} log: {kunit}");
    }
    Ok(())
}

/// The script in the sources the kernel was built from, which it must lie in.
fn kunit(kernel: &Kernel) -> Result<String> {
    host::KTAP_JUDGES.ensure()?;
    let script = kernel.tree()?.source.join("tools/testing/kunit/kunit.py");
    Ok(script.to_string_lossy().into_owned())
}

/// Whether the judge accepts the log.
fn judge(program: &str, args: &[&str], log: &Path) -> Result<bool> {
    let mut command = Command::new(program);
    command.args(args).arg(log).stdin(Stdio::null());
    let output = command
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    Ok(output.status.success())
}

/// Builds the mutant, runs the suite in it, and returns the cases that failed.
fn run_mutant(name: &str) -> Result<(Mutant, Vec<Case>)> {
    let mutant = mutants::find(&[name.to_owned()])?.remove(0);
    let image = image(&mutant)?;
    let failed = mutant.run(image, &initramfs()?)?;
    Ok((mutant, failed))
}

/// The mutant's image, built while no other is.
fn image(mutant: &Mutant) -> Result<PathBuf> {
    static LAB: Mutex<Option<Lab>> = Mutex::new(None);
    let mut lab = LAB.lock().unwrap_or_else(PoisonError::into_inner);
    if lab.is_none() {
        *lab = Some(Lab::open()?);
    }
    lab.as_mut().context("the lab is open")?.image(mutant)
}

/// A case that ends early fails alone, and says how it ended; the rest go on.
fn fails_alone(mutant: &Mutant, failed: &[Case], words: &str) -> Result<()> {
    mutant.judge(failed)?;
    let names: Vec<&str> = failed.iter().map(|case| case.name.as_str()).collect();
    ensure!(names == mutant.caught_by, "{names:?} failed");
    let told = failed
        .iter()
        .all(|case| case.diagnostics.iter().any(|line| line.contains(words)));
    ensure!(told, "nobody says '{words}': {failed:?}");
    Ok(())
}
