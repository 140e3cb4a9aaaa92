//! Waits for a process, and types at its pauses.

use std::fs;
use std::io::{ErrorKind, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use guest_agent::{End, Run};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::launch::Child;

/// How long a process may go on. A run takes some hundredths of a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked at.
const TICK: Duration = Duration::from_micros(500);

/// How many looks in a row must find it asleep before it is taken to wait.
const LOOKS: u32 = 4;

/// Lets `child` go, and attends it to its end.
pub(crate) fn attend(child: &mut Child, run: &Run) -> Result<End> {
    child.go()?;
    let end = Instant::now() + PATIENCE;
    let mut pauses = 0;
    loop {
        child.collect()?;
        if let Some(end) = ended(child.pid)? {
            child.stdout.finish()?;
            child.stderr.finish()?;
            return Ok(end);
        }
        if Instant::now() > end {
            kill(child.pid, Signal::SIGKILL)?;
            waitpid(child.pid, None)?;
            return Ok(End::Hung);
        }
        if child.keyboard.is_some() && prompts(child) > pauses && is_waiting(child)? {
            if run.pause.is_none_or(|pause| pause == pauses) {
                disturb(child, &run.signals)?;
            }
            pauses += 1;
            press_enter(child)?;
        }
        sleep(TICK);
    }
}

/// How many prompts it has shown.
fn prompts(child: &Child) -> usize {
    child.stdout.text().matches("Press enter").count()
}

/// Sends `signals`, of which none but the last may end it or its pause.
fn disturb(child: &mut Child, signals: &[i32]) -> Result<()> {
    for signal in signals {
        let before = prompts(child);
        kill(child.pid, Signal::try_from(*signal)?)?;
        if *signal == libc::SIGSTOP {
            wait_for(child, 'T')?;
        } else if !wait_for(child, 'S')? {
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
        // It is gone, and its input with it: its end will tell.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Waits until the process is in `state`; false if it ends instead.
fn wait_for(child: &mut Child, state: char) -> Result<bool> {
    let mut looks = 0;
    while looks < LOOKS {
        child.collect()?;
        match self::state(child.pid)? {
            'Z' => return Ok(false),
            now if now == state => looks += 1,
            _ => looks = 0,
        }
        sleep(TICK);
    }
    Ok(true)
}

fn is_waiting(child: &mut Child) -> Result<bool> {
    wait_for(child, 'S')
}

/// The letter by which the kernel tells what a process does, see proc_pid_stat(5).
fn state(pid: Pid) -> Result<char> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let behind_name = text.rsplit_once(") ").context("no name")?.1;
    behind_name.chars().next().context("no state")
}

fn ended(pid: Pid) -> Result<Option<End>> {
    Ok(match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => None,
        Ok(status) => end_of(&status).map(|(_, end)| end),
        Err(errno) => return Err(errno).context("waitpid"),
    })
}

/// Which process ended, and how; nothing if none did.
pub(crate) fn end_of(status: &WaitStatus) -> Option<(Pid, End)> {
    match status {
        WaitStatus::Exited(pid, status) => Some((*pid, End::Exited(*status))),
        WaitStatus::Signaled(pid, signal, _) => Some((*pid, End::Killed(*signal as i32))),
        _ => None,
    }
}
