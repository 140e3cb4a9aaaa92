//! `probe`: the lines that it prints, and its exit status.

use anyhow::{Result, ensure};
use regex::Regex;
use rig::conformance::{self, is_older};
use rig::guest;
use rig::kernels::{self, Kernel};
use rig::program::Build;
use rig::qemu::Boot;

use crate::machine::{TIMEOUT, with_program};
use crate::messages::{BUILT_WITHOUT, TOO_OLD, powers_off_with};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let verdicts = kernels::probed().map(|kernel| Trial::on(kernel.name, "verdict", verdict));
    let mut trials: Vec<Trial> = verdicts.collect();
    trials.push(Trial::on_default("quiet", quiet));
    trials.push(Trial::on_default("failure", failure));
    trials.push(Trial::on_default("not as PID 1", not_as_pid1));
    trials
}

fn probe(kernel: &Kernel, name: &str, args: &[&str]) -> Result<Boot> {
    let boot = with_program(kernel, Build::Full, name, args)?.run(TIMEOUT)?;
    boot.expect_power_off()?;
    Ok(boot)
}

fn verdict(kernel: &'static Kernel) -> Result<()> {
    let version = kernel.version()?;
    let release = r"(\d+\.\d+\.\d+\S*)";
    let answer = |is_supported| if is_supported { "yes" } else { "no" };
    let (status, result, line) = if kernel.names {
        let shared = answer(!is_older(&version, (6, 2)) && !kernel.leaves_out("SHMEM"));
        let query = answer(!is_older(&version, (6, 11)));
        let features = format!("shared memory: {shared}, PROCMAP_QUERY: {query}");
        let line = format!("supported: Linux {release} names private memory, {features}");
        (0, "pass", line)
    } else if is_older(&version, conformance::NAMES) {
        (5, "skip", format!("too-old: Linux {release} {TOO_OLD}"))
    } else {
        (
            4,
            "skip",
            format!("built-without: Linux {release} {BUILT_WITHOUT}"),
        )
    };
    let boot = probe(kernel, "probe", &["probe"])?;
    let text = boot.text();
    let lines = Regex::new(&format!("(?m)^{line}\n# vm_anon_name: probe: {result}$"))?;
    ensure!(lines.is_match(&text), "no lines {lines} in\n{text}");
    let found = conformance::status(&boot)?;
    ensure!(found == status, "exit status {found}, not {status}");
    Ok(())
}

fn quiet(kernel: &'static Kernel) -> Result<()> {
    let boot = probe(kernel, "probe-quiet", &["probe", "-q"])?;
    ensure!(conformance::status(&boot)? == 0, "not exit status 0");
    let text = boot.text();
    let expected = format!("\n{}\nreboot: Power down\n", powers_off_with(0));
    ensure!(text == expected, "{text:?}, not {expected:?}");
    Ok(())
}

/// Without a free descriptor the program cannot read the maps, so it does not know what the
/// kernel does.
fn failure(kernel: &'static Kernel) -> Result<()> {
    let script = "ulimit -n 3; exec /bin/vm_anon_name probe";
    let initramfs = guest::initramfs(script)?.write("system-probe-failure")?;
    let mut machine = kernel.machine(&initramfs)?;
    machine.name = "system-probe-failure".to_owned();
    let boot = machine.run(TIMEOUT)?;
    boot.expect_power_off()?;
    let text = boot.text();
    let lines = Regex::new("(?m)^no-proc: .*\n# vm_anon_name: probe: fail$")?;
    ensure!(lines.is_match(&text), "no lines {lines} in\n{text}");
    ensure!(conformance::status(&boot)? == 8, "not exit status 8");
    Ok(())
}

/// From a shell, `probe` prints one line only, because the shell has the exit status.
fn not_as_pid1(kernel: &'static Kernel) -> Result<()> {
    let script = "vm_anon_name probe > /tmp/out; keep out /tmp/out";
    let kept = guest::run(kernel, "system-probe-shell", script, TIMEOUT)?;
    let text = kept.text("out")?;
    ensure!(text.lines().count() == 1, "{text}");
    ensure!(text.starts_with("supported: Linux "), "{text}");
    Ok(())
}
