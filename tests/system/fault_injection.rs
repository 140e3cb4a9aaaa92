//! Each errno of each system call, injected one at a time: no failure goes unnoticed.
//!
//! A trace shows which system calls a run of the program makes. Then, in a real kernel, each
//! call is made to fail with each errno that the manual gives for it
//! (`guest-agent/errnos.txt`). The program must react in one of these ways:
//!
//! - unchanged: exit status, output and files are those of the run without the fault;
//! - reported: a message names the errno or its meaning, and the exit status is that of a
//!   failure, except where `judge` and `judge_memory` allow 0;
//! - case failed, case skipped: `check` reports the fault by the outcome of a case and the
//!   reason for it, without the errno;
//! - silent: the fault is in the output itself, and only the exit status reports it, or it left
//!   a smaps empty.
//!
//! Everything else is a defect: a death by signal, a hang, an exit status of 0 with other
//! output, a maps file that is not complete, a case that passes without all of its calls.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use guest_agent::{Call, End, Fault, Injection, OLD_CONTENT, Output, Proc, Run, RunResult, Stdin};
use rig::kernels::Kernel;
use rig::report::{CaseResult, KtapReport};

use crate::messages::STATUS_LINE;
use crate::trial::Trial;

/// The name of a maps file while the program writes it.
const PARTIAL: &str = ".vm_anon_name.partial";

const SIGINT: i32 = 2;
const EBUSY: i32 = 16;
const EEXIST: i32 = 17;

/// The command of a run. Each command reports failures in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Stages,
    Probe,
    Check,
    Pid1,
    /// `maps` and `names`. The tool `target` is the only other process.
    Memory,
}

/// The runs: name, command and arguments. The cases of `check` are one or two of each kind.
const RUNS: &[(&str, Command, &str)] = &[
    ("stages without pauses", Command::Stages, "-y"),
    ("stages with pauses", Command::Stages, ""),
    ("stages, quiet", Command::Stages, "-q"),
    ("stages, shared memory", Command::Stages, "-yS"),
    ("stages, maps files", Command::Stages, "-yo /out"),
    ("stages, refused name", Command::Stages, "-yn $"),
    ("usage error", Command::Stages, "--nonsense"),
    ("probe", Command::Probe, "probe"),
    ("probe, quiet", Command::Probe, "probe -q"),
    (
        "check, names",
        Command::Check,
        "check naming-nothing-succeeds name-is-shown no-privilege-is-needed",
    ),
    (
        "check, files",
        Command::Check,
        "check memfd-can-be-named tmpfs-file-cannot-be-named",
    ),
    (
        "check, PROCMAP_QUERY",
        Command::Check,
        "check procmap-query-shows-the-name",
    ),
    (
        "check, limit on mappings",
        Command::Check,
        "check limit-on-mappings-is-eagain",
    ),
    (
        "check, processes",
        Command::Check,
        "check fork-copies-the-names child-that-shares-memory-names-for-its-parent",
    ),
    (
        "check, exec",
        Command::Check,
        "check exec-takes-all-names-away",
    ),
    ("PID 1", Command::Pid1, "-y"),
    ("PID 1, next init", Command::Pid1, "version -t /dev/null"),
    ("maps, own", Command::Memory, "maps"),
    ("maps, a process", Command::Memory, "maps 1"),
    ("names, a process", Command::Memory, "names 1"),
    ("names, JSON", Command::Memory, "names -j 1"),
    ("names, two processes", Command::Memory, "names 1 1"),
    ("names, all processes", Command::Memory, "names"),
    ("names, saved", Command::Memory, "names -"),
    (
        "names, again and again",
        Command::Memory,
        "names --every 1 --count 2 1",
    ),
];

pub(crate) fn trials() -> Vec<Trial> {
    let runs = RUNS.iter().map(|&(name, command, args)| {
        let mut run = Run {
            is_pid1: command == Command::Pid1,
            ..Run::new(args)
        };
        if command == Command::Memory {
            (run.proc, run.stdin) = (Proc::Target, Stdin::Smaps);
        }
        (name, command, run)
    });
    let without_console = Run {
        is_pid1: true,
        stdin: Stdin::Closed,
        stdout: Output::Closed,
        stderr: Output::Closed,
        ..Run::new("-y")
    };
    runs.chain([("PID 1 without a console", Command::Pid1, without_console)])
        .map(|(name, command, run)| {
            Trial::on_default(name, move |kernel| inject(kernel, name, command, run))
        })
        .collect()
}

/// The way in which the program reacted to a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reaction {
    Unchanged,
    Reported,
    CaseFailed,
    CaseSkipped,
    Silent,
}

/// The number of faults by reaction.
type Counts = BTreeMap<Reaction, usize>;

/// The counts of all trials.
fn totals() -> MutexGuard<'static, Counts> {
    static TOTALS: Mutex<Counts> = Mutex::new(Counts::new());
    TOTALS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints the number of faults of all trials that ran.
pub(crate) fn print_totals() {
    let totals = totals();
    if !totals.is_empty() {
        let faults: usize = totals.values().sum();
        eprintln!("fault injection, all trials: {faults} faults, {totals:?}");
    }
}

/// Boots a guest, injects every fault, and judges every result.
fn inject(kernel: &Kernel, name: &str, command: Command, run: Run) -> Result<()> {
    let log = format!("faults-{}", name.replace([' ', ','], "-"));
    let campaign = rig::guest_agent::inject_faults(kernel, &log, run)?;
    ensure!(
        campaign.missed.is_empty(),
        "calls that were not made again: {:?}",
        campaign.missed
    );
    let mut counts = Counts::new();
    let mut defects = Vec::new();
    for injection in &campaign.injections {
        let result = campaign.results.get(injection.result);
        let result = result.context("no such result")?;
        let judged = match command {
            Command::Check => judge_check(&campaign.baseline, injection, result),
            Command::Memory => judge_memory(&campaign.baseline, injection, result),
            _ => judge(command, &campaign.baseline, injection, result),
        };
        match judged {
            Ok(reaction) => *counts.entry(reaction).or_default() += 1,
            Err(defect) => defects.push((injection, result, defect)),
        }
    }
    let faults = campaign.injections.len();
    eprintln!(
        "{name}: {} calls, {faults} faults, {counts:?}",
        campaign.calls.len()
    );
    for (reaction, count) in &counts {
        *totals().entry(*reaction).or_default() += count;
    }
    ensure!(defects.is_empty(), "{}", describe(&defects));
    // Few changes would mean that the injection does not work.
    let unchanged = counts.get(&Reaction::Unchanged).unwrap_or(&0);
    let changed = faults - unchanged;
    ensure!(changed > 10, "only {changed} faults made a difference");
    Ok(())
}

/// The reaction of the stages, of `probe` or of PID 1; or the defect.
fn judge(
    command: Command,
    baseline: &RunResult,
    injection: &Injection,
    result: &RunResult,
) -> Result<Reaction, String> {
    let (call, fault) = (&injection.call, injection.fault);
    check_files(&result.files, &baseline.files, call)?;
    if is_unchanged(command, result, baseline) {
        return Ok(Reaction::Unchanged);
    }
    // After a failed readlinkat, PID 1 mounts /proc anew, sees the PID namespace of the agent, and
    // exits as in a container.
    let is_container = matches!(result.end, End::Exited(_));
    if command == Command::Pid1 && call.name == "readlinkat" && is_container {
        return Ok(Reaction::Unchanged);
    }
    if matches!(command, Command::Stages | Command::Pid1) {
        check_transcript(call, result, baseline)?;
    }
    let status = match command {
        Command::Pid1 => printed_status(result)?,
        _ => Some(exit_status(result)?),
    };
    let is_reported = names_errno(&result.output(), fault)
        || is_reported_otherwise(command, call, fault, result, baseline);
    let is_silent = is_output(command, call);
    // After a failure of the following calls the exit status may be 0. The result of `probe` may
    // be a success. PID 1 makes files and mounts that a command may not need, and ends the machine
    // after the command.
    let is_success_allowed = match command {
        Command::Pid1 => matches!(&*call.name, "mkdirat" | "mount" | "reboot" | "execve"),
        Command::Probe => true,
        Command::Check | Command::Stages | Command::Memory => false,
    };
    match status {
        Some(0) if is_reported && is_success_allowed => Ok(Reaction::Reported),
        // The status of PID 1 is part of the output that the fault affects.
        Some(0) | None if is_silent && command == Command::Pid1 => Ok(Reaction::Silent),
        Some(0) => Err("exit status 0, but another result than without the fault".to_owned()),
        None => Err("PID 1 ended without a status line".to_owned()),
        Some(_) if is_reported => Ok(Reaction::Reported),
        Some(_) if is_silent => Ok(Reaction::Silent),
        Some(status) => Err(format!(
            "exit status {status}, but no message names the errno"
        )),
    }
}

/// The reaction of `check`; or the defect.
fn judge_check(
    baseline: &RunResult,
    injection: &Injection,
    result: &RunResult,
) -> Result<Reaction, String> {
    let (call, fault) = (&injection.call, injection.fault);
    let status = exit_status(result)?;
    let is_on_stderr = names_errno(&result.stderr, fault);
    let is_named = is_on_stderr || names_errno(&result.stdout, fault);
    if call.name == "write" && call.argument <= 2 && result != baseline {
        return match status {
            1 if is_named => Ok(Reaction::Reported),
            _ => Err(format!(
                "exit status {status}, but the report is incomplete"
            )),
        };
    }
    if result
        .stdout
        .lines()
        .any(|line| line.starts_with("Bail out! "))
    {
        return match status {
            8 if is_named => Ok(Reaction::Reported),
            _ => Err(format!("exit status {status} after `Bail out!`")),
        };
    }
    let report = match KtapReport::read(&result.stdout) {
        Ok(report) => report,
        // `check` failed before the first line of its report.
        Err(_) if status == 1 && is_on_stderr && result.stdout.is_empty() => {
            return Ok(Reaction::Reported);
        }
        Err(error) => return Err(format!("exit status {status}, not a report: {error:#}")),
    };
    let expected_status = match (report.failed().count(), report.passed()) {
        (1.., _) => 1,
        (0, 0) => 4,
        (0, _) => 0,
    };
    if status != expected_status {
        return Err(format!("exit status {status}, not {expected_status}"));
    }
    let all = KtapReport::read(&baseline.stdout).map_err(|error| format!("{error:#}"))?;
    if report.cases.len() != all.cases.len() {
        return Err("a case is missing".to_owned());
    }
    if !is_on_stderr && let Some(case) = report.failed().find(|case| !has_reason(case)) {
        return Err(format!("{} fails without a reason", case.name));
    }
    if report.failed().count() > 0 {
        return Ok(match is_named {
            true => Reaction::Reported,
            false => Reaction::CaseFailed,
        });
    }
    if report.skipped().count() > 0 {
        return Ok(Reaction::CaseSkipped);
    }
    if let Some(missing) = missing_call(injection) {
        return Err(format!("all cases pass without {missing:?}"));
    }
    if result == baseline {
        return Ok(Reaction::Unchanged);
    }
    // All cases passed, and a message reports another failure.
    if is_on_stderr {
        return Ok(Reaction::Reported);
    }
    // Without uname the line about the kernel is empty.
    if call.name == "uname" {
        return Ok(Reaction::Unchanged);
    }
    Err("exit status 0, but another result than without the fault".to_owned())
}

/// The reaction of `maps` or `names`; or the defect. A row or a total that the run without the
/// fault does not have needs a message.
fn judge_memory(
    baseline: &RunResult,
    injection: &Injection,
    result: &RunResult,
) -> Result<Reaction, String> {
    let (call, fault) = (&injection.call, injection.fault);
    let status = exit_status(result)?;
    if status == 0 && memory_rows(result) == memory_rows(baseline) {
        return Ok(Reaction::Unchanged);
    }
    // The program splits its own code with madvise(2). If that fails, it takes more memory.
    let others = |result| -> Vec<&str> {
        let rows = memory_rows(result).into_iter();
        rows.filter(|row| !row.ends_with("/vm_anon_name") && !row.ends_with("TOTAL"))
            // The total of `maps`: the split adds a VMA, and nothing else.
            .map(|row| row.split_once(" VMAs, ").map_or(row, |(_, rest)| rest))
            .collect()
    };
    if call.name == "madvise" && status == 0 && others(result) == others(baseline) {
        return Ok(Reaction::Unchanged);
    }
    let is_reported = names_errno(&result.stderr, fault) || has_memory_message(result, fault);
    // An empty smaps is that of a process without memory, which `names` passes over.
    let is_empty_file = call.name == "read" && fault == Fault::Short(0);
    if status == 0 {
        // Processes that were left out are counted, and the first round of several was whole.
        return match is_reported {
            true => Ok(Reaction::Reported),
            false if is_empty_file => Ok(Reaction::Silent),
            false => Err("exit status 0, but another result than without the fault".to_owned()),
        };
    }
    let totals = |result: &RunResult| result.stdout.matches("TOTAL").count();
    if totals(result) > 0 && call.name != "write" && call.name != "close" {
        return Err(format!("exit status {status}, but a total"));
    }
    match is_reported {
        true => Ok(Reaction::Reported),
        false if is_output(Command::Memory, call) => Ok(Reaction::Silent),
        false => Err(format!("exit status {status}, but no message says why")),
    }
}

/// The rows and totals, without the names of the program and of the kernel, which are empty if they
/// cannot be read.
fn memory_rows(result: &RunResult) -> Vec<&str> {
    let is_row = |line: &&str| !line.starts_with("PID ") && !line.contains(", Linux ");
    let lines = result.stdout.lines().filter(is_row);
    lines
        .map(|line| match line.split_once(",\"pid\":") {
            Some((name, rest)) if name.starts_with("{\"comm\":") => rest,
            _ => line,
        })
        .collect()
}

/// Errnos that `maps` and `names` report by their meaning, and words of the message.
const MEMORY_MESSAGES: &[(i32, &str)] = &[
    (1, "it is another user's, or not dumpable"),
    (1, "processes cannot be read"),
    (2, "no such process, or it is hidden"),
    (2, "processes ended while they were read"),
    (2, "processes without smaps"),
    (3, "it ended while it was read"),
    (13, "it is another user's, or not dumpable"),
    (13, "processes cannot be read"),
    (25, "no memory of its own"),
];

fn has_memory_message(result: &RunResult, fault: Fault) -> bool {
    let (Fault::Errno(errno) | Fault::ErrnoForever(errno)) = fault else {
        return false;
    };
    MEMORY_MESSAGES
        .iter()
        .any(|(of, message)| *of == errno && result.stderr.contains(message))
        || result.stderr.contains("no /proc")
}

/// Whether the report gives a reason for the failure of the case, on an indented line.
fn has_reason(case: &CaseResult) -> bool {
    case.diagnostics.iter().any(|line| line.starts_with("  "))
}

/// A call that a case must make, but did not. Some calls may be missing because of the one
/// that failed. Memory that was not mapped is not unmapped. If memory was not unmapped, the
/// case reaches the limit on mappings earlier. If `check` could not create its first child,
/// the calls of that child are missing, and its parent does not wait.
fn missing_call(injection: &Injection) -> Option<&Call> {
    let failed = &injection.call;
    let is_needed = |missing: &&Call| match &*failed.name {
        "mmap" => missing.name != "munmap",
        "munmap" => missing.name != "madvise",
        // A child writes its oom_score_adj, so that the OOM killer chooses it.
        "openat" if failed.process > 0 => !matches!(&*missing.name, "write" | "close"),
        "clone" if failed.process == 0 && failed.index == 0 => {
            let waits = matches!(&*missing.name, "ppoll" | "close" | "wait4");
            missing.process != 1 && !(missing.process == 0 && waits)
        }
        _ => true,
    };
    injection.missing.iter().find(is_needed)
}

/// Whether the fault made no difference. PID 1 may print on the console instead of a pipe.
fn is_unchanged(command: Command, result: &RunResult, baseline: &RunResult) -> bool {
    let is_same_output = || result.end == baseline.end && result.output() == baseline.output();
    result == baseline || command == Command::Pid1 && is_same_output()
}

/// Fails if the transcript has a line that the run without the fault does not have, unless
/// the fault is in a call that changes the maps.
fn check_transcript(call: &Call, result: &RunResult, baseline: &RunResult) -> Result<(), String> {
    if matches!(&*call.name, "mmap" | "munmap" | "prctl") {
        return Ok(());
    }
    let lines = baseline.stdout.lines().chain(baseline.console.lines());
    let known: Vec<&str> = lines.collect();
    // A failed write may cut a line short.
    let is_cut = |line: &str| call.name == "write" && known.iter().any(|it| it.starts_with(line));
    for line in result.stdout.lines().chain(result.console.lines()) {
        // On the console a message may follow an incomplete line.
        let line = line.split("vm_anon_name: ").next().unwrap_or_default();
        if !known.contains(&line) && !is_cut(line) {
            return Err(format!("it prints {line:?}, which is not true"));
        }
    }
    Ok(())
}

fn exit_status(result: &RunResult) -> Result<u32, String> {
    match result.end {
        End::Exited(status) => Ok(status as u32),
        end => Err(format!("{end:?}")),
    }
}

/// The status that PID 1 printed before it powered off or fell asleep, if it printed one.
fn printed_status(result: &RunResult) -> Result<Option<u32>, String> {
    // `reboot` in PID 1 of a namespace has the effect of SIGINT.
    if !matches!(result.end, End::Killed(SIGINT) | End::Sleeps) {
        return Err(format!("{:?}", result.end));
    }
    let output = result.output();
    let mut statuses = output.lines().filter_map(|line| {
        let (status, _) = line.strip_prefix(STATUS_LINE)?.split_once(',')?;
        status.parse().ok()
    });
    Ok(statuses.next())
}

/// Whether the call writes output, or opens the descriptors for it.
fn is_output(command: Command, call: &Call) -> bool {
    // PID 1 opens the console first, as the lowest descriptor, and tries to write there. If
    // that fails, there may be no console.
    let lowest = u64::from(command != Command::Pid1);
    let is_write = call.name == "write" && (lowest..=2).contains(&call.argument);
    let opens_console = matches!(&*call.name, "openat" | "fcntl" | "dup" | "close");
    is_write || command == Command::Pid1 && opens_console
}

/// Whether a message reports the failure without the errno of the fault.
fn is_reported_otherwise(
    command: Command,
    call: &Call,
    fault: Fault,
    result: &RunResult,
    baseline: &RunResult,
) -> bool {
    match (command, &*call.name, fault) {
        // Both errnos mean that /proc is there already. Without it, opening its files fails.
        (Command::Pid1, "mkdirat", Fault::Errno(EEXIST))
        | (Command::Pid1, "mount", Fault::Errno(EBUSY)) => result.output().contains("ENOENT (2)"),
        // After a failed prctl the program makes the probe call to find the reason. If that
        // fails too, the message still names the errno of the first call.
        (Command::Stages, "prctl", _) => {
            let mut parts = baseline.stderr.split_inclusive("): ");
            let first = parts.next().unwrap_or_default();
            !first.is_empty() && result.stderr.starts_with(first)
        }
        (Command::Probe, call, _) => PROBE_MESSAGES.iter().any(|(calls, status, message)| {
            calls.contains(&call)
                && result.end == End::Exited(*status)
                && (result.stdout.contains(message) || baseline.stdout.is_empty())
        }),
        _ => false,
    }
}

/// The messages of `probe` after faults: the calls, the exit status, and the message. `probe`
/// prints words that scripts can compare, not errnos.
const PROBE_MESSAGES: &[(&[&str], i32, &str)] = &[
    (&["mmap", "prctl"], 1, "failed: no memory"),
    (&["prctl"], 4, "built-without: "),
    (&["prctl"], 6, "blocked: "),
    (&["openat", "read", "close"], 8, "no-proc: "),
    (&["mmap", "prctl"], 0, "shared memory: unknown"),
    (&["openat", "ioctl"], 0, "PROCMAP_QUERY: unknown"),
    // The kernel returns the same errno if it lacks the feature.
    (&["prctl"], 0, "shared memory: no,"),
    (&["mmap"], 0, "shared memory: no,"),
    (&["ioctl"], 0, "PROCMAP_QUERY: no\n"),
    (&["uname"], 0, "supported: Linux unknown names"),
];

/// Whether the text names the errno of the fault. A short count has none, so any message does.
fn names_errno(text: &str, fault: Fault) -> bool {
    match fault {
        Fault::Errno(errno) | Fault::ErrnoForever(errno) => {
            text.contains(&format!(" ({errno})")) || text.contains(&format!("errno {errno}\n"))
        }
        Fault::Short(_) | Fault::ShortForever(_) => {
            text.lines()
                .any(|line| match line.strip_prefix("vm_anon_name: ") {
                    Some(message) => !message.starts_with("status "),
                    None => line.starts_with("Bail out! "),
                })
        }
    }
}

/// Fails unless each maps file is complete, and either new or that of an earlier run.
fn check_files(
    files: &BTreeMap<String, String>,
    baseline: &BTreeMap<String, String>,
    call: &Call,
) -> Result<(), String> {
    for (name, content) in files {
        let is_maps = content.starts_with("00400000-") && content.ends_with("[stack]\n");
        let is_known = content == OLD_CONTENT || baseline.get(name) == Some(content);
        if name == PARTIAL && call.name != "unlinkat" {
            return Err(format!("{PARTIAL} is left over"));
        }
        if name != PARTIAL && !is_maps && !is_known {
            return Err(format!("{name} is incomplete: {content:?}"));
        }
    }
    if files.len() < baseline.len() {
        return Err("a file is missing".to_owned());
    }
    Ok(())
}

/// All defects, each with the first result that shows it.
fn describe(defects: &[(&Injection, &RunResult, String)]) -> String {
    let mut text = format!("{} faults with a defect\n", defects.len());
    let mut shown: Vec<(&RunResult, &String)> = Vec::new();
    for (injection, result, defect) in defects {
        text += &format!("{defect}: {:?} {:?}\n", injection.call, injection.fault);
        if shown.contains(&(result, defect)) {
            continue;
        }
        shown.push((result, defect));
        text += &format!(
            "  {:?} {:?}\n--- stdout\n{}--- stderr\n{}--- console\n{}---\n",
            result.end,
            result.files.keys(),
            result.stdout,
            result.stderr,
            result.console
        );
    }
    text
}
