//! The rig's helper: `/init` of a guest in which the program is put to the test.
//!
//! ```text
//! faults     which faults each call of a run can meet, and what became of them
//! tracer     lets one call of a process fail, with ptrace
//! watch      waits for a process, and types at its pauses
//! launch     a process with everything around it as a run wants it
//! stage      the file system around the program
//! with       a tool for shells: executes a program under unusual conditions
//! ```
//!
//! Calls go down this list only. The helper has one thread, and everything in it
//! that fails is an answer the rig gets to read.

mod faults;
mod launch;
mod stage;
mod tracer;
mod watch;
mod with;

use std::io::{self, Write};
use std::{env, fs, process};

use anyhow::{Context, Result};
use guest_agent::{Answer, MARK, Outcome, Run, TASKS, Task};
use nix::sys::reboot::{RebootMode, reboot};

use crate::stage::Stage;

fn main() {
    let words: Vec<String> = env::args().collect();
    if let Some((name, words)) = words.split_first()
        && with::is_called(name)
    {
        let Err(error) = with::run(words);
        eprintln!("{}: {error:#}", with::NAME);
        process::exit(125);
    }
    if let Err(error) = perform_all() {
        // Without a console there is nobody to tell.
        let _ = say(&Answer::Trouble(format!("{error:#}")));
    }
    let _ = reboot(RebootMode::RB_POWER_OFF);
}

fn perform_all() -> Result<()> {
    stage::prepare()?;
    let tasks = fs::read_to_string(TASKS).context(TASKS)?;
    for line in tasks.lines() {
        let task = serde_json::from_str(line)?;
        let answer = perform(&task);
        say(&answer.unwrap_or_else(|error| Answer::Trouble(format!("{error:#}"))))?;
    }
    Ok(())
}

fn perform(task: &Task) -> Result<Answer> {
    Ok(match task {
        Task::Once(run) => Answer::Once(start(run)?),
        Task::Often(run, times) => Answer::Often(start_often(run, *times)?),
        Task::Faults(run) => Answer::Faults(faults::campaign(run)?),
    })
}

/// Starts the program once, and waits for its end.
fn start(run: &Run) -> Result<Outcome> {
    let stage = Stage::set(run)?;
    let mut child = launch::launch(run, false)?;
    let end = watch::attend(&mut child, run)?;
    stage.outcome(run, end, child)
}

fn start_often(run: &Run, times: u32) -> Result<Vec<(Outcome, u32)>> {
    let mut outcomes: Vec<(Outcome, u32)> = Vec::new();
    for _ in 0..times {
        let outcome = start(run)?;
        match outcomes.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, count)) => *count += 1,
            None => outcomes.push((outcome, 1)),
        }
    }
    Ok(outcomes)
}

fn say(answer: &Answer) -> Result<()> {
    let mut out = io::stdout().lock();
    // A line of its own, whatever has been printed last.
    writeln!(out, "\n{MARK}{}", serde_json::to_string(answer)?)?;
    Ok(())
}
