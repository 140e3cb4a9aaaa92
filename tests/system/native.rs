//! `cargo xtask run --native`: the program on the machine at hand, whatever its kernel can do.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use regex::Regex;
use rig::program::{self, Build};
use rig::{target, tool};

use crate::transcript;
use crate::trial::Trial;

/// Exit statuses of the program on a kernel that names memory, and on one that does not.
const NAMES: i32 = 0;
const NO_NAMES: i32 = 4;

/// The answers to the four prompts.
const KEYS: &str = "\n\n\n\n";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("as the program alone", as_alone),
        Trial::new("the stages from a pipe", from_a_pipe),
        Trial::new("the stages on a terminal", on_a_terminal),
    ]
}

/// The command with these arguments of the program.
fn xtask(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["run", "--native", "--"]).args(args);
    command
}

/// Runs the command with `input` on its standard input.
fn run(command: &mut Command, input: &str) -> Result<Output> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::piped());
    let child = command.spawn();
    let mut child = child.with_context(|| format!("cannot run {}", tool::show(command)))?;
    let mut stdin = child.stdin.take().context("it has an input")?;
    // The program ends without reading it if a stage fails.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Ok(child.wait_with_output()?)
}

/// Output and exit status are those of the executable that was built for this machine.
fn as_alone() -> Result<()> {
    let path = program::build_for(target::host()?, Build::Full)?;
    for args in [["probe"], ["--version"], ["--nonsense"]] {
        let alone = run(Command::new(&path).args(args), "")?;
        let native = run(&mut xtask(&args), "")?;
        let shown = format!("{args:?}: {native:?}, but alone {alone:?}");
        ensure!(
            !alone.stdout.is_empty() || !alone.stderr.is_empty(),
            "{shown}"
        );
        ensure!(native.status == alone.status, "{shown}");
        ensure!(native.stdout == alone.stdout, "{shown}");
        // The rig says before which compiler it takes.
        ensure!(native.stderr.ends_with(&alone.stderr), "{shown}");
    }
    Ok(())
}

fn from_a_pipe() -> Result<()> {
    let output = run(&mut xtask(&["-q"]), KEYS)?;
    expect_transcript(&String::from_utf8(output.stdout)?, output.status.code())
}

/// script(1) gives the program a terminal and types the keys. They would be echoed at once, and
/// not at the prompts, so the terminal does not echo.
fn on_a_terminal() -> Result<()> {
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--echo", "never", "--command"]);
    script.arg(tool::show(&xtask(&["-q"]))).arg("/dev/null");
    let output = run(&mut script, KEYS)?;
    let text = String::from_utf8(output.stdout)?.replace('\r', "");
    let start = text.find("Memory map").with_context(|| text.clone())?;
    let message = Regex::new(r"(?m)^vm_anon_name: prctl.*\n")?;
    let transcript = message.replace(&text[start..], "");
    expect_transcript(&transcript, output.status.code())
}

/// The reference transcript, without the name if `probe` says that the kernel has no names.
fn expect_transcript(text: &str, status: Option<i32>) -> Result<()> {
    let has_names = run(&mut xtask(&["probe"]), "")?.status.code() == Some(NAMES);
    let expected = if has_names { NAMES } else { NO_NAMES };
    ensure!(status == Some(expected), "status {status:?}\n{text}");
    match has_names {
        true => transcript::check(text, "/secret/mem/area").map(drop),
        false => transcript::check_unnamed(text),
    }
}
