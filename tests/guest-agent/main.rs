//! The rig's agent: `/init` of a guest, which runs the program under prepared conditions.
//!
//! ```text
//! campaign    injects each fault into each system call of a run
//! tracer      makes one system call of a process fail, with ptrace
//! supervise   waits for a process, and writes to its standard input at its pauses
//! launch      starts a process under the conditions of a run
//! sandbox     prepares the root file system of the program
//! watched     the process that `maps` and `names` read
//! with        a tool for shells: executes a program under unusual conditions
//! target      a tool for shells: a process whose maps other processes read
//! ```
//!
//! A module calls those below it; `sandbox` and `with` also call `launch`. The agent has one
//! thread. If a task fails, the answer is the error.

mod campaign;
mod launch;
mod sandbox;
mod supervise;
mod target;
mod tracer;
mod watched;
mod with;

use std::convert::Infallible;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::{env, fs, process};

use anyhow::{Context, Result};
use guest_agent::{ANSWER_PREFIX, Answer, Run, RunResult, TASKS, Task};
use nix::sys::reboot::{RebootMode, reboot};

use crate::sandbox::Sandbox;

fn main() {
    let words: Vec<String> = env::args().collect();
    if let Some((name, words)) = words.split_first()
        && let Some((tool, run)) = TOOLS.iter().find(|(tool, _)| is_called(name, tool))
    {
        let Err(error) = run(words);
        eprintln!("{tool}: {error:#}");
        process::exit(125);
    }
    if let Err(error) = perform_all() {
        // Without a console there is no way to report.
        let _ = print(&Answer::AgentFailed(format!("{error:#}")));
    }
    let _ = reboot(RebootMode::RB_POWER_OFF);
}

/// A tool, which never returns except with an error.
type Tool = fn(&[String]) -> Result<Infallible>;

/// The tools, by the names of the executable.
const TOOLS: [(&str, Tool); 2] = [(with::NAME, with::run), (target::NAME, target::run)];

/// Whether the first word of a command line calls this tool.
fn is_called(program: &str, tool: &str) -> bool {
    Path::new(program).file_name() == Some(OsStr::new(tool))
}

fn perform_all() -> Result<()> {
    sandbox::prepare()?;
    let tasks = fs::read_to_string(TASKS).context(TASKS)?;
    for line in tasks.lines() {
        let task = serde_json::from_str(line)?;
        let answer = perform(&task);
        print(&answer.unwrap_or_else(|error| Answer::AgentFailed(format!("{error:#}"))))?;
    }
    Ok(())
}

fn perform(task: &Task) -> Result<Answer> {
    Ok(match task {
        Task::Run(run) => Answer::Run(run_once(run)?),
        Task::Repeat(run, times) => Answer::Repeat(repeat(run, *times)?),
        Task::InjectFaults(run) => Answer::InjectFaults(campaign::inject_faults(run)?),
    })
}

fn run_once(run: &Run) -> Result<RunResult> {
    let sandbox = Sandbox::new(run)?;
    let mut child = launch::launch(run, false)?;
    let end = supervise::supervise(&mut child, run)?;
    sandbox.result(run, end, child)
}

fn repeat(run: &Run, times: u32) -> Result<Vec<(RunResult, u32)>> {
    let mut results: Vec<(RunResult, u32)> = Vec::new();
    for _ in 0..times {
        let result = run_once(run)?;
        match results.iter_mut().find(|(known, _)| *known == result) {
            Some((_, count)) => *count += 1,
            None => results.push((result, 1)),
        }
    }
    Ok(results)
}

fn print(answer: &Answer) -> Result<()> {
    let mut out = io::stdout().lock();
    // The kernel may have printed an incomplete line, so the answer starts a new one.
    writeln!(out, "\n{ANSWER_PREFIX}{}", serde_json::to_string(answer)?)?;
    Ok(())
}
