//! `check` on each kernel of the matrix, and its options.
//!
//! The rig reads the report, and so do perl's `prove` and the kernel's `kunit.py`. These two
//! must also reject a report with a failed case and one that is cut.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rig::conformance::{self, CheckRun, TestedKernel};
use rig::kernels::Kernel;
use rig::qemu::Boot;
use rig::report::KtapReport;
use rig::{host_packages, paths};

use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    trials.extend(Trial::on_matrix("all cases", all_cases));
    trials.extend(Trial::on_matrix("all cases, --require", required));
    trials.push(Trial::on_default("named cases", named_cases));
    trials.push(Trial::on_default("--list", list));
    trials.push(Trial::on_default("unknown cases", unknown_cases));
    trials.push(Trial::on_default("prove and kunit.py", other_readers));
    trials
}

pub(crate) fn initramfs(kernel: &Kernel) -> Result<PathBuf> {
    conformance::initramfs(kernel.target, "system-check")
}

fn boot(kernel: &'static Kernel, args: &[&str]) -> Result<Boot> {
    let name = format!("system-check {} {}", kernel.name, args.join(" "));
    TestedKernel::Listed(kernel).boot(&initramfs(kernel)?, &name, args)
}

fn run(kernel: &'static Kernel, args: &[&str]) -> Result<CheckRun> {
    let name = format!("system-check {} {}", kernel.name, args.join(" "));
    Ok(TestedKernel::Listed(kernel).check(&initramfs(kernel)?, &name, args))
}

/// The report of a run with the expected results.
fn report(kernel: &'static Kernel, args: &[&str]) -> Result<KtapReport> {
    let run = run(kernel, args)?;
    ensure!(run.is_ok(), "{run}");
    run.report.context("no report")
}

fn all_cases(kernel: &'static Kernel) -> Result<()> {
    let report = report(kernel, &[])?;
    let (size, passed, count) = (report.page_size, report.passed(), report.cases.len());
    ensure!(size == kernel.pages.bytes(), "pages of {size} bytes");
    // These checks also hold for kernel versions without recorded results.
    match kernel.names {
        true => ensure!(passed > count / 2, "only {passed} of {count} cases ran"),
        false => ensure!(passed == 0, "{passed} cases ran without names"),
    }
    Ok(())
}

/// With `--require` a case fails if the kernel cannot name memory. It is still skipped if the
/// behaviour belongs to other versions.
fn required(kernel: &'static Kernel) -> Result<()> {
    if kernel.names {
        let skipped = report(kernel, &["--require"])?.skipped().count();
        ensure!(skipped > 0, "no case is skipped");
        return Ok(());
    }
    let run = run(kernel, &["--require"])?;
    ensure!(run.problems.is_empty(), "{run}");
    let report = run.report.context("no report")?;
    let (failed, count) = (report.failed().count(), report.cases.len());
    ensure!(failed == count, "{failed} of {count} failed");
    Ok(())
}

fn names(report: &KtapReport) -> Vec<&str> {
    report.cases.iter().map(|case| case.name.as_str()).collect()
}

fn named_cases(kernel: &'static Kernel) -> Result<()> {
    let named = ["name-is-shown", "fork-copies-the-names"];
    let report = report(kernel, &named)?;
    ensure!(names(&report) == named, "{:?}", names(&report));
    ensure!(report.passed() == named.len(), "not all passed");
    Ok(())
}

/// `--list` prints the names of the cases that a run without arguments reports.
fn list(kernel: &'static Kernel) -> Result<()> {
    let boot = boot(kernel, &["check", "--list"])?;
    boot.expect_power_off()?;
    ensure!(conformance::status(&boot)? == 0, "not exit status 0");
    let text = boot.text();
    let listed: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
    let report = report(kernel, &["-r"])?;
    let ran = names(&report);
    ensure!(listed == ran, "lists {listed:?}\nruns {ran:?}");
    Ok(())
}

fn unknown_cases(kernel: &'static Kernel) -> Result<()> {
    // The second is a helper case, which only the program itself runs.
    for unknown in ["no-such-case", "..lower"] {
        let boot = boot(kernel, &["check", "name-is-shown", unknown])?;
        boot.expect_power_off()?;
        let (status, text) = (conformance::status(&boot)?, boot.text());
        ensure!(status == 2, "exit status {status}");
        let message = format!("'{unknown}': no such case");
        ensure!(text.contains(&message), "{text}");
        ensure!(!text.contains("KTAP"), "cases ran:\n{text}");
    }
    Ok(())
}

/// Other readers accept the report, and reject it with a failed case or without its end.
fn other_readers(kernel: &'static Kernel) -> Result<()> {
    let boot = boot(kernel, &["check"])?;
    conformance::read(&boot)?;
    let good = boot.text();
    let failed = good.replacen("\nok 7 ", "\nnot ok 7 ", 1);
    let cut = good.split_inclusive('\n').take(100).collect::<String>();
    ensure!(failed != good && cut != good, "{good}");
    let kunit = kunit(kernel)?;
    for (name, log, expected) in [
        ("good", &good, true),
        ("failed", &failed, false),
        ("cut", &cut, false),
    ] {
        let path = paths::scratch("ktap-readers")?.join(name);
        paths::write(&path, log)?;
        let prove = accepts("prove", &["--exec", "cat"], &path)?;
        ensure!(prove == expected, "prove on the {name} report: {prove}");
        // -B: Python must not write its bytecode into the source tree.
        let kunit = accepts("python3", &["-B", &kunit, "parse"], &path)?;
        ensure!(kunit == expected, "kunit.py on the {name} report: {kunit}");
    }
    Ok(())
}

/// The path of kunit.py, which works only inside a kernel source tree.
fn kunit(kernel: &Kernel) -> Result<String> {
    host_packages::KTAP_JUDGES.ensure()?;
    let script = kernel.tree()?.source.join("tools/testing/kunit/kunit.py");
    Ok(script.to_string_lossy().into_owned())
}

/// Whether the program exits with 0 for the report.
fn accepts(program: &str, args: &[&str], report: &Path) -> Result<bool> {
    let mut command = Command::new(program);
    command.args(args).arg(report).stdin(Stdio::null());
    let output = command
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    Ok(output.status.success())
}
