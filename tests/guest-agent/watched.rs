//! The process whose memory a run reads: the tool `target`, alone with the program in a PID
//! namespace. Its figures are the same in each run.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::personality::{self, Persona};

/// The executable of the process. It is a copy of the agent's, because the pages of a file that
/// several processes map are counted in parts, and the agent maps more and more of its own.
const PROGRAM: &str = "/target";

/// The memory that it maps and names, as words for the tool [`target`](crate::target).
const MEMORY: [&str; 2] = ["named=3,/secret/mem/area", "named=2,stack:7"];

/// The process. Dropping it ends the namespace.
pub(crate) struct Watched {
    process: Child,
}

impl Watched {
    /// Prepares the guest, once.
    pub(crate) fn prepare() -> Result<()> {
        fs::copy("/proc/self/exe", PROGRAM).context(PROGRAM)?;
        Ok(())
    }

    /// Starts the process as the first one of a new PID namespace. The agent's children belong
    /// to that namespace from now on.
    pub(crate) fn start() -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWPID)?;
        let random = personality::get()?;
        personality::set(random | Persona::ADDR_NO_RANDOMIZE)?;
        let mut command = Command::new(PROGRAM);
        command.args(MEMORY).env_clear();
        // It waits for a line, which never comes.
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        personality::set(random)?;
        let mut watched = Self {
            process: process.context(PROGRAM)?,
        };
        watched.wait_until_ready()?;
        Ok(watched)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let output = self.process.stdout.take().context("no pipe")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(line == "ready\n", "{PROGRAM} is not ready: {line:?}");
        Ok(())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // New children belong to the agent's own namespace again.
        if let Ok(own) = File::open("/proc/self/ns/pid") {
            let _ = setns(own, CloneFlags::CLONE_NEWPID);
        }
    }
}
