//! The supervisor of an untraced run: it sends signals and newlines at the pauses.

use std::fs;
use std::io::{ErrorKind, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use guest_agent::{End, PROMPT, Run};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::launch::Child;

/// Time limit for a run, which normally takes some hundredths of a second.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The time between two polls of the process.
const INTERVAL: Duration = Duration::from_micros(500);

/// The number of polls in a row that must find the process in a state. The process may be
/// asleep for a moment without waiting for input.
const LOOKS: u32 = 4;

/// Lets `child` execute the program, and waits for its end.
pub(crate) fn supervise(child: &mut Child, run: &Run) -> Result<End> {
    child.execute()?;
    let deadline = Instant::now() + TIMEOUT;
    let mut pauses = 0;
    loop {
        child.collect()?;
        if let Some(end) = poll_end(child.pid)? {
            child.collect_rest()?;
            return Ok(end);
        }
        if Instant::now() > deadline {
            kill(child.pid, Signal::SIGKILL)?;
            waitpid(child.pid, None)?;
            return Ok(End::TimedOut);
        }
        if child.keyboard.is_some() && prompts(child) > pauses && wait_for_state(child, 'S')? {
            if run.signal_pause.is_none_or(|pause| pause == pauses) {
                send_signals(child, &run.signals)?;
            }
            pauses += 1;
            press_enter(child)?;
        }
        sleep(INTERVAL);
    }
}

/// The number of prompts that the program has printed.
fn prompts(child: &Child) -> usize {
    child.stdout.text().matches(PROMPT).count()
}

/// Sends `signals` at a pause, until one ends the program. Fails if a signal ends the pause but
/// not the program.
fn send_signals(child: &mut Child, signals: &[i32]) -> Result<()> {
    for signal in signals {
        let before = prompts(child);
        kill(child.pid, Signal::try_from(*signal)?)?;
        let state = match *signal {
            libc::SIGSTOP => 'T',
            _ => 'S',
        };
        if !wait_for_state(child, state)? {
            return Ok(());
        }
        if prompts(child) != before {
            bail!("signal {signal} ended a pause");
        }
    }
    Ok(())
}

fn press_enter(child: &mut Child) -> Result<()> {
    let keyboard = child.keyboard.as_mut().context("no keyboard")?;
    match keyboard.write_all(b"\n") {
        // The process has ended. The next poll will report that.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Waits until the process is in `state`. Returns false if it ends instead.
fn wait_for_state(child: &mut Child, state: char) -> Result<bool> {
    let mut looks = 0;
    while looks < LOOKS {
        child.collect()?;
        match process_state(child.pid)? {
            'Z' => return Ok(false),
            now if now == state => looks += 1,
            _ => looks = 0,
        }
        sleep(INTERVAL);
    }
    Ok(true)
}

/// The state of a process as a letter, see proc_pid_stat(5).
fn process_state(pid: Pid) -> Result<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, after_name) = stat.rsplit_once(") ").context("no name")?;
    after_name.chars().next().context("no state")
}

/// How the process ended, if it has.
fn poll_end(pid: Pid) -> Result<Option<End>> {
    Ok(match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => None,
        Ok(status) => end_of(&status).map(|(_, end)| end),
        Err(errno) => return Err(errno).context("waitpid"),
    })
}

/// The process that ended, and how; `None` for a change of state that is not an end.
pub(crate) fn end_of(status: &WaitStatus) -> Option<(Pid, End)> {
    match status {
        WaitStatus::Exited(pid, status) => Some((*pid, End::Exited(*status))),
        WaitStatus::Signaled(pid, signal, _) => Some((*pid, End::Killed(*signal as i32))),
        _ => None,
    }
}
