//! No system call can fail unnoticed: each errno of each call, one at a time.
//!
//! A trace tells which calls a run of the program makes. Each is then made to fail
//! with each errno that the manual gives for it (`guest-agent/errnos.txt`), on a real
//! kernel, and the outcome must be one of three:
//!
//! - harmless: status, output and files are what they are without the fault;
//! - reported: a message names the errno, and the exit status is that of a failure;
//! - mute: it is standard error that failed, or standard output behind which
//!   nothing can be said; the exit status tells.
//!
//! The suite reports beside the errno also by its verdict: the case has failed, and
//! why, or is skipped. Such faults are counted by themselves.
//!
//! Everything else is a defect: an end by a signal, a hang, an exit status of 0 with
//! other output, a maps file under its name that is not whole, a case that passes
//! without all of its calls.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use guest_agent::{Answer, End, Fault, Injection, OLD, Outcome, Output, Place, Run, Stdin, Task};
use libtest_mimic::{Arguments, Failed, Trial};
use rig::kernels;
use vm_anon_name::errno;

/// What the last line of PID 1 begins with.
const LAST_WORDS: &str = "vm_anon_name: status ";

/// The name of a file that is not whole yet.
const PARTIAL: &str = ".vm_anon_name.partial";

fn main() {
    let arguments = Arguments::from_args();
    let conclusion = libtest_mimic::run(&arguments, trials());
    let total = TOTAL.lock().unwrap_or_else(PoisonError::into_inner);
    eprintln!("all: {} faults, {total:?}", total.values().sum::<usize>());
    conclusion.exit();
}

/// How many faults were met in each way.
type Tally = BTreeMap<Class, usize>;

/// The tally of all trials.
static TOTAL: Mutex<Tally> = Mutex::new(Tally::new());

fn trials() -> Vec<Trial> {
    let as_init = |run: Run| Run {
        is_init: true,
        ..run
    };
    let without_console = Run {
        stdin: Stdin::Closed,
        stdout: Output::Closed,
        stderr: Output::Closed,
        ..words("-y")
    };
    vec![
        trial("stages without pauses", Subject::Stages, words("-y")),
        trial("stages with pauses", Subject::Stages, words("")),
        trial("the bare transcript", Subject::Stages, words("-q")),
        trial("shared memory", Subject::Stages, words("-yS")),
        trial("maps files", Subject::Stages, words("-yo /out")),
        trial("a name that is refused", Subject::Stages, words("-yn $")),
        trial(
            "words that are refused",
            Subject::Stages,
            words("--nonsense"),
        ),
        trial("probe", Subject::Probe, words("probe")),
        trial("probe by its status", Subject::Probe, words("probe -q")),
        // A case or two of each kind.
        check(
            "check, names",
            "naming-nothing-succeeds name-is-shown no-privilege-is-needed",
        ),
        check(
            "check, files",
            "memfd-can-be-named tmpfs-file-cannot-be-named",
        ),
        check("check, a query", "procmap-query-shows-the-name"),
        check("check, a crowd", "limit-on-mappings-is-eagain"),
        check(
            "check, processes",
            "fork-copies-the-names child-that-shares-memory-names-for-its-parent",
        ),
        check("check, exec", "exec-takes-all-names-away"),
        trial("PID 1", Subject::Init, as_init(words("-y"))),
        trial(
            "PID 1 without a console",
            Subject::Init,
            as_init(without_console),
        ),
        trial(
            "PID 1 with a successor",
            Subject::Init,
            as_init(words("version -t /dev/null")),
        ),
    ]
}

/// What makes the calls; each has its own ways to tell of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Stages,
    Probe,
    Check,
    Init,
}

fn words(words: &str) -> Run {
    Run {
        args: words.split_whitespace().map(str::to_owned).collect(),
        ..Run::default()
    }
}

fn check(name: &'static str, cases: &str) -> Trial {
    trial(name, Subject::Check, words(&format!("check {cases}")))
}

fn trial(name: &'static str, subject: Subject, run: Run) -> Trial {
    Trial::test(name, move || {
        inject(name, subject, run).map_err(|error| Failed::from(format!("{error:#}")))
    })
}

/// Boots a guest, injects every fault, and judges every outcome.
fn inject(name: &str, subject: Subject, run: Run) -> Result<()> {
    let kernel = kernels::find(kernels::DEFAULT)?;
    let log = format!("faults-{}", name.replace(' ', "-"));
    let answers = rig::guest_agent::perform(kernel, &log, &[Task::Faults(run)])?;
    let [Answer::Faults(campaign)] = answers.as_slice() else {
        bail!("no campaign but {answers:?}");
    };
    ensure!(
        campaign.missed.is_empty(),
        "calls that were not made again: {:?}",
        campaign.missed
    );
    let mut classes = Tally::new();
    let mut unexplained = Vec::new();
    for injection in &campaign.injections {
        let outcome = campaign.outcomes.get(injection.outcome);
        let outcome = outcome.context("no such outcome")?;
        let (place, fault) = (&injection.place, injection.fault);
        let judged = match subject {
            Subject::Check => judge_check(&campaign.baseline, injection, outcome),
            _ => judge(subject, &campaign.baseline, place, fault, outcome),
        };
        match judged {
            Ok(class) => *classes.entry(class).or_default() += 1,
            Err(reason) => unexplained.push((place, fault, outcome, reason)),
        }
    }
    eprintln!(
        "{name}: {} calls, {} faults, {classes:?}",
        campaign.calls.len(),
        campaign.injections.len()
    );
    let mut total = TOTAL.lock().unwrap_or_else(PoisonError::into_inner);
    for (class, count) in &classes {
        *total.entry(*class).or_default() += count;
    }
    drop(total);
    ensure!(unexplained.is_empty(), "{}", complaint(&unexplained));
    // A campaign that injects nothing, or nothing that hurts, shows nothing.
    let hurt: usize = classes
        .iter()
        .filter(|(class, _)| **class != Class::Harmless)
        .map(|(_, count)| count)
        .sum();
    ensure!(hurt > 10, "only {hurt} faults made a difference");
    Ok(())
}

/// How a fault was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Harmless,
    Reported,
    /// By the verdict on a case, and words about it, without the errno.
    Failed,
    /// By the verdict that a case could not be run.
    Skipped,
    Mute,
}

/// How `fault` was met; or why that must not be.
fn judge(
    subject: Subject,
    baseline: &Outcome,
    place: &Place,
    fault: Fault,
    outcome: &Outcome,
) -> Result<Class, String> {
    whole(&outcome.files, &baseline.files, place)?;
    if is_same(subject, outcome, baseline) {
        return Ok(Class::Harmless);
    }
    if subject == Subject::Stages || subject == Subject::Init {
        nothing_untrue(place, outcome, baseline)?;
    }
    let status = match subject {
        Subject::Init => told_status(outcome)?,
        _ => Some(exit_status(outcome)?),
    };
    let names_it = names(&said(outcome), fault);
    let is_told = names_it || is_told_otherwise(subject, place, fault, outcome, baseline);
    let is_voiceless = has_no_voice(subject, place);
    // PID 1 sets up what a command may do without, and ends when all is said.
    let is_apart = match subject {
        Subject::Init => matches!(&*place.call, "mkdirat" | "mount" | "reboot" | "execve"),
        Subject::Probe => true,
        Subject::Check | Subject::Stages => false,
    };
    match status {
        Some(0) if is_told && is_apart => Ok(Class::Reported),
        // PID 1 has no status but what it says, and this was what it could not say.
        Some(0) | None if is_voiceless && subject == Subject::Init => Ok(Class::Mute),
        Some(0) => Err("success, but not as it was without the fault".to_owned()),
        None => Err("PID 1 left without last words".to_owned()),
        Some(_) if is_told => Ok(Class::Reported),
        Some(_) if is_voiceless => Ok(Class::Mute),
        Some(status) => Err(format!("status {status}, and no message names the errno")),
    }
}

/// How `check` met a fault; or why that must not be.
fn judge_check(
    baseline: &Outcome,
    injection: &Injection,
    outcome: &Outcome,
) -> Result<Class, String> {
    let Injection { place, fault, .. } = injection;
    let status = exit_status(outcome)?;
    let report = Report::read(&outcome.stdout);
    let complains = names(&outcome.stderr, *fault);
    let names_it = complains || names(&outcome.stdout, *fault) || sees(&outcome.stdout, *fault);
    if place.call == "write" && place.argument <= 2 && outcome != baseline {
        return match status {
            1 if names_it => Ok(Class::Reported),
            status => Err(format!("status {status}, and the report is cut")),
        };
    }
    if !report.is_whole() {
        // There is none, where there is no memory for the suite.
        return match status {
            1 if complains && outcome.stdout.is_empty() => Ok(Class::Reported),
            status => Err(format!("status {status}, and the report is not whole")),
        };
    }
    if status != report.status() {
        return Err(format!("status {status}, but {:?}", report.verdicts));
    }
    let passes = |name: &&str| report.verdicts.get(*name) == Some(&Verdict::Passed);
    let all = Report::read(&baseline.stdout);
    let passed = all.verdicts.keys().filter(|name| passes(name)).count();
    match report.verdicts.values().max() {
        _ if report.verdicts.len() != all.verdicts.len() => Err("a case is missing".to_owned()),
        Some(Verdict::FailedWithoutAWord) if !complains => {
            Err("a case fails without a word".to_owned())
        }
        Some(Verdict::Failed | Verdict::FailedWithoutAWord) if names_it => Ok(Class::Reported),
        Some(Verdict::Failed | Verdict::FailedWithoutAWord) => Ok(Class::Failed),
        Some(Verdict::Skipped) => Ok(Class::Skipped),
        _ if is_less(injection) => Err(format!(
            "all {passed} cases pass, without {:?}",
            injection.left_out
        )),
        _ if outcome == baseline => Ok(Class::Harmless),
        // All have passed, and there is a complaint about something beside them.
        _ if complains => Ok(Class::Reported),
        // The line about the kernel is blank where nothing is known.
        _ if place.call == "uname" => Ok(Class::Harmless),
        _ => Err("success, but not as it was without the fault".to_owned()),
    }
}

/// Whether less has been done than without the fault. What could not be mapped need
/// not be unmapped; with what could not be unmapped, the limit is reached earlier; and the
/// child in which the first call is rehearsed need not be had.
fn is_less(injection: &Injection) -> bool {
    let is_needed = |left_out: &&Place| match &*injection.place.call {
        "mmap" => left_out.call != "munmap",
        "munmap" => left_out.call != "madvise",
        "clone" if injection.place.process == 0 && injection.place.before == 0 => {
            let waits = matches!(&*left_out.call, "ppoll" | "close" | "wait4");
            left_out.process != 1 && !(left_out.process == 0 && waits)
        }
        _ => true,
    };
    injection.left_out.iter().find(is_needed).is_some()
}

/// What a report of `check` comes to.
#[derive(Default)]
struct Report<'a> {
    planned: usize,
    verdicts: BTreeMap<&'a str, Verdict>,
    totals: String,
}

/// The verdict on a case, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Passed,
    Skipped,
    Failed,
    FailedWithoutAWord,
}

impl<'a> Report<'a> {
    fn read(text: &'a str) -> Self {
        let mut report = Report::default();
        let mut words = 0;
        for line in text.lines() {
            if let Some(planned) = line.strip_prefix("1..") {
                report.planned = planned.parse().unwrap_or_default();
            } else if line.starts_with("#   ") {
                words += 1;
            } else if line.starts_with("# Totals: ") {
                report.totals = line.to_owned();
            }
            let failed = line.strip_prefix("not ok ");
            let Some(result) = failed.or(line.strip_prefix("ok ")) else {
                continue;
            };
            let name = result.split(' ').nth(1).unwrap_or_default();
            let verdict = match failed {
                Some(_) if words == 0 => Verdict::FailedWithoutAWord,
                Some(_) => Verdict::Failed,
                None if result.contains(" # SKIP ") => Verdict::Skipped,
                None => Verdict::Passed,
            };
            report.verdicts.insert(name, verdict);
            words = 0;
        }
        report
    }

    fn count(&self, wanted: Verdict) -> usize {
        let verdicts = self.verdicts.values();
        verdicts.filter(|verdict| **verdict == wanted).count()
    }

    /// Whether each case has its line, and the last line tells how many there are.
    fn is_whole(&self) -> bool {
        let [passed, skipped, failed, silent] = [
            Verdict::Passed,
            Verdict::Skipped,
            Verdict::Failed,
            Verdict::FailedWithoutAWord,
        ]
        .map(|verdict| self.count(verdict));
        let failed = failed + silent;
        let totals =
            format!("# Totals: pass:{passed} fail:{failed} xfail:0 xpass:0 skip:{skipped} error:0");
        self.verdicts.len() == self.planned && self.totals == totals
    }

    /// The exit status that belongs to it.
    fn status(&self) -> u32 {
        let failed = self.verdicts.values().max() > Some(&Verdict::Skipped);
        match failed {
            true => 1,
            false if self.count(Verdict::Passed) == 0 => 4,
            false => 0,
        }
    }
}

/// Whether nothing has changed. A console in place of a pipe is no change to PID 1.
fn is_same(subject: Subject, outcome: &Outcome, baseline: &Outcome) -> bool {
    let said_the_same = || outcome.end == baseline.end && said(outcome) == said(baseline);
    outcome == baseline || subject == Subject::Init && said_the_same()
}

/// Fails if the transcript has a line that it would not have without the fault,
/// unless the fault is in a call that changes the maps.
fn nothing_untrue(place: &Place, outcome: &Outcome, baseline: &Outcome) -> Result<(), String> {
    if matches!(&*place.call, "mmap" | "munmap" | "prctl") {
        return Ok(());
    }
    let known: Vec<&str> = baseline
        .stdout
        .lines()
        .chain(baseline.console.lines())
        .collect();
    // A line that could not be written to its end is no untruth.
    let is_cut = |line: &str| place.call == "write" && known.iter().any(|it| it.starts_with(line));
    for line in outcome.stdout.lines().chain(outcome.console.lines()) {
        // Complaints begin anywhere, when both go to the same console.
        let line = line.split("vm_anon_name: ").next().unwrap_or_default();
        if !known.contains(&line) && !is_cut(line) {
            return Err(format!("it says {line:?}, which is not so"));
        }
    }
    Ok(())
}

/// `SIGINT` is what the first process of a namespace ends by when it powers off.
const SIGINT: i32 = 2;

/// Everything that was written.
fn said(outcome: &Outcome) -> String {
    [&*outcome.stderr, &outcome.stdout, &outcome.console].concat()
}

fn exit_status(outcome: &Outcome) -> Result<u32, String> {
    match outcome.end {
        End::Exited(status) => Ok(status as u32),
        end => Err(format!("{end:?}")),
    }
}

/// The status that PID 1 has told before it left, if it could.
fn told_status(outcome: &Outcome) -> Result<Option<u32>, String> {
    if !matches!(outcome.end, End::Killed(SIGINT) | End::Sleeps) {
        return Err(format!("{:?}", outcome.end));
    }
    let said = said(outcome);
    let mut told = said.lines().filter_map(|line| {
        let (status, _) = line.strip_prefix(LAST_WORDS)?.split_once(',')?;
        status.parse().ok()
    });
    Ok(told.next())
}

/// Whether the fault is in what the program speaks with.
fn has_no_voice(subject: Subject, place: &Place) -> bool {
    let is_output = place.call == "write" && (1..=2).contains(&place.argument);
    // PID 1 opens a console first of all, and then there may be none.
    let opens_console = matches!(&*place.call, "openat" | "fcntl" | "dup" | "close");
    is_output || subject == Subject::Init && opens_console
}

/// Whether it is told in other words than by the errno of the fault.
fn is_told_otherwise(
    subject: Subject,
    place: &Place,
    fault: Fault,
    outcome: &Outcome,
    baseline: &Outcome,
) -> bool {
    let failed_before = baseline
        .stderr
        .split_inclusive("): ")
        .next()
        .unwrap_or_default();
    match (subject, &*place.call, fault) {
        // Both mean that it is there already, which later turns out untrue.
        (Subject::Init, "mkdirat", Fault::Errno(EEXIST))
        | (Subject::Init, "mount", Fault::Errno(EBUSY)) => said(outcome).contains("ENOENT (2)"),
        // The call that finds out why another failed: that other one is told of.
        (Subject::Stages, "prctl", _) => {
            !failed_before.is_empty() && outcome.stderr.starts_with(failed_before)
        }
        (Subject::Probe, call, _) => PROBE_WORDS.iter().any(|(calls, status, words)| {
            calls.contains(&call)
                && outcome.end == End::Exited(*status)
                && (outcome.stdout.contains(words) || baseline.stdout.is_empty())
        }),
        _ => false,
    }
}

/// What may follow from faults in some calls, the words and the status of it.
type Consequence = (&'static [&'static str], i32, &'static str);

/// What `probe` says of faults. A name for each errno would be of no use to scripts.
const PROBE_WORDS: &[Consequence] = &[
    (&["mmap", "prctl"], 1, "failed: no memory"),
    (&["prctl"], 4, "built-without: "),
    (&["prctl"], 6, "blocked: "),
    (&["openat", "read", "close"], 8, "no-proc: "),
    (&["mmap", "prctl"], 0, "shared memory: unknown"),
    (&["openat", "ioctl"], 0, "PROCMAP_QUERY: unknown"),
    // What the kernel answers where it cannot do it.
    (&["prctl"], 0, "shared memory: no,"),
    // So would EBADF from mapping it, which anonymous memory never fails with.
    (&["mmap"], 0, "shared memory: no,"),
    (&["ioctl"], 0, "PROCMAP_QUERY: no\n"),
    // The release is left out where it is not known.
    (&["uname"], 0, "supported: Linux  names"),
];

const EBUSY: i32 = 16;
const EEXIST: i32 = 17;

/// Whether the text names the errno of the fault. A count has none: any message does.
fn names(text: &str, fault: Fault) -> bool {
    match fault {
        Fault::Errno(errno) | Fault::Forever(errno) => {
            text.contains(&format!(" ({errno})")) || text.contains(&format!("errno {errno}\n"))
        }
        Fault::Count(_) | Fault::CountForever(_) => !text.is_empty(),
    }
}

/// Whether a report of `check` says that a call ended with the errno of the fault.
fn sees(report: &str, fault: Fault) -> bool {
    let (Fault::Errno(errno) | Fault::Forever(errno)) = fault else {
        return false;
    };
    let name = errno::name(errno).text();
    name.starts_with('E') && report.contains(&format!("seen {name} ({errno})\n"))
}

/// Fails unless each maps file is whole: the new one, or the one of an earlier run.
fn whole(
    files: &BTreeMap<String, String>,
    baseline: &BTreeMap<String, String>,
    place: &Place,
) -> Result<(), String> {
    for (name, content) in files {
        let is_whole = content == OLD || is_maps(content) || baseline.get(name) == Some(content);
        if name == PARTIAL && place.call != "unlinkat" {
            return Err(format!("{PARTIAL} is left behind"));
        }
        if name != PARTIAL && !is_whole {
            return Err(format!("{name} is not whole: {content:?}"));
        }
    }
    if files.len() < baseline.len() {
        return Err("a file is gone".to_owned());
    }
    Ok(())
}

/// Whether the text is a maps file from its first line to its last.
fn is_maps(text: &str) -> bool {
    text.starts_with("00400000-") && text.ends_with("[stack]\n")
}

/// Each defect, with the first faults that brought it to light.
fn complaint(unexplained: &[(&Place, Fault, &Outcome, String)]) -> String {
    let mut text = format!("{} faults are unexplained\n", unexplained.len());
    let mut shown: Vec<(&Outcome, &String)> = Vec::new();
    for (place, fault, outcome, reason) in unexplained {
        text.push_str(&format!("{reason}: {place:?} {fault:?}\n"));
        if !shown.contains(&(outcome, reason)) {
            shown.push((outcome, reason));
            text.push_str(&format!(
                "  {:?} {:?}\n--- stdout\n{}--- stderr\n{}--- console\n{}---\n",
                outcome.end,
                outcome.files.keys(),
                outcome.stdout,
                outcome.stderr,
                outcome.console
            ));
        }
    }
    text
}
