//! A running boot: its console is read, typed on and logged.

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
use super::boot::{Boot, Ending, ending_in, plain_text};
use crate::tool;

/// Time that QEMU gets to exit after the kernel has printed its last message.
const GRACE: Duration = Duration::from_secs(2);

/// Upper bound for the length of a line of the kernel. Lines of programs may be longer.
const LONGEST_LINE: usize = 4096;

/// A running boot. Dropping it kills QEMU.
pub struct Session {
    qemu: Child,
    input: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    /// Start of the last line of the firmware, until that line has been read.
    last_of_firmware: Option<&'static str>,
    firmware: Vec<u8>,
    /// What the kernel and its programs print.
    bytes: Vec<u8>,
    /// Start of the bytes that `expect` has not returned yet.
    position: usize,
    /// Start of the bytes that have not been searched for the kernel's last message.
    searched: usize,
    /// How the boot ends, once the kernel has said so.
    ending: Option<Ending>,
    started: Instant,
    end: Instant,
    logs: Logs,
    echo: bool,
}

/// Log files of a boot.
struct Logs {
    console: PathBuf,
    console_file: File,
    qemu_messages: PathBuf,
    other_serial: Vec<PathBuf>,
}

impl Session {
    pub(super) fn start(machine: &Machine, deadline: Duration) -> Result<Self> {
        let command = machine.command("stdio")?;
        let mut logs = Logs::create(machine)?;
        writeln!(logs.console_file, "$ {}", tool::show(&command))?;
        let messages = File::create(&logs.qemu_messages)?;
        let started = Instant::now();
        let (mut qemu, output) = spawn(kill_on_parent_death(&command, messages))?;
        Ok(Self {
            input: qemu.stdin.take(),
            qemu,
            output,
            last_of_firmware: machine.target.last_of_firmware,
            firmware: Vec::new(),
            bytes: Vec::new(),
            position: 0,
            searched: 0,
            ending: None,
            started,
            end: started + deadline,
            logs,
            echo: false,
        })
    }

    /// Copies the console to standard output from now on.
    pub fn echo(&mut self) {
        self.echo = true;
    }

    /// Waits until the console matches the pattern. Returns (text before the match,
    /// match); the next call searches after the match. In patterns, `\r*\n` matches
    /// the end of a line.
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
                return Err(self.expectation_failed(pattern));
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

    /// Waits for the end of the boot.
    pub fn finish(mut self) -> Result<Boot> {
        while self.receive()? {}
        let logs = self.logs.other_serial.iter();
        let other_serial: Vec<_> = logs.map(|log| fs::read(log).unwrap_or_default()).collect();
        let mut ending = self.ending();
        if let Ending::QemuFailed(_) = ending {
            // A virtio console is shut down before the kernel prints its last message.
            let mut outputs = other_serial.iter();
            ending = outputs.find_map(|text| ending_in(text)).unwrap_or(ending);
        }
        Ok(Boot {
            bytes: mem::take(&mut self.bytes),
            other_serial,
            ending,
            took: self.started.elapsed(),
            log: self.logs.console.clone(),
        })
    }

    /// Waits for output of the console; false at its end and at the deadline.
    fn receive(&mut self) -> Result<bool> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // recv_timeout returns pending output even after the deadline, so it would
            // never stop a machine that prints without end.
            return Ok(false);
        }
        let chunk = match self.output.recv_timeout(left) {
            Ok(chunk) => chunk,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(false),
        };
        self.logs.console_file.write_all(&chunk)?;
        let chunk = self.after_firmware(chunk)?;
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

    /// The part of the output that follows the last line of the firmware.
    fn after_firmware(&mut self, output: Vec<u8>) -> Result<Vec<u8>> {
        let Some(last) = self.last_of_firmware else {
            return Ok(output);
        };
        self.firmware.extend(output);
        let last = Regex::new(&format!(r"(?m)^{last}[^\n]*\n"))?;
        let Some(end) = last.find(&self.firmware).map(|line| line.end()) else {
            return Ok(Vec::new());
        };
        self.last_of_firmware = None;
        Ok(self.firmware.split_off(end))
    }

    /// Searches the new output for the kernel's last message. The search starts at
    /// the last incomplete line, so that the total cost stays linear.
    fn search(&mut self) {
        let new = &self.bytes[self.searched..];
        let found = ending_in(new);
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
        // QEMU closes its output before it exits, so a process that still runs does not
        // mean by itself that QEMU hangs.
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
            (false, _) => Ending::QemuFailed(self.logs.qemu_messages()),
        }
    }

    fn expectation_failed(&mut self, pattern: &str) -> Error {
        let text = plain_text(&self.bytes[self.position..]);
        anyhow!(
            "expected {pattern:?}, but the machine {}, see {}\n{}",
            self.ending(),
            self.logs.console.display(),
            tool::tail(&text)
        )
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Both fail if QEMU has already been waited for; that is no error.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

impl Logs {
    fn create(machine: &Machine) -> Result<Self> {
        let console = machine.log()?;
        let other_serial = machine.other_logs()?;
        for log in &other_serial {
            // A QEMU that fails to start must not leave the output of an earlier boot.
            File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        }
        Ok(Self {
            console_file: File::create(&console)
                .with_context(|| format!("cannot create {}", console.display()))?,
            qemu_messages: console.with_extension("stderr"),
            console,
            other_serial,
        })
    }

    fn qemu_messages(&self) -> String {
        let text = fs::read_to_string(&self.qemu_messages).unwrap_or_default();
        match text.trim() {
            "" => "no message".to_owned(),
            message => message.to_owned(),
        }
    }
}

/// Wraps the command in setpriv(1), which asks the kernel to kill it when the thread
/// that started it exits. No handler in the rig could do so after SIGKILL.
fn kill_on_parent_death(command: &Command, stderr: File) -> Command {
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--pdeathsig", "KILL"]);
    setpriv.arg(command.get_program()).args(command.get_args());
    setpriv
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr);
    setpriv
}

/// Starts the command from a thread that forwards its output and lives until the
/// output ends; see [`kill_on_parent_death`].
fn spawn(mut command: Command) -> Result<(Child, Receiver<Vec<u8>>)> {
    let (send_child, receive_child) = mpsc::channel();
    let (send_output, receive_output) = mpsc::channel();
    thread::spawn(move || match command.spawn() {
        Ok(mut child) => {
            let stdout = child.stdout.take();
            let is_wanted = send_child.send(Ok(child)).is_ok();
            if let Some(stdout) = stdout.filter(|_| is_wanted) {
                forward(stdout, &send_output);
            }
        }
        Err(error) => drop(send_child.send(Err(error))),
    });
    let child = receive_child.recv().context("the thread of QEMU died")?;
    Ok((child.context("cannot run setpriv")?, receive_output))
}

/// Forwards bytes until the end of the input.
fn forward(mut from: impl Read, to: &Sender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            // The receiver may be gone; reading goes on so that QEMU does not block.
            Ok(count) => drop(to.send(buffer[..count].to_vec())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
