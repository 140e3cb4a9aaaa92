//! Calls of other programs. The error message has the command in shell syntax and the last
//! lines of its output.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Number of lines of a program's output in an error.
const LAST_LINES: usize = 15;

/// Runs the command; returns its standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        bail!(
            "{shown}\n{}: {}",
            output.status,
            tail(&String::from_utf8_lossy(&text))
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs the command with the standard output and error of the rig.
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

/// The command in shell syntax.
pub fn show(command: &Command) -> String {
    let program = std::iter::once(command.get_program());
    let words = program
        .chain(command.get_args())
        .map(OsStr::to_string_lossy);
    shell_words::join(words)
}

/// The last 15 lines of a text.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}
