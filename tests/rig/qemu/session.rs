//! A boot that goes on: its console is read, typed on and logged.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::mem;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow};
use regex::bytes::Regex;

use super::Machine;
use super::console::{Console, Ending, last_words, plain_text};
use crate::tool;

/// How long a kernel that has said its last word may take to leave.
const GRACE: Duration = Duration::from_secs(2);

/// The kernel's own lines are shorter; what programs print may be of any length.
const LONGEST_LINE: usize = 4096;

/// A boot that goes on.
pub struct Session {
    qemu: Child,
    input: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    bytes: Vec<u8>,
    /// Where the next expectation begins to look.
    position: usize,
    /// How much of the console has been searched for the kernel's last words.
    searched: usize,
    /// How the boot ends, as soon as the kernel has said so.
    ending: Option<Ending>,
    started: Instant,
    end: Instant,
    files: Files,
    echo: bool,
}

/// What a boot leaves behind.
struct Files {
    log: PathBuf,
    log_file: File,
    complaints: PathBuf,
}

impl Session {
    pub(super) fn start(machine: &Machine, deadline: Duration) -> Result<Self> {
        let mut command = machine.command();
        command.args(["-serial", "stdio"]);
        let mut files = Files::create(machine)?;
        writeln!(files.log_file, "$ {}", tool::show(&command))?;
        let complaints = File::create(&files.complaints)?;
        let started = Instant::now();
        let (mut qemu, output) = spawn(tethered(&command, complaints))?;
        Ok(Self {
            input: qemu.stdin.take(),
            qemu,
            output,
            bytes: Vec::new(),
            position: 0,
            searched: 0,
            ending: None,
            started,
            end: started + deadline,
            files,
            echo: false,
        })
    }

    /// Copies the console to standard output from now on.
    pub fn echo(&mut self) {
        self.echo = true;
    }

    /// Waits for the pattern; returns what came before it, and it. What was
    /// returned once is not looked at again. In patterns, let `\r*\n` end a line.
    pub fn expect(&mut self, pattern: &str) -> Result<(String, String)> {
        let regex = Regex::new(pattern).with_context(|| format!("not a pattern: {pattern}"))?;
        loop {
            if let Some(found) = regex.find(&self.bytes[self.position..]) {
                let text = &self.bytes[self.position..];
                let before = plain_text(&text[..found.start()]);
                let matched = plain_text(found.as_bytes());
                self.position += found.end();
                return Ok((before, matched));
            }
            if !self.receive()? {
                return Err(self.disappointed(pattern));
            }
        }
    }

    /// Sets a new deadline, counted from now.
    pub fn allow(&mut self, time: Duration) {
        self.end = Instant::now() + time;
    }

    /// Types on the console.
    pub fn send(&mut self, text: impl AsRef<[u8]>) -> Result<()> {
        let input = self.input.as_mut().context("QEMU has no input")?;
        input
            .write_all(text.as_ref())
            .context("QEMU takes no more input")?;
        input.flush().context("QEMU takes no more input")
    }

    /// Waits for the end and judges it.
    pub fn finish(mut self) -> Result<Console> {
        while self.receive()? {}
        let ending = self.ending();
        Ok(Console {
            bytes: mem::take(&mut self.bytes),
            ending,
            took: self.started.elapsed(),
            log: self.files.log.clone(),
        })
    }

    /// Takes in more of the console; false when there will be none.
    fn receive(&mut self) -> Result<bool> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // A machine that prints without end would be listened to without end.
            return Ok(false);
        }
        let chunk = match self.output.recv_timeout(left) {
            Ok(chunk) => chunk,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(false),
        };
        self.files.log_file.write_all(&chunk)?;
        if self.echo {
            io::stdout().write_all(&chunk)?;
            io::stdout().flush()?;
        }
        self.bytes.extend_from_slice(&chunk);
        self.search();
        if self.ending.is_some() {
            self.end = self.end.min(Instant::now() + GRACE);
        }
        Ok(true)
    }

    /// Looks for the kernel's last words in what is new, and in the line before
    /// that, which may go on: in all there is, it would take ever longer.
    fn search(&mut self) {
        let new = &self.bytes[self.searched..];
        let found = last_words(new);
        if self.ending.is_none() || matches!(found, Some(Ending::Panicked(_))) {
            self.ending = found.or(self.ending.take());
        }
        let line = new
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        self.searched = (self.searched + line).max(self.bytes.len().saturating_sub(LONGEST_LINE));
    }

    fn ending(&mut self) -> Ending {
        // QEMU may have closed its output and not yet be gone.
        let is_running = Instant::now() >= self.end && matches!(self.qemu.try_wait(), Ok(None));
        if let Some(ending) = self.ending.clone() {
            return ending;
        }
        match (is_running, self.bytes.is_empty()) {
            (true, true) => Ending::NeverStarted,
            (true, false) => {
                let seconds = self.started.elapsed().as_secs();
                Ending::Hung(format!("no end after {seconds} s"))
            }
            (false, _) => Ending::QemuFailed(self.files.complaints()),
        }
    }

    fn disappointed(&mut self, pattern: &str) -> Error {
        let text = plain_text(&self.bytes[self.position..]);
        anyhow!(
            "expected {pattern:?}, but the machine {}, see {}\n{}",
            self.ending(),
            self.files.log.display(),
            tool::tail(&text)
        )
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may be gone already, which is as good.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

impl Files {
    fn create(machine: &Machine) -> Result<Self> {
        let log = machine.log()?;
        Ok(Self {
            log_file: File::create(&log)
                .with_context(|| format!("cannot create {}", log.display()))?,
            complaints: log.with_extension("stderr"),
            log,
        })
    }

    fn complaints(&self) -> String {
        let text = fs::read_to_string(&self.complaints).unwrap_or_default();
        match text.trim() {
            "" => "without a word".to_owned(),
            words => words.to_owned(),
        }
    }
}

/// The command in the care of setpriv, which has the kernel kill it when the
/// thread that started it dies; the handlers of a dying rig could not promise that.
fn tethered(command: &Command, complaints: File) -> Command {
    let mut tether = Command::new("setpriv");
    tether.args(["--pdeathsig", "KILL"]);
    tether.arg(command.get_program()).args(command.get_args());
    tether
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(complaints);
    tether
}

/// Starts the command from a thread that lives as long as its output flows, and
/// passes that on.
fn spawn(mut command: Command) -> Result<(Child, Receiver<Vec<u8>>)> {
    let (child_out, child_in) = mpsc::channel();
    let (output, received) = mpsc::channel();
    thread::spawn(move || match command.spawn() {
        Ok(mut child) => {
            let stdout = child.stdout.take();
            let is_wanted = child_out.send(Ok(child)).is_ok();
            if let Some(stdout) = stdout.filter(|_| is_wanted) {
                pump(stdout, &output);
            }
        }
        Err(error) => drop(child_out.send(Err(error))),
    });
    let child = child_in.recv().context("the thread of QEMU died")?;
    Ok((child.context("cannot run setpriv")?, received))
}

/// Passes on what comes until there is no more.
fn pump(mut from: impl Read, to: &Sender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            // Nobody may listen any more; QEMU must still not block.
            Ok(count) => drop(to.send(buffer[..count].to_vec())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
