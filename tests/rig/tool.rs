//! Calling other programs, with errors that can be acted upon.
//!
//! A failure names the command as one would type it and ends with what the
//! program said last.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// How many lines of a program's complaint an error repeats.
const LAST_LINES: usize = 15;

/// Runs the command and returns what it wrote on standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        bail!(
            "{shown}\n{}: {}",
            output.status,
            tail(&String::from_utf8_lossy(&said))
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs the command with its output where the rig's own goes.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown}\n{status}");
    }
    Ok(())
}

/// The command as one would type it into a shell.
pub fn show(command: &Command) -> String {
    let program = std::iter::once(command.get_program());
    let words = program
        .chain(command.get_args())
        .map(OsStr::to_string_lossy);
    shell_words::join(words)
}

/// The last lines of a text.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}
