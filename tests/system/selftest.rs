//! The kernel's own test of names, `tools/testing/selftests/prctl/set-anon-vma-name-test.c`,
//! beside `check` in one boot: both say the same of the kernel.

use std::fs;

use anyhow::{Context, Result, ensure};
use rig::guest::{self, Kept};
use rig::kernels::{self, Kernel};
use rig::report::{KtapReport, Outcome};
use rig::workbench::Workbench;

use crate::machine::TIMEOUT;
use crate::trial::Trial;

const SOURCE: &str = "tools/testing/selftests/prctl/set-anon-vma-name-test.c";

/// What the kernel's test claims, as cases. It expects EINVAL for a mapping of its standard input,
/// which is a console here. That cannot be mapped, so the test names MAP_FAILED, which is no
/// address of a page. For the mapping of a file it would get EBADF, and fail.
const CLAIMS: [&str; 3] = [
    "name-is-shown",
    "forbidden-bytes-are-refused-at-every-place",
    "address-must-be-page-aligned",
];

const SCRIPT: &str = "
selftest > /tmp/selftest 2>&1; echo status $? >> /tmp/selftest; keep selftest /tmp/selftest
vm_anon_name check > /tmp/check; keep check /tmp/check
";

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = Trial::on_targets("agrees with check", agrees).collect();
    trials.push(Trial::on("x86_64-debian-6.12", "agrees with check", agrees));
    trials
}

fn agrees(kernel: &'static Kernel) -> Result<()> {
    let initramfs = guest::initramfs_for(kernel.target, SCRIPT)?;
    let initramfs = initramfs.file("/bin/selftest", 0o755, compile(kernel)?);
    let name = format!("system-selftest-{}", kernel.name);
    let mut machine = kernel.machine(&initramfs.write(&name)?)?;
    machine.name = name;
    let boot = machine.run(TIMEOUT)?;
    boot.expect_power_off()?;
    let kept = Kept::of(boot.text())?;
    let selftest = kept.text("selftest")?;
    let lines = match kernel.names {
        true => ["\nok 1 vma.renaming\n", "\nstatus 0\n"],
        false => ["\nnot ok 1 vma.renaming\n", "\nstatus 1\n"],
    };
    ensure!(
        lines.iter().all(|line| selftest.contains(line)),
        "{selftest}"
    );
    let report = kept.text("check")?;
    let results = KtapReport::read(report)?;
    ensure!(results.failed().count() == 0, "{report}");
    for claim in CLAIMS {
        let case = results.case(claim).with_context(|| claim.to_owned())?;
        let has_passed = case.outcome == Outcome::Passed;
        ensure!(has_passed == kernel.names, "{claim}\n{report}");
    }
    Ok(())
}

/// Compiles the kernel's test for the architecture of this kernel.
fn compile(kernel: &Kernel) -> Result<Vec<u8>> {
    let bench = Workbench::open(kernel.target)?;
    let (source, headers) = kernels::find_for(kernel.target, kernels::DEFAULT)?.headers()?;
    let mut command = bench.musl(&source.join(SOURCE))?;
    command.arg("-isystem").arg(headers);
    // The macros of its harness leave parameters unused.
    command.args(["-Wno-unused-parameter", "-Wno-error"]);
    let path = bench.compile(command, "selftest")?;
    fs::read(&path).with_context(|| path.display().to_string())
}
