//! Executables in a guest: whether they work.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rig::guest::{self, Kept};
use rig::kernels;
use rig::report::KtapReport;
use rig::target::Target;

/// Time limit of a boot.
const DEADLINE: Duration = Duration::from_secs(300);

/// An executable, and its name in the guest.
pub(crate) type Executable = (String, PathBuf);

/// Fails unless each executable passes `probe` and `check`. One guest with that name runs all.
pub(crate) fn expect(target: &'static Target, guest: &str, programs: &[Executable]) -> Result<()> {
    let mut script = String::from("cd /programs\n");
    for (name, _) in programs {
        script.push_str(&format!(
            "./{name} probe > /tmp/probe; echo $? >> /tmp/probe; keep {name}.probe /tmp/probe\n\
             ./{name} check > /tmp/check; echo $? > /tmp/status\n\
             keep {name}.check /tmp/check; keep {name}.status /tmp/status\n"
        ));
    }
    let mut initramfs = guest::initramfs_for(target, &script)?.directory("/programs", 0o755);
    for (name, path) in programs {
        let program = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        initramfs = initramfs.file(&format!("/programs/{name}"), 0o755, program);
    }
    let kernel = kernels::find_for(target, kernels::DEFAULT)?;
    let mut machine = kernel.machine(&initramfs.write(guest)?)?;
    machine.name = guest.to_owned();
    let boot = machine.run(DEADLINE)?;
    boot.expect_power_off()?;
    let kept = Kept::of(boot.text())?;
    for (name, _) in programs {
        judge(&kept, name).with_context(|| name.clone())?;
    }
    Ok(())
}

fn judge(kept: &Kept, name: &str) -> Result<()> {
    let probe = kept.text(&format!("{name}.probe"))?;
    ensure!(
        probe.starts_with("supported: Linux ") && probe.ends_with("\n0\n"),
        "{probe}"
    );
    let report = KtapReport::read(kept.text(&format!("{name}.check"))?)?;
    let failed: Vec<_> = report.failed().collect();
    ensure!(failed.is_empty(), "{failed:#?}");
    ensure!(
        report.passed() > report.cases.len() / 2,
        "only {} cases passed",
        report.passed()
    );
    let status = kept.text(&format!("{name}.status"))?;
    ensure!(status == "0\n", "exit status {status}");
    Ok(())
}
