//! The manual page: mandoc finds no mistake in it, and it has all that the help has.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use regex::Regex;
use rig::{host_packages, paths, tool};

use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("manual_page::mandoc finds no mistake", no_mistake),
        trial("manual_page::has what the help has", complete),
    ]
}

fn page() -> PathBuf {
    paths::workspace().join("tests/packaging/vm_anon_name.1")
}

fn mandoc(arguments: &[&str]) -> Result<String> {
    host_packages::MANDOC.ensure()?;
    let mut mandoc = Command::new("mandoc");
    tool::output(mandoc.args(arguments).arg(page()))
}

fn no_mistake() -> Result<()> {
    // mandoc exits with an error if it finds a mistake or lacks a page that this one refers to.
    let found = mandoc(&["-T", "lint", "-W", "style"]);
    found.map(drop)
}

fn complete() -> Result<()> {
    let page = mandoc(&["-T", "ascii", "-O", "width=300"])?;
    // A terminal shows a letter twice at the same place in bold, and with `_` underlined.
    let page = Regex::new(".\u{8}")?.replace_all(&page, "");
    let help = fs::read_to_string(paths::workspace().join("src/help.txt"))?;
    for (number, words) in help_words(&help)? {
        ensure!(
            page.contains(&words),
            "the page lacks '{words}', line {number} of the help"
        );
    }
    Ok(())
}

/// The commands, the options with their arguments, and the exit statuses, as the page has them.
fn help_words(help: &str) -> Result<Vec<(usize, String)>> {
    let command = Regex::new(r"^vm_anon_name \[?(\w+)")?;
    let option = Regex::new(r"^  (-\w, --\w+)(?: ([A-Z]+))?")?;
    let status = Regex::new(r"(?:^\w[\w, ]*: |, )(\d) ")?;
    let mut words = Vec::new();
    for (number, line) in (1..).zip(help.lines()) {
        if let Some(found) = command.captures(line) {
            words.push((number, format!("\n     {} ", &found[1])));
        }
        if let Some(found) = option.captures(line) {
            let argument = found
                .get(2)
                .map(|it| format!(" {}", it.as_str().to_lowercase()));
            let argument = argument.unwrap_or_default();
            words.push((number, format!("\n     {}{argument}\n", &found[1])));
        }
        for found in status.captures_iter(line) {
            words.push((number, format!("\n     {} ", &found[1])));
        }
    }
    let count = |start: &str| words.iter().filter(|(_, it)| it.starts_with(start)).count();
    ensure!(count("\n     -") > 5, "the help has no options: {words:?}");
    Ok(words)
}
