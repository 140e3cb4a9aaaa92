//! Programs run in a real kernel, their calls, memory and instructions counted.
//!
//! An emulator of user processes would be simpler, but QEMU's answers EINVAL to
//! `PR_SET_VMA`, and the job would not be done. So `tests/peers/meter.c` is the
//! first process of a machine and runs each program the same way: no environment,
//! `-q -y`, its output a file, addresses not randomised. Calls it counts itself.
//!
//! Instructions are counted by QEMU, which is told to execute one at a time and
//! to log each address. Nothing but the meter and the program run, and the meter
//! lies where nothing else does, so that the addresses tell the programs apart.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::{Subject, peers};
use crate::initramfs::Initramfs;
use crate::kernels;
use crate::paths;
use crate::progress::Step;
use crate::qemu::Machine;
use crate::tool;

/// The addresses of the meter's own code.
pub(super) const METER: Range<u64> = 0x1000_0000..0x1100_0000;

/// User processes have the lower half of the addresses.
const USER: &str = "0..0xffffffffffff";

const DEADLINE: Duration = Duration::from_secs(300);

/// What one program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// What it printed with `-q -y`.
    pub transcript: String,
    /// The system calls it made for that, its end included.
    pub calls: u64,
    /// The instructions it executed for that, the kernel's not included.
    pub instructions: u64,
    /// Its resident memory at the last pause, in KiB.
    pub resident: u64,
    /// How many of its mappings then are of files.
    pub file_mappings: usize,
}

/// Measures the programs, all in the same two boots.
pub fn measure(subjects: &[Subject]) -> Result<Vec<Figures>> {
    let initramfs = initramfs(subjects)?.write("measure")?;
    let names = subjects.iter().map(guest_path).collect::<Vec<_>>();
    let report = look(&initramfs, &names)?;
    let instructions = count(&initramfs, &names)?;
    names
        .iter()
        .zip(instructions)
        .map(|(name, instructions)| report.figures(name, instructions))
        .collect()
}

/// When each line of a program's output came, in microseconds of guest time.
pub(super) fn stamps(
    machine: &Machine,
    program: &str,
    words: &[&str],
) -> Result<Vec<(u64, String)>> {
    let mut machine = machine.clone();
    machine.args = ["stamp", program]
        .iter()
        .chain(words)
        .map(|word| word.to_string())
        .collect();
    let report = Report::of(&machine)?;
    let lines = report.section(program, "stamps")?.lines();
    lines
        .map(|line| {
            let (time, text) = line.split_once(' ').context("a stamp and a line")?;
            Ok((time.parse()?, text.to_owned()))
        })
        .collect()
}

/// The meter as `/init`, the programs in `/bin`, what they are linked to in `/lib`.
pub(super) fn initramfs(subjects: &[Subject]) -> Result<Initramfs> {
    let mut archive = Initramfs::new()
        .file("/init", 0o755, read(&peers::meter()?)?)
        .directory("/bin", 0o755)
        .directory("/lib", 0o755);
    for subject in subjects {
        archive = archive.file(&guest_path(subject), 0o755, read(&subject.path)?);
    }
    for name in peers::LIBRARIES {
        archive = archive.file(&format!("/lib/{name}"), 0o755, read(&peers::library(name))?);
    }
    Ok(archive)
}

pub(super) fn guest_path(subject: &Subject) -> String {
    format!("/bin/{}", subject.name)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn machine(initramfs: &Path, task: &str, programs: &[String]) -> Result<Machine> {
    let mut machine = kernels::find(kernels::DEFAULT)?.machine(initramfs)?;
    machine.name = format!("meter-{task}");
    // The same addresses have the same digits to print.
    machine.append = "norandmaps".to_owned();
    machine.args = vec![task.to_owned()];
    machine.args.extend_from_slice(programs);
    Ok(machine)
}

fn look(initramfs: &Path, programs: &[String]) -> Result<Report> {
    let step = Step::start("measuring calls and memory in the guest");
    let report = Report::of(&machine(initramfs, "measure", programs)?)?;
    step.done();
    Ok(report)
}

/// The sections that the meter wrote.
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
            "the meter did not come to its end, see {}",
            console.log.display()
        );
        Ok(Self(sections))
    }

    fn section(&self, program: &str, what: &str) -> Result<&str> {
        let section = self.0.get(&format!("{program} {what}"));
        section
            .map(String::as_str)
            .with_context(|| format!("the meter says nothing of {program}'s {what}"))
    }

    fn figures(&self, program: &str, instructions: u64) -> Result<Figures> {
        let exit = self.section(program, "exit")?.trim();
        ensure!(exit == "0", "{program} ended with {exit}");
        let status = self.section(program, "status")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.context("/proc/PID/status has VmRSS")?;
        Ok(Figures {
            transcript: self.section(program, "transcript")?.to_owned(),
            calls: self.section(program, "calls")?.trim().parse()?,
            instructions,
            resident: resident.trim().trim_end_matches(" kB").parse()?,
            file_mappings: file_mappings(self.section(program, "maps")?),
        })
    }
}

/// The lines of /proc/PID/maps that tell of a file, which has an inode.
fn file_mappings(maps: &str) -> usize {
    let inodes = maps.lines().map(|line| line.split_whitespace().nth(4));
    inodes.filter(|inode| *inode != Some("0")).count()
}

/// Counts the instructions of each program.
fn count(initramfs: &Path, programs: &[String]) -> Result<Vec<u64>> {
    let step = Step::start("counting instructions in the guest");
    let log = paths::scratch("logs")?.join(format!("instructions-{}.log", std::process::id()));
    let mut machine = machine(initramfs, "run", programs)?;
    step_singly(&mut machine)?;
    let file = log.display().to_string();
    let options = ["-d", "exec,nochain", "-dfilter", USER, "-D", &file];
    machine.extra_qemu.extend(options.map(str::to_owned));
    let outcome = Report::of(&machine).and_then(|_| runs(&log));
    // It takes a hundred megabytes, and nobody would read it.
    let _ = fs::remove_file(&log);
    let runs = outcome?;
    ensure!(
        runs.len() == programs.len(),
        "{} programs were run, but QEMU's log has {}",
        programs.len(),
        runs.len()
    );
    step.done();
    Ok(runs)
}

/// Has QEMU execute a single instruction at a time, by the name this version has for it.
fn step_singly(machine: &mut Machine) -> Result<()> {
    let help = tool::output(Command::new("qemu-system-aarch64").arg("--help"))?;
    match help.contains("one-insn-per-tb") {
        true => machine.accelerator.push_str(",one-insn-per-tb=on"),
        false => machine.extra_qemu.push("-singlestep".to_owned()),
    }
    Ok(())
}

/// How many instructions were executed each time outside the meter.
fn runs(log: &PathBuf) -> Result<Vec<u64>> {
    let file = File::open(log).with_context(|| format!("cannot read {}", log.display()))?;
    let mut runs = Vec::new();
    let mut run = 0;
    // Until the meter starts, the kernel runs, at such addresses too at first.
    let mut last = None;
    for line in BufReader::new(file).lines() {
        let Some(address) = executed(&line?) else {
            continue;
        };
        if METER.contains(&address) {
            runs.extend((run > 0).then_some(run));
            (run, last) = (0, Some(address));
        } else if last.is_some() && last != Some(address) {
            // The same address twice is one instruction, begun anew after the
            // kernel has brought in a page.
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
