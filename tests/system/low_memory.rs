//! Little memory: `check` from a shell harms no other process, and its report is correct.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rig::guest::{self, Kept};
use rig::initramfs::Initramfs;
use rig::kernels;
use rig::program::Build;
use rig::report::{KtapReport, Outcome};

use crate::trial::Trial;

const DEADLINE: Duration = Duration::from_secs(180);

/// Starts an idle process that holds 2 MB and is larger than the program: `tail` keeps what
/// it reads until its input ends. It must not need more memory at its start than it holds, so
/// that only `check` can cause its end.
const SCRIPT: &str = r#"
{ head -c 2000000 /dev/zero; echo > /tmp/ready; exec sleep 1000; } | tail -c 2000000 &
bystander=$!
until [ -e /tmp/ready ]; do
    kill -0 $bystander || { echo 'the bystander has not started'; exit 1; }
    sleep 0.1
done
COMMAND > /tmp/report
echo $? > /tmp/status
kill -0 $bystander && echo alive > /tmp/bystander || echo killed > /tmp/bystander
for file in report status bystander; do keep $file /tmp/$file; done
"#;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for mib in [20, 24, 28, 32, 40] {
        trials.push(Trial::new(
            format!("check beside a bystander in {mib} MiB"),
            move || beside_a_bystander(mib, "vm_anon_name check"),
        ));
    }
    // The program cannot offer itself to the OOM killer.
    trials.push(Trial::new(
        "check beside a bystander, /proc read-only",
        || {
            beside_a_bystander(
                26,
                "unshare -m sh -c \"mount -t proc -o ro proc /proc; vm_anon_name check\"",
            )
        },
    ));
    // The kernel `bare` has no sysctl for the limit on mappings.
    for mib in [16, 20, 24] {
        trials.push(Trial::new(
            format!("check as PID 1 of bare in {mib} MiB"),
            move || bare(mib),
        ));
    }
    trials
}

fn beside_a_bystander(mib: u32, command: &str) -> Result<()> {
    let name = format!("system-low-memory-{mib}");
    let initramfs = guest::initramfs(&SCRIPT.replace("COMMAND", command))?.write(&name)?;
    let mut machine = kernels::find(kernels::DEFAULT)?.machine(&initramfs)?;
    machine.name = name;
    machine.memory_mib = mib;
    let boot = machine.run(DEADLINE)?;
    boot.expect_power_off()?;
    let kept = Kept::of(boot.text())?;
    ensure!(
        kept.text("bystander")? == "alive\n",
        "the bystander was killed\n{}",
        boot.text()
    );
    ensure!(
        kept.text("status")? == "0\n",
        "status {}",
        kept.text("status")?
    );
    is_true(&KtapReport::read(kept.text("report")?)?)
}

fn bare(mib: u32) -> Result<()> {
    let initramfs = Initramfs::with_program(Build::Full)?.write("system-low-memory-bare")?;
    let mut machine = kernels::find("bare")?.machine(&initramfs)?;
    machine.name = format!("system-low-memory-bare-{mib}");
    machine.memory_mib = mib;
    machine.args = vec!["check".to_owned()];
    let boot = machine.run(DEADLINE)?;
    boot.expect_power_off()?;
    ensure!(
        boot.status() == Some(0),
        "status {:?}\n{}",
        boot.status(),
        boot.text()
    );
    is_true(&KtapReport::read(&boot.text())?)
}

/// No case failed, and the cases at the limit on mappings, which is high here, were skipped.
fn is_true(report: &KtapReport) -> Result<()> {
    let failed: Vec<&str> = report.failed().map(|case| case.name.as_str()).collect();
    ensure!(failed.is_empty(), "{failed:?}");
    for name in [
        "limit-on-mappings-is-eagain",
        "half-a-split-stays-at-the-limit",
    ] {
        match &report.case(name).context("no such case")?.outcome {
            Outcome::Skipped(reason) => ensure!(reason.contains("E2BIG"), "{name}: {reason}"),
            outcome => anyhow::bail!("{name}: {outcome:?}"),
        }
    }
    Ok(())
}
