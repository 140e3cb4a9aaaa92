//! The programs of `tests/upstream`, which show faults of other projects.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rig::conformance::is_older;
use rig::guest::{self, Kept};
use rig::kernels::Kernel;
use rig::{host_packages, paths, tool};

use crate::machine::TIMEOUT;
use crate::trial::Trial;

/// The version of Linux whose fault `guard.c` shows, and the first with guard pages.
const FAULTY: (u32, u32) = (7, 3);
const HAS_GUARD_PAGES: (u32, u32) = (6, 13);

pub(crate) fn trials() -> Vec<Trial> {
    let kernels = ["6.12", "newest"];
    kernels
        .map(|kernel| Trial::on(kernel, "a name and a guard page", guard))
        .into()
}

/// If this fails on a newer kernel, the fault may be fixed; then remove the report.
fn guard(kernel: &'static Kernel) -> Result<()> {
    let program = compile("guard")?;
    let initramfs = guest::initramfs(
        "guard > /tmp/out; echo status $? >> /tmp/out; keep out /tmp/out",
    )?
    .file("/bin/guard", 0o755, program);
    let name = format!("system-upstream-{}", kernel.name);
    let mut machine = kernel.machine(&initramfs.write(&name)?)?;
    machine.name = name;
    let boot = machine.run(TIMEOUT)?;
    boot.expect_power_off()?;
    let kept = Kept::of(boot.text())?;
    let text = kept.text("out")?;
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

/// Compiles a program of `tests/upstream`, and returns the executable.
fn compile(name: &str) -> Result<Vec<u8>> {
    host_packages::PEERS.ensure()?;
    let source = paths::workspace().join(format!("tests/upstream/{name}.c"));
    let output = paths::scratch("upstream")?.join(name);
    let mut gcc = Command::new("aarch64-linux-gnu-gcc");
    gcc.args(["-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o"]);
    tool::output(gcc.arg(&output).arg(source))?;
    fs::read(&output).with_context(|| output.display().to_string())
}
