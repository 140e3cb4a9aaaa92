//! No system call can fail unnoticed: each errno of each call, one at a time.
//!
//! A trace tells which calls a run of the program makes. Each is then made to fail
//! with each errno that the manual gives for it (`ordeal/errnos.txt`), on a real
//! kernel, and the outcome must be one of three:
//!
//! - harmless: status, output and files are what they are without the fault;
//! - reported: a message names the errno, and the exit status is that of a failure;
//! - mute: it is standard error that failed, or standard output behind which
//!   nothing can be said; the exit status tells.
//!
//! Everything else is a defect: an end by a signal, a hang, an exit status of 0 with
//! other output, a maps file under its name that is not whole.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use ordeal::{Answer, Campaign, End, Fault, OLD, Outcome, Output, Place, Run, Stdin, Task};
use rig::kernels;

/// What the last line of PID 1 begins with.
const LAST_WORDS: &str = "vm_anon_name: status ";

/// The name of a file that is not whole yet.
const PARTIAL: &str = ".vm_anon_name.partial";

fn main() {
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, trials()).exit();
}

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
        trial("stages without pauses", words("-y")),
        trial("stages with pauses", words("")),
        trial("the bare transcript", words("-q")),
        trial("shared memory", words("-yS")),
        trial("maps files", words("-yo /out")),
        trial("maps files alone", words("-qyo /out")),
        trial("a name that is refused", words("-yn $")),
        trial("words that are refused", words("--nonsense")),
        trial("probe", words("probe")),
        trial("probe by its status", words("probe -q")),
        trial("check", words("check naming-nothing-succeeds")),
        trial("PID 1", as_init(words("-y"))),
        trial("PID 1 without a console", as_init(without_console)),
        trial(
            "PID 1 with a successor",
            as_init(words("-yt /vm_anon_name")),
        ),
    ]
}

fn words(words: &str) -> Run {
    Run {
        args: words.split_whitespace().map(str::to_owned).collect(),
        ..Run::default()
    }
}

fn trial(name: &'static str, run: Run) -> Trial {
    Trial::test(name, move || {
        inject(name, run).map_err(|error| Failed::from(format!("{error:#}")))
    })
}

/// Boots a guest, injects every fault, and judges every outcome.
fn inject(name: &str, run: Run) -> Result<()> {
    let kernel = kernels::find(kernels::DEFAULT)?;
    let log = format!("faults-{}", name.replace(' ', "-"));
    let answers = rig::ordeal::perform(kernel, &log, &[Task::Faults(run)])?;
    let [Answer::Faults(campaign)] = answers.as_slice() else {
        bail!("no campaign but {answers:?}");
    };
    ensure!(
        campaign.missed.is_empty(),
        "calls that were not made again: {:?}",
        campaign.missed
    );
    let mut classes: BTreeMap<Class, usize> = BTreeMap::new();
    let mut unexplained = Vec::new();
    for (place, fault, number) in &campaign.injections {
        let outcome = campaign.outcomes.get(*number).context("no such outcome")?;
        match judge(campaign, place, *fault, outcome) {
            Ok(class) => *classes.entry(class).or_default() += 1,
            Err(reason) => unexplained.push((place, fault, outcome, reason)),
        }
    }
    eprintln!(
        "{name}: {} calls, {} faults, {classes:?}",
        campaign.calls.len(),
        campaign.injections.len()
    );
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
    Mute,
}

/// How `fault` was met; or why that must not be.
fn judge(
    campaign: &Campaign,
    place: &Place,
    fault: Fault,
    outcome: &Outcome,
) -> Result<Class, String> {
    let baseline = &campaign.baseline;
    whole(&outcome.files, &baseline.files, place)?;
    let is_init = matches!(outcome.end, End::Killed(SIGINT) | End::Sleeps);
    if outcome == baseline || is_init && said(outcome) == said(baseline) {
        return Ok(Class::Harmless);
    }
    let status = if is_init {
        told_status(outcome)
    } else {
        exit_status(outcome.end)?
    };
    let is_told =
        names(&said(outcome), fault) || is_told_otherwise(place, fault, outcome, baseline);
    // Its own end is what PID 1 attempts when all is said.
    let is_end = is_init && matches!(&*place.call, "reboot" | "execve");
    match status {
        Some(0) if !is_end => Err("success, but not as it was without the fault".to_owned()),
        Some(_) if is_told => Ok(Class::Reported),
        None if is_told && has_no_voice(place, is_init) => Ok(Class::Reported),
        _ if has_no_voice(place, is_init) => Ok(Class::Mute),
        Some(status) => Err(format!("status {status}, and no message names the errno")),
        None => Err("PID 1 left without last words".to_owned()),
    }
}

/// `SIGINT` is what the first process of a namespace ends by when it powers off.
const SIGINT: i32 = 2;

/// Everything that was written.
fn said(outcome: &Outcome) -> String {
    [&*outcome.stderr, &outcome.stdout, &outcome.console].concat()
}

fn exit_status(end: End) -> Result<Option<u32>, String> {
    match end {
        End::Exited(status) => Ok(Some(status as u32)),
        end => Err(format!("{end:?}")),
    }
}

/// The worst status that PID 1, and whoever it made PID 1, has told before it left.
fn told_status(outcome: &Outcome) -> Option<u32> {
    let said = said(outcome);
    let told = said.lines().filter_map(|line| {
        let (status, _) = line.strip_prefix(LAST_WORDS)?.split_once(',')?;
        status.parse().ok()
    });
    told.max()
}

/// Whether the fault is in what the program speaks with.
fn has_no_voice(place: &Place, is_init: bool) -> bool {
    let is_output = place.call == "write" && (1..=2).contains(&place.argument);
    // PID 1 opens a console first of all, and then there may be none.
    let opens_console = matches!(&*place.call, "openat" | "fcntl" | "dup3" | "close");
    is_output || is_init && opens_console
}

/// Whether a message tells of the fault by another errno than its own.
fn is_told_otherwise(place: &Place, fault: Fault, outcome: &Outcome, baseline: &Outcome) -> bool {
    let failed_before = baseline
        .stderr
        .split_inclusive("): ")
        .next()
        .unwrap_or_default();
    match (&*place.call, fault) {
        // Both mean that it is there already, which later turns out untrue.
        ("mkdirat", Fault::Errno(EEXIST)) | ("mount", Fault::Errno(EBUSY)) => {
            !outcome.stderr.is_empty()
        }
        // The call that finds out why another failed: that other one is told of.
        ("prctl", _) => !failed_before.is_empty() && outcome.stderr.starts_with(failed_before),
        _ => false,
    }
}

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
fn complaint(unexplained: &[(&Place, &Fault, &Outcome, String)]) -> String {
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
