//! A slow serial line: PID 1 sends all its output before it ends the machine.
//!
//! The line is a 16550A on the PCI bus without an interrupt. Its driver sends 16 bytes per timer
//! tick, about 2,000 bytes a second, while QEMU's PL011 sends all at once. Bytes that the driver
//! has not sent at the end of the machine are lost.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use rig::assembler::assemble;
use rig::initramfs::Initramfs;
use rig::kernels;
use rig::program::{self, Build};
use rig::qemu::{Boot, Ending, Serial, plain_text};
use rig::report::KtapReport;

use crate::messages::{SAME_MAPS, unknown_word};
use crate::shell;
use crate::trial::Trial;

const DEADLINE: Duration = Duration::from_secs(240);

/// Only this kernel has the driver.
const KERNEL: &str = "rich";

/// Redirections of the program's output to the line or to `/dev/null`.
const BOTH: &str = "> /dev/ttyS0 2>&1";
const STDOUT: &str = "> /dev/ttyS0 2> /dev/null";
const STDERR: &str = "> /dev/null 2> /dev/ttyS0";

pub(crate) fn trials() -> Vec<Trial> {
    let line = |name: &str, command: &'static str, outputs: &'static str, judge: Judge| {
        Trial::new(name, move || on_slow_line(command, outputs, judge))
    };
    vec![
        line("stages", "-y", BOTH, |text| ends(text, SAME_MAPS, 0)),
        line("probe", "probe", BOTH, |text| {
            ends(text, "PROCMAP_QUERY: yes\n# vm_anon_name: probe: pass\n", 0)
        }),
        line("probe on standard output alone", "probe", STDOUT, |text| {
            ends(text, "PROCMAP_QUERY: yes\n# vm_anon_name: probe: pass\n", 0)
        }),
        line("check", "check", BOTH, |text| {
            let report = KtapReport::read(text)?;
            ensure!(report.passed() > 100, "{} cases passed", report.passed());
            ends(text, " error:0\n", 0)
        }),
        line("help", "--help", BOTH, |text| {
            ends(text, include_str!("../../src/help.txt"), 0)
        }),
        line("a usage error", "--nonsense", BOTH, |text| {
            ends(text, &unknown_word("--nonsense"), 2)
        }),
        line(
            "a usage error on standard error alone",
            "--nonsense",
            STDERR,
            |text| {
                ensure!(text == unknown_word("--nonsense"), "{text:?}");
                Ok(())
            },
        ),
        Trial::new("reboot", || then("reboot", Ending::Restarted)),
        Trial::new("halt", || then("halt", Ending::Halted)),
        Trial::new("the next init", || then("/next", Ending::PoweredOff)),
        Trial::new("a next init that cannot be executed", || {
            then("/nowhere", Ending::PoweredOff)
        }),
        Trial::new("a panic", panic),
    ]
}

/// Checks the text that arrived at the other end of the line.
type Judge = fn(&str) -> Result<()>;

fn on_slow_line(command: &str, outputs: &str, judge: Judge) -> Result<()> {
    let boot = boot(command, outputs, "/bin/vm_anon_name", |initramfs| initramfs)?;
    boot.expect_power_off()?;
    judge(&arrived(&boot)?)
}

/// Boots the program as PID 1 with a slow line. A shell prepares the line and executes it.
fn boot(
    command: &str,
    outputs: &str,
    program: &str,
    add: impl FnOnce(Initramfs) -> Initramfs,
) -> Result<Boot> {
    let script = format!(
        "with polled=/dev/ttyS0 true || exit 1
        exec {program} {command} < /dev/ttyS0 {outputs}"
    );
    let name = format!("system-serial-{command} {outputs}").replace(['/', '>', '&'], "_");
    let initramfs = add(shell::initramfs(&script)?).write(&name)?;
    let mut machine = kernels::find(KERNEL)?.machine(&initramfs)?;
    machine.name = name;
    machine.serial.push(Serial::Pci);
    machine.run(DEADLINE)
}

fn arrived(boot: &Boot) -> Result<String> {
    let line = boot.other_serial.first().context("no second line")?;
    Ok(plain_text(line))
}

/// Fails unless the text ends with these words and the status.
fn ends(text: &str, words: &str, status: u8) -> Result<()> {
    let end = format!("{words}\nvm_anon_name: status {status}, then poweroff\n");
    ensure!(
        text.ends_with(&end),
        "{} bytes arrived, the last are\n{}",
        text.len(),
        tail(text)
    );
    Ok(())
}

fn tail(text: &str) -> String {
    let start = text.len().saturating_sub(300);
    text.chars().skip(start).collect()
}

/// Ends the machine in this way after `--help`, whose text takes many timer ticks to send.
fn then(word: &str, ending: Ending) -> Result<()> {
    // The next init closes the line and ends the machine at once.
    let next = "#!/bin/busybox sh\nexec < /dev/console > /dev/console 2>&1\nexec /bin/busybox poweroff -f\n";
    let command = format!("--help --then {word}");
    let boot = boot(&command, BOTH, "/bin/vm_anon_name", |initramfs| {
        initramfs.file("/next", 0o755, next)
    })?;
    ensure!(boot.ending == ending, "the machine {}", boot.ending);
    let text = arrived(&boot)?;
    let mut end = format!("\nvm_anon_name: status 0, then {word}\n");
    if word == "/nowhere" {
        end.push_str("vm_anon_name: /nowhere: ENOENT (2): no such file\n");
    }
    ensure!(
        text.ends_with(&end),
        "{} bytes arrived, the last are\n{}",
        text.len(),
        tail(&text)
    );
    Ok(())
}

/// A damaged executable: its suite has been overwritten.
fn panic() -> Result<()> {
    let program = program::build(Build::Full)?;
    let mut bytes = fs::read(&program)?;
    let (cases, verbs) = (
        include_str!("../../src/suite/cases.txt"),
        include_str!("../../src/suite/verbs.txt"),
    );
    let suite = assemble(cases, verbs).map_err(|error| anyhow!("{error}"))?;
    let place = bytes
        .windows(suite.len())
        .position(|window| window == suite);
    let start = place.context("the executable does not contain the suite")?;
    bytes[start..start + suite.len()].fill(0xff);
    let boot = boot("check", BOTH, "/damaged", |initramfs| {
        initramfs.file("/damaged", 0o755, bytes)
    })?;
    boot.expect_power_off()?;
    let text = arrived(&boot)?;
    let last = text.lines().last().unwrap_or_default();
    let is_whole = last.starts_with("vm_anon_name: panic at src/") && text.ends_with('\n');
    ensure!(
        is_whole,
        "{} bytes arrived, the last are\n{}",
        text.len(),
        tail(&text)
    );
    Ok(())
}
