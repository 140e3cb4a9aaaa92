//! The program as PID 1: guest time to its verdict, and the least memory it needs.
//!
//! Under `-icount shift=0` an instruction takes a nanosecond of guest time, so the
//! kernel's own stamps are a count of instructions, its and the program's, and
//! the same in each run: addresses and the clock are fixed, idle time is skipped.
//! Two stamps are taken, of the kernel's words on starting PID 1 and on powering
//! off. What lies between is the whole of what a user waits for and a little
//! more: the verdict's way to the serial port, and the shutdown of devices.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Subject, meter};
use crate::initramfs::Initramfs;
use crate::kernels;
use crate::program::Build;
use crate::progress::Step;
use crate::qemu::{Console, Machine};

/// Many times what any of this takes. With too little memory some boots never end.
const DEADLINE: Duration = Duration::from_secs(40);

/// More than any command needs, in MiB.
const PLENTY: u32 = 128;

/// The commands that are timed, and the goals for them in microseconds.
pub const COMMANDS: [(&str, u64); 2] = [("probe", 1_000), ("check", 300_000)];

/// The guest time from the start of PID 1 to the power-down, in microseconds.
pub fn guest_time(build: Build, words: &[&str]) -> Result<u64> {
    let mut machine = counting(&with_program(build, words)?);
    machine.name = format!("icount-{}", words.join("-"));
    let console = machine.run(DEADLINE)?;
    ensure!(
        has_passed(&console),
        "{} has not passed, see {}",
        words.join(" "),
        console.log.display()
    );
    let text = console.text();
    let started = stamp(&text, "Run /init as init process")?;
    let ended = stamp(&text, "reboot: Power down")?;
    Ok(ended - started)
}

/// The least memory with which the command still passes, in MiB. More memory is
/// taken never to be worse, and the range is halved.
pub fn least_memory(build: Build, words: &[&str]) -> Result<u32> {
    let mut machine = with_program(build, words)?;
    machine.name = format!("memory-{}", words.join("-"));
    let (mut too_little, mut enough) = (0, PLENTY);
    ensure!(
        passes(&mut machine, enough)?,
        "fails with {enough} MiB, too"
    );
    while enough - too_little > 1 {
        let middle = too_little.midpoint(enough);
        match passes(&mut machine, middle)? {
            true => enough = middle,
            false => too_little = middle,
        }
    }
    Ok(enough)
}

/// What each case of `check` takes, in microseconds of guest time, longest first.
/// The program is not PID 1 here: the first process is the one with the clock.
pub fn cases() -> Result<Vec<(u64, String)>> {
    let program: Subject = super::subject(Build::Full)?;
    let name = meter::guest_path(&program);
    let archive = meter::initramfs(&[program])?.write("stamps")?;
    let mut machine = counting(&kernels::find(kernels::DEFAULT)?.machine(&archive)?);
    machine.name = "stamps".to_owned();
    let mut cases = BTreeMap::new();
    let mut before = 0;
    for (time, line) in meter::stamps(&machine, &name, &["check"])? {
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

/// The report in Markdown: times beside their goals, and the least memory.
pub fn report() -> Result<String> {
    let step = Step::start("timing PID 1 in guest instructions");
    let mut text =
        "| as PID 1 | guest time | goal | least memory |\n|---|---:|---:|---:|\n".to_owned();
    for (command, goal) in COMMANDS {
        let time = guest_time(Build::Full, &[command])?;
        let memory = least_memory(Build::Full, &[command])?;
        let (time, goal) = (milliseconds(time), milliseconds(goal));
        text.push_str(&format!(
            "| `{command}` | {time} ms | {goal} ms | {memory} MiB |\n"
        ));
    }
    step.done();
    Ok(text)
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{:03}", microseconds / 1000, microseconds % 1000)
}

fn with_program(build: Build, words: &[&str]) -> Result<Machine> {
    let archive = Initramfs::with_program(build)?.write(&format!("power-{}", build.name()))?;
    let mut machine = kernels::find(kernels::DEFAULT)?.machine(&archive)?;
    machine.args = words.iter().map(|word| word.to_string()).collect();
    Ok(machine)
}

/// The machine with a clock that counts instructions, and nothing left to chance.
fn counting(machine: &Machine) -> Machine {
    let mut machine = machine.clone();
    // Of the processors, `max` has an instruction for random numbers.
    machine.cpu = "cortex-a72".to_owned();
    let options = [
        ["-icount", "shift=0,sleep=off"],
        ["-rtc", "base=2026-01-01,clock=vm"],
        ["-machine", "dtb-randomness=off"],
    ];
    machine
        .extra_qemu
        .extend(options.as_flattened().iter().map(|word| word.to_string()));
    // The level of the messages that carry the stamps.
    machine.append = "norandmaps printk.time=1 loglevel=7".to_owned();
    machine
}

fn passes(machine: &mut Machine, memory_mib: u32) -> Result<bool> {
    machine.memory_mib = memory_mib;
    Ok(has_passed(&machine.run(DEADLINE)?))
}

/// Whether the program was satisfied and could power off.
fn has_passed(console: &Console) -> bool {
    console.expect_power_off().is_ok() && console.text().contains("vm_anon_name: status 0,")
}

/// The time in front of the words, as in `[    0.040152] Run /init`, in microseconds.
fn stamp(text: &str, words: &str) -> Result<u64> {
    let line = text.lines().find(|line| line.contains(words));
    let time = line
        .and_then(|line| line.split_once(']'))
        .and_then(|(stamp, _)| stamp.trim_start_matches('[').trim().split_once('.'));
    let (seconds, fraction) = time.with_context(|| format!("the kernel stamps no `{words}`"))?;
    Ok(seconds.parse::<u64>()? * 1_000_000 + fraction.parse::<u64>()?)
}
