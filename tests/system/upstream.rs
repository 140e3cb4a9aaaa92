//! The programs of `tests/upstream`, which show faults of other projects.
//!
//! If a trial fails on a newer version, the fault may be fixed; then remove its report.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rig::conformance::is_older;
use rig::guest::{self, Kept, software};
use rig::kernels::{self, Kernel};
use rig::paths;

use crate::trial::Trial;

/// The version of Linux whose fault `guard.c` shows, and the first with guard pages.
const FAULTY: (u32, u32) = (7, 3);
const HAS_GUARD_PAGES: (u32, u32) = (6, 13);

const DEADLINE: Duration = Duration::from_secs(400);

/// The directory of the kernel's own test, in its sources.
const SELFTEST: &str = "tools/testing/selftests/prctl";

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for kernel in ["6.12", "newest"] {
        trials.push(Trial::on(kernel, "a name and a guard page", guard));
        trials.push(Trial::on(kernel, "a file that was unlinked", unlinked));
    }
    trials.push(Trial::on_default("pmap of procps and of Toybox", pmap));
    trials.push(Trial::new(
        "the Makefile of the kernel's own test builds nothing",
        selftest_is_not_built,
    ));
    trials.push(Trial::on_default("the kernel's own test", selftest));
    trials.push(Trial::on(
        "debian-6.12",
        "the kernel's own test without names",
        selftest_without_names,
    ));
    trials.push(Trial::on("debian-6.12", "gaps in maps", no_gaps));
    // It reads until it finds a gap, which takes minutes.
    trials.push(Trial::on("debian-newest", "gaps in maps", gaps).ignored());
    trials
}

fn guard(kernel: &'static Kernel) -> Result<()> {
    let text = run(kernel, "guard", &[], "guard; echo status $?")?;
    let version = kernel.version()?;
    let expected = if is_older(&version, HAS_GUARD_PAGES) {
        "no guard pages: Invalid argument\nstatus 4\n"
    } else {
        ensure!(
            !is_older(&version, FAULTY),
            "{version} was not tried: {text}"
        );
        "before: gu, the child is killed\nafter: no gu, the child reads\nstatus 1\n"
    };
    ensure!(text == expected, "{text}");
    Ok(())
}

/// The kernel's own test of 7.3 maps an unlinked file and expects EBADF. On tmpfs, such a mapping
/// can be named.
fn unlinked(kernel: &'static Kernel) -> Result<()> {
    let text = run(kernel, "unlinked", &[], "cd /tmp; unlinked; echo status $?")?;
    let expected = "unlinked file: Success\n/proc/self/exe: Bad file descriptor\nstatus 1\n";
    ensure!(text == expected, "{text}");
    Ok(())
}

/// Command lines of pmap, and what each shows of the label.
const PMAPS: &[(&str, &str)] = &[
    ("pmap-procps", "area]"),
    ("pmap-procps -x", "area]"),
    ("pmap-procps -k", "area]"),
    ("pmap-procps -X", "area]"),
    ("pmap-procps -p", "/secret/mem/area]"),
    ("toybox pmap", "area]"),
    ("toybox pmap -x", "area]"),
];

fn pmap(kernel: &'static Kernel) -> Result<()> {
    let commands: Vec<String> = PMAPS
        .iter()
        .map(|(command, _)| format!("pmap {command}; echo status $?"))
        .collect();
    let files = [software::GLIBC, software::PMAP, software::TOYBOX].concat();
    let text = run(kernel, "pmap", &files, &commands.join("\n"))?;
    let mut sections = text.split("status 1\n");
    for ((command, shown), section) in PMAPS.iter().zip(sections.by_ref()) {
        let name = format!("maps: [anon:/secret/mem/area]\npmap: {shown}\n");
        ensure!(section.starts_with(&name), "{command}: {section}");
        // `pmap -X` prints no total.
        let has_total = section.contains("zombie: total ") || command.ends_with("-X");
        ensure!(
            has_total && section.ends_with("status 0\n"),
            "{command}: {section}"
        );
    }
    ensure!(sections.eq([""]), "{text}");
    Ok(())
}

/// The Makefile of the kernel's own test has no targets for other architectures than x86, and none
/// for cross compilers.
fn selftest_is_not_built() -> Result<()> {
    let directory = sources()?.join(SELFTEST);
    for variables in [
        &["ARCH=arm64"][..],
        &["ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"],
        &["ARCH=x86", "CROSS_COMPILE=x86_64-linux-gnu-"],
    ] {
        let mut make = Command::new("make");
        make.arg("--dry-run").arg("-C").arg(&directory);
        make.args(variables)
            .env_remove("MAKEFLAGS")
            .env("LC_ALL", "C");
        let output = make.output().context("make")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(errors.contains("No targets"), "{variables:?}: {errors}");
    }
    Ok(())
}

/// Without a file the test passes, with one it fails.
fn selftest(kernel: &'static Kernel) -> Result<()> {
    const SCRIPT: &str = "selftest < /dev/null; echo status $?; selftest < /init; echo status $?";
    let text = run(kernel, "selftest", &[], SCRIPT)?;
    let (without, with) = text.split_once("status 0\n").context(text.clone())?;
    ensure!(without.contains("\nok 1 vma.renaming\n"), "{text}");
    ensure!(
        with.contains("\nnot ok 1 vma.renaming\n") && with.ends_with("status 1\n"),
        "{text}"
    );
    Ok(())
}

/// A kernel that does not name memory fails the test, which should skip.
fn selftest_without_names(kernel: &'static Kernel) -> Result<()> {
    let text = run(
        kernel,
        "selftest",
        &[],
        "selftest < /dev/null; echo status $?",
    )?;
    ensure!(
        text.contains("\nnot ok 1 vma.renaming\n") && text.ends_with("status 1\n"),
        "{text}"
    );
    Ok(())
}

/// No gap in kernels that hold the lock of all mappings while they write the file.
fn no_gaps(kernel: &'static Kernel) -> Result<()> {
    let text = run(kernel, "holes", &[], "holes 3000; echo status $?")?;
    ensure!(
        text.contains("readings 3000,") && text.ends_with("gaps 0\nstatus 0\n"),
        "{text}"
    );
    Ok(())
}

fn gaps(kernel: &'static Kernel) -> Result<()> {
    let text = run(kernel, "holes", &[], "holes 200000; echo status $?")?;
    eprintln!("{text}");
    ensure!(text.ends_with("gaps 1\nstatus 1\n"), "{text}");
    Ok(())
}

/// Boots the kernel on two processors with a program of `tests/upstream` and the files, and returns
/// what the script prints.
fn run(
    kernel: &'static Kernel,
    program: &str,
    files: &[software::File],
    script: &str,
) -> Result<String> {
    let script = format!("{{ {script}\n}} > /tmp/out 2>&1; keep out /tmp/out");
    let path = format!("/bin/{program}");
    let initramfs =
        software::add(guest::initramfs(&script)?, files)?.file(&path, 0o755, compile(program)?);
    let name = format!("system-upstream-{program}-{}", kernel.name);
    let mut machine = kernel.machine(&initramfs.write(&name)?)?;
    machine.name = name;
    machine.extra_qemu.extend(["-smp", "2"].map(str::to_owned));
    machine.accelerator = "tcg,thread=multi".to_owned();
    let boot = machine.run(DEADLINE)?;
    boot.expect_power_off()?;
    let kept = Kept::of(boot.text())?;
    Ok(kept.text("out")?.to_owned())
}

/// Compiles a program of `tests/upstream`, or the kernel's own test.
fn compile(name: &str) -> Result<Vec<u8>> {
    match name {
        "selftest" => {
            let source = sources()?.join(SELFTEST).join("set-anon-vma-name-test.c");
            software::compile(&source, &["-static"])
        }
        _ => {
            let source = paths::workspace().join(format!("tests/upstream/{name}.c"));
            software::compile(&source, &["-static", "-Wall", "-Wextra", "-Werror"])
        }
    }
}

/// The sources of the default kernel.
fn sources() -> Result<PathBuf> {
    Ok(kernels::find(kernels::DEFAULT)?.tree()?.source.clone())
}
