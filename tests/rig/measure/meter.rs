//! Runs programs in a real kernel and measures system calls, instructions, memory.
//!
//! `tests/peers/meter.c` is the init of the machine. It starts each program in the
//! same way: without environment, its output in a file, addresses not randomised.
//! It counts system calls itself.
//!
//! For instructions, QEMU executes one at a time and logs its address. Only the meter
//! and the program run, and the meter is linked to addresses that no program uses, so
//! the address shows which of them executes an instruction.
//!
//! QEMU's user mode would be simpler, but it refuses `PR_SET_VMA` with EINVAL.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::{Subject, peers};
use crate::initramfs::Initramfs;
use crate::kernels;
use crate::paths;
use crate::progress::Progress;
use crate::qemu::Machine;
use crate::target::{self, Target};
use crate::tool;

/// The addresses of the meter's code.
pub(super) const METER: Range<u64> = 0x1000_0000..0x1100_0000;

/// The addresses of user processes.
const USER: &str = "0..0xffffffffffff";

const DEADLINE: Duration = Duration::from_secs(900);

/// The cost of one run of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Its standard output.
    pub transcript: String,
    /// The system calls after execve(2), including the one that exits.
    pub calls: u64,
    /// The instructions it executed, without those of the kernel.
    pub instructions: u64,
    /// Its resident memory at the last pause (VmRSS), in KiB.
    pub resident: u64,
    /// The number of its mappings of files at the last pause.
    pub file_mappings: usize,
}

/// Measures the programs, all in the same two boots.
pub fn measure(subjects: &[Subject]) -> Result<Vec<Figures>> {
    let initramfs = initramfs_with_libraries(subjects)?.write("measure")?;
    let report = measure_calls_and_memory(&initramfs)?;
    let instructions = count_instructions(&initramfs, subjects.len())?;
    subjects
        .iter()
        .zip(instructions)
        .enumerate()
        .map(|(number, (subject, instructions))| {
            let figures = report.figures(number, subject.status, instructions);
            figures.with_context(|| subject.title.clone())
        })
        .collect()
}

/// The lines of a program's output, each with the microseconds of guest time since
/// the start.
pub(super) fn stamps(machine: &Machine) -> Result<Vec<(u64, String)>> {
    let mut machine = machine.clone();
    machine.args = vec!["stamp".to_owned()];
    let report = Report::of(&machine)?;
    let lines = report.section(0, "stamps")?.lines();
    lines
        .map(|line| {
            let (time, text) = line.split_once(' ').context("a stamp and a line")?;
            Ok((time.parse()?, text.to_owned()))
        })
        .collect()
}

/// What a program costs on any architecture.
pub(super) struct Cost {
    /// Its resident memory at the last pause (VmRSS), in KiB.
    pub(super) resident: u64,
    /// The microseconds of guest time from fork(2) to wait(2).
    pub(super) time: u64,
}

/// Measures `count` programs in one boot of the machine.
pub(super) fn costs(machine: &Machine, count: usize) -> Result<Vec<Cost>> {
    let mut machine = machine.clone();
    machine.args = vec!["cost".to_owned()];
    let report = Report::of(&machine)?;
    let cost = |number| {
        Ok(Cost {
            resident: report.resident(number)?,
            time: report.section(number, "time 0")?.trim().parse()?,
        })
    };
    (0..count).map(cost).collect()
}

/// The microseconds of guest time that each of `count` commands takes on each of the three
/// processes of the meter.
pub(super) fn times(machine: &Machine, count: usize) -> Result<Vec<[u64; 3]>> {
    let mut machine = machine.clone();
    machine.args = vec!["time".to_owned()];
    let report = Report::of(&machine)?;
    let time = |number, target| -> Result<u64> {
        let section = report.section(number, &format!("time {target}"))?;
        Ok(section.trim().parse()?)
    };
    (0..count)
        .map(|number| Ok([time(number, 0)?, time(number, 1)?, time(number, 2)?]))
        .collect()
}

/// The archive of [`initramfs`] for the default architecture, with the libraries of the
/// programs in `/lib`.
fn initramfs_with_libraries(subjects: &[Subject]) -> Result<Initramfs> {
    let mut archive = initramfs(target::DEFAULT, subjects)?.directory("/lib", 0o755);
    for name in peers::LIBRARIES {
        archive = archive.file(&format!("/lib/{name}"), 0o755, read(&peers::library(name))?);
    }
    Ok(archive)
}

/// The meter as `/init` with its `/commands`, and the programs in `/bin`.
pub(super) fn initramfs(target: &'static Target, subjects: &[Subject]) -> Result<Initramfs> {
    let mut archive = Initramfs::new()
        .file("/init", 0o755, read(&peers::meter(target)?)?)
        .directory("/bin", 0o755);
    let mut commands = String::new();
    for Subject {
        name, path, words, ..
    } in subjects
    {
        archive = archive.file(&format!("/bin/{name}"), 0o755, read(path)?);
        commands += &format!("/bin/{name} {}\n", words.join(" "));
    }
    Ok(archive.file("/commands", 0o644, commands))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn machine(initramfs: &Path, task: &str) -> Result<Machine> {
    let mut machine = kernels::find(kernels::DEFAULT)?.machine(initramfs)?;
    machine.name = format!("meter-{task}");
    // Fixed addresses, so that each run prints the same digits.
    machine.append = "norandmaps".to_owned();
    machine.args = vec![task.to_owned()];
    Ok(machine)
}

fn measure_calls_and_memory(initramfs: &Path) -> Result<Report> {
    let progress = Progress::start("measuring calls and memory in the guest");
    let report = Report::of(&machine(initramfs, "measure")?)?;
    progress.done();
    Ok(report)
}

/// The sections that the meter printed, by `NUMBER WHAT`.
struct Report(HashMap<String, String>);

impl Report {
    fn of(machine: &Machine) -> Result<Self> {
        let console = machine.run(DEADLINE)?;
        console.expect_power_off()?;
        let text = console.text();
        let mut sections = HashMap::new();
        for section in text.split("== ").skip(1) {
            let (head, body) = section.split_once('\n').unwrap_or((section, ""));
            sections.insert(head.to_owned(), body.to_owned());
        }
        if let Some(reason) = sections.get("meter failed") {
            bail!("the meter failed: {reason}see {}", console.log.display());
        }
        ensure!(
            sections.contains_key("meter done"),
            "the meter did not finish, see {}",
            console.log.display()
        );
        Ok(Self(sections))
    }

    fn section(&self, number: usize, what: &str) -> Result<&str> {
        let section = self.0.get(&format!("{number} {what}"));
        section
            .map(String::as_str)
            .with_context(|| format!("the meter printed no section `{what}`"))
    }

    /// VmRSS in KiB.
    fn resident(&self, number: usize) -> Result<u64> {
        let process = self.section(number, "status")?;
        let line = process.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let line = line.context("no VmRSS in /proc/PID/status")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    fn figures(&self, number: usize, status: u8, instructions: u64) -> Result<Figures> {
        let exit = self.section(number, "exit")?.trim();
        ensure!(exit == status.to_string(), "it exited with {exit}");
        Ok(Figures {
            transcript: self.section(number, "transcript")?.to_owned(),
            calls: self.section(number, "calls")?.trim().parse()?,
            instructions,
            resident: self.resident(number)?,
            file_mappings: file_mappings(self.section(number, "maps")?),
        })
    }
}

/// The number of mappings in /proc/PID/maps that have an inode.
fn file_mappings(maps: &str) -> usize {
    let inode = |line: &str| line.split_whitespace().nth(4)?.parse::<u64>().ok();
    maps.lines()
        .filter_map(inode)
        .filter(|inode| *inode > 0)
        .count()
}

/// The instructions of each program.
fn count_instructions(initramfs: &Path, programs: usize) -> Result<Vec<u64>> {
    let progress = Progress::start("counting instructions in the guest");
    let log = paths::scratch("logs")?.join(format!("instructions-{}.log", std::process::id()));
    let mut machine = machine(initramfs, "run")?;
    step_singly(&mut machine)?;
    let file = log.display().to_string();
    let options = ["-d", "exec,nochain", "-dfilter", USER, "-D", &file];
    machine.extra_qemu.extend(options.map(str::to_owned));
    let outcome = Report::of(&machine).and_then(|_| runs(&log));
    // The log has about a hundred megabytes and is not needed any more.
    let _ = fs::remove_file(&log);
    let runs = outcome?;
    ensure!(
        runs.len() == programs,
        "QEMU's log has {} runs, not {programs}",
        runs.len()
    );
    progress.done();
    Ok(runs)
}

/// Makes QEMU execute one instruction at a time. The option depends on its version.
fn step_singly(machine: &mut Machine) -> Result<()> {
    let help = tool::output(Command::new("qemu-system-aarch64").arg("--help"))?;
    match help.contains("one-insn-per-tb") {
        true => machine.accelerator.push_str(",one-insn-per-tb=on"),
        false => machine.extra_qemu.push("-singlestep".to_owned()),
    }
    Ok(())
}

/// The number of instructions between those of the meter, for each run.
fn runs(log: &Path) -> Result<Vec<u64>> {
    let file = File::open(log).with_context(|| format!("cannot read {}", log.display()))?;
    let mut runs = Vec::new();
    let mut run = 0;
    // `None` until the meter starts: early in the boot, the kernel executes at user
    // addresses, too.
    let mut last = None;
    for line in BufReader::new(file).lines() {
        let Some(address) = executed(&line?) else {
            continue;
        };
        if METER.contains(&address) {
            runs.extend((run > 0).then_some(run));
            (run, last) = (0, Some(address));
        } else if last.is_some() && last != Some(address) {
            // The same address twice in a row is one instruction that was restarted after
            // a page fault.
            (run, last) = (run + 1, Some(address));
        }
    }
    Ok(runs)
}

/// The address in a line such as `Trace 0: 0x7f.. [00000000/0000000000400078/..]`.
fn executed(line: &str) -> Option<u64> {
    let (_, fields) = line.strip_prefix("Trace ")?.split_once('[')?;
    u64::from_str_radix(fields.split('/').nth(1)?, 16).ok()
}
