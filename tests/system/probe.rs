//! `probe`: the line that it prints, and its exit status.

use anyhow::{Result, ensure};
use regex::Regex;
use rig::check::{self, is_older};
use rig::kernels::Kernel;
use rig::program::Build;
use rig::qemu::Console;

use crate::machine::{TIMEOUT, with_program};
use crate::messages::{BUILT_WITHOUT, TOO_OLD, powers_off_with};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = Trial::on_matrix("verdict", verdict).collect();
    trials.push(Trial::on_default("quiet", quiet));
    trials
}

fn probe(kernel: &Kernel, name: &str, args: &[&str]) -> Result<Console> {
    let console = with_program(kernel, Build::Full, name, args)?.run(TIMEOUT)?;
    console.expect_power_off()?;
    Ok(console)
}

fn verdict(kernel: &'static Kernel) -> Result<()> {
    let version = kernel.version()?;
    let release = r"(\d+\.\d+\.\d+\S*)";
    let since = |first| match is_older(&version, first) {
        true => "no",
        false => "yes",
    };
    let (status, line) = if kernel.names {
        let features = format!(
            "shared memory: {}, PROCMAP_QUERY: {}",
            since((6, 2)),
            since((6, 11))
        );
        let line = format!("supported: Linux {release} names private memory, {features}");
        (0, line)
    } else if is_older(&version, check::NAMES) {
        (5, format!("too-old: Linux {release} {TOO_OLD}"))
    } else {
        (4, format!("built-without: Linux {release} {BUILT_WITHOUT}"))
    };
    let console = probe(kernel, "probe", &["probe"])?;
    let text = console.text();
    let line = Regex::new(&format!("(?m)^{line}$"))?;
    ensure!(line.is_match(&text), "no line {line} in\n{text}");
    let found = check::status(&console)?;
    ensure!(found == status, "exit status {found}, not {status}");
    Ok(())
}

fn quiet(kernel: &'static Kernel) -> Result<()> {
    let console = probe(kernel, "probe-quiet", &["probe", "-q"])?;
    ensure!(check::status(&console)? == 0, "not exit status 0");
    let text = console.text();
    let expected = format!("\n{}\nreboot: Power down\n", powers_off_with(0));
    ensure!(text == expected, "{text:?}, not {expected:?}");
    Ok(())
}
