//! No system call can fail unnoticed: each errno of each call, one at a time.
//!
//! A trace tells which calls a run of the program makes. Each is then made to fail
//! with each errno that the manual gives for it (`guest/errnos.txt`), on a real
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
use guest::{Answer, Campaign, End, Fault, OLD, Outcome, Output, Place, Run, Stdin, Task};
use libtest_mimic::{Arguments, Failed, Trial};
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
    let as_init = |run: Run| Run { is_init: true, ..run };
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
        trial("PID 1 with a successor", as_init(words("-yt /vm_anon_name"))),
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
    let answers = rig::guest::perform(kernel, &log, &[Task::Faults(run)])?;
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
    ensure!(classes.get(&Class::Reported).is_some_and(|count| *count > 10));
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
fn judge(campaign: &Campaign, place: &Place, fault: Fault, outcome: &Outcome) -> Result<Class, String> {
    let baseline = &campaign.baseline;
    whole(&outcome.files, &baseline.files, place)?;
    if outcome == baseline {
        return Ok(Class::Harmless);
    }
    let status = status(outcome)?;
    let is_output = place.call == "write" && place.argument <= 2;
    if is_output && status != 0 {
        return Ok(if names(&outcome.stderr, fault) { Class::Reported } else { Class::Mute });
    }
    if status == 0 {
        return Err("success, but not as it was without the fault".to_owned());
    }
    let said = [&*outcome.stderr, &outcome.console, &outcome.stdout].concat();
    if !names(&said, fault) {
        return Err("no message names the errno".to_owned());
    }
    Ok(Class::Reported)
}

/// The exit status, or that which PID 1 has told before it left.
fn status(outcome: &Outcome) -> Result<u32, String> {
    match outcome.end {
        End::Exited(status) => Ok(status as u32),
        // PID 1 says its status, then switches off: see `End::Killed`.
        End::Killed(2) | End::Sleeps => {
            let said = [&*outcome.stdout, &outcome.console].concat();
            let (_, rest) = said.rsplit_once(LAST_WORDS).ok_or("PID 1 left without last words")?;
            let digits = rest.split(',').next().unwrap_or_default();
            digits.parse().map_err(|_| format!("PID 1 left with status {digits}"))
        }
        end => Err(format!("{end:?}")),
    }
}

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
