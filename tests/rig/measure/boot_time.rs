//! The program as PID 1: guest time until it powers off, and the least memory.
//!
//! Under `-icount shift=0` each instruction takes a nanosecond of guest time, so
//! the kernel's time stamps count the instructions of kernel and program. Idle time
//! is skipped, and addresses and clock are fixed, so each run takes the same time.
//!
//! The time is measured from the kernel's `Run /init` to its `Power down`. That
//! includes the output on the serial line and the shutdown of devices.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Subject, meter};
use crate::initramfs::Initramfs;
use crate::kernels;
use crate::program::Build;
use crate::qemu::{Boot, Machine};
use crate::target;

/// Many times the duration of a boot.
const DEADLINE: Duration = Duration::from_secs(300);

/// The same for boots with too little memory, of which some never end.
const SHORT_DEADLINE: Duration = Duration::from_secs(40);

/// The guest time of the command from the start of PID 1 to the power-down, in
/// microseconds, and the boot.
pub fn guest_time(words: &[&str]) -> Result<(u64, Boot)> {
    guest_time_of(&as_init(words)?)
}

/// The same for a machine with another kernel or archive.
pub fn guest_time_of(machine: &Machine) -> Result<(u64, Boot)> {
    let mut machine = with_fixed_clock(machine);
    let words = machine.args.join(" ");
    machine.name = format!("icount-{}-{}", machine.target.name, words.replace(' ', "-"));
    let boot = machine.run(DEADLINE)?;
    ensure!(
        has_passed(&boot),
        "{words} has not passed, see {}",
        boot.log.display()
    );
    let text = boot.text();
    let started = stamp(&text, "Run /init as init process")?;
    let ended = stamp(&text, "reboot: Power down")?;
    Ok((ended - started, boot))
}

/// The least guest memory with which the command passes, in MiB, at most `enough`.
pub fn least_memory(words: &[&str], enough: u32) -> Result<u32> {
    let mut machine = as_init(words)?;
    machine.name = format!("memory-{}", words.join("-"));
    let mut passes = |memory_mib| {
        machine.memory_mib = memory_mib;
        machine.run(SHORT_DEADLINE).map(|boot| has_passed(&boot))
    };
    ensure!(
        passes(enough)?,
        "`{}` does not pass with {enough} MiB",
        words.join(" ")
    );
    let mut least = enough;
    while passes(least - 1)? {
        least -= 1;
    }
    Ok(least)
}

/// The guest time of each case of `check` in microseconds, longest first. Here the
/// meter is PID 1, because it has the clock.
pub fn cases() -> Result<Vec<(u64, String)>> {
    let subject = Subject {
        words: &["check"],
        ..Subject::program(Build::Full)?
    };
    let archive = meter::initramfs(target::DEFAULT, &[subject])?.write("stamps")?;
    let mut machine = with_fixed_clock(&kernels::find(kernels::DEFAULT)?.machine(&archive)?);
    machine.name = "stamps".to_owned();
    let mut cases = BTreeMap::new();
    let mut before = 0;
    for (time, line) in meter::stamps(&machine)? {
        if let Some((_, case)) = line
            .split_once("ok ")
            .and_then(|(_, rest)| rest.split_once(' '))
        {
            cases.insert(case.to_owned(), time - before);
            before = time;
        }
    }
    let mut cases: Vec<_> = cases.into_iter().map(|(case, time)| (time, case)).collect();
    cases.sort_by(|a, b| b.cmp(a));
    Ok(cases)
}

fn as_init(words: &[&str]) -> Result<Machine> {
    let archive = Initramfs::with_program(Build::Full)?.write("boot-time")?;
    let mut machine = kernels::find(kernels::DEFAULT)?.machine(&archive)?;
    machine.args = words.iter().map(|word| word.to_string()).collect();
    Ok(machine)
}

/// The machine with a clock that counts instructions, and without randomness.
pub(super) fn with_fixed_clock(machine: &Machine) -> Machine {
    let mut machine = machine.clone();
    let options = [
        "-icount",
        "shift=0,sleep=off",
        "-rtc",
        "base=2026-01-01,clock=vm",
        // For instructions that make random numbers, and for the device tree.
        "-seed",
        "1",
    ];
    machine.extra_qemu.extend(options.map(str::to_owned));
    // This log level includes the two messages whose time stamps are read.
    machine.append = "norandmaps printk.time=1 loglevel=7".to_owned();
    machine
}

/// Whether the program exited with status 0 and the machine powered off.
fn has_passed(boot: &Boot) -> bool {
    boot.expect_power_off().is_ok() && boot.status() == Some(0)
}

/// The stamp of the line with `words`, as in `[    0.040152] Run /init`, in
/// microseconds.
fn stamp(text: &str, words: &str) -> Result<u64> {
    let line = text.lines().find(|line| line.contains(words));
    let time = line
        .and_then(|line| line.split_once(']'))
        .and_then(|(stamp, _)| stamp.trim_start_matches('[').trim().split_once('.'));
    let (seconds, fraction) = time.with_context(|| format!("no time stamp of `{words}`"))?;
    Ok(seconds.parse::<u64>()? * 1_000_000 + fraction.parse::<u64>()?)
}
