//! `check` as PID 1 on boards other than those of the targets: all of it is on the console, the
//! results are those of the kernel, and the machine ends.

use std::time::Duration;

use anyhow::{Result, ensure};
use rig::boards::{ALL, Board};
use rig::conformance::{self, CheckRun};
use rig::kernels;

use crate::trial::Trial;

/// Debian's kernels take a minute on some boards, and much more on a busy host.
const DEADLINE: Duration = Duration::from_secs(600);

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |board: &'static Board| {
        let trial = Trial::new(format!("check on {}", board.name), move || check(board));
        match board.is_quick {
            true => trial,
            false => trial.ignored(),
        }
    };
    ALL.iter().map(trial).collect()
}

fn check(board: &'static Board) -> Result<()> {
    let kernel = kernels::find(board.kernel)?;
    let name = format!("system-board-{}", board.name);
    let mut machine = board.machine(&conformance::initramfs(kernel.target, &name)?)?;
    machine.name = name;
    machine.args = ["--then", board.then, "check"].map(str::to_owned).into();
    let boot = machine.run(DEADLINE)?;
    let (log, text) = (boot.log.display(), boot.text());
    ensure!(boot.ending == board.ending, "{}, see {log}", boot.ending);
    let run = CheckRun::from_console(kernel, &text)?;
    ensure!(run.is_ok(), "{run}see {log}");
    let expected = if kernel.names { 0 } else { 4 };
    let status = conformance::status(&boot)?;
    ensure!(status == expected, "status {status}, see {log}");
    Ok(())
}
