//! The comparison and the budgets as tables, and their place in tests/README.md.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::meter::Figures;
use super::{Stages, Subject, budgets, names, peers};
use crate::program::Build;
use crate::{paths, tool};

/// The name of the place in tests/README.md.
const PLACE: &str = "bench";

/// Measures everything and returns the tables, with the tools and their versions.
pub fn make() -> Result<String> {
    let stages = Stages::measure()?;
    let mut text = rows(&stages.programs)?;
    text.push_str("\nMeasured on ");
    text.push_str(&machine()?);
    text.push_str(" with ");
    text.push_str(&peers::versions()?.join(", "));
    text.push_str(".\n");
    let budgets = budgets::compare(&stages)?;
    for build in [Build::Full, Build::Minimal] {
        text.push('\n');
        text.push_str(&budgets::report(&budgets, build));
    }
    text.push('\n');
    text.push_str(&names::report(&names::measure()?)?);
    Ok(text)
}

/// Writes the text to its place in tests/README.md.
pub fn write(text: &str) -> Result<()> {
    let path = paths::workspace().join("tests/README.md");
    let readme =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    paths::write(
        &path,
        splice(&readme, PLACE, text).context("tests/README.md")?,
    )
}

/// Replaces what is between the markers of a place.
pub(super) fn splice(document: &str, place: &str, text: &str) -> Result<String> {
    let [begin, end] = ["begin", "end"].map(|mark| format!("<!-- {place}:{mark} -->"));
    let missing = || format!("the lines {begin} and {end} are missing");
    let (before, rest) = document.split_once(&begin).with_context(missing)?;
    let (_, after) = rest.split_once(&end).with_context(missing)?;
    Ok(format!("{before}{begin}\n{text}{end}{after}"))
}

fn rows(programs: &[(Subject, Figures)]) -> Result<String> {
    let sizes = programs.iter().map(|(subject, _)| size(subject));
    let sizes = sizes.collect::<Result<Vec<_>>>()?;
    let each = |value: fn(&Figures) -> u64| programs.iter().map(|(_, f)| value(f)).collect();
    let rows: [(_, Vec<u64>); 5] = [
        ("file, bytes", sizes),
        ("memory at the last pause, KiB", each(|f| f.resident)),
        ("mappings of files", each(|f| f.file_mappings as u64)),
        ("system calls, `-q -y`", each(|f| f.calls)),
        ("instructions, `-q -y`", each(|f| f.instructions)),
    ];
    let titles = programs.iter().map(|(subject, _)| subject.title.clone());
    let mut text = line("", titles);
    text.push_str(&line("---", programs.iter().map(|_| "---:".to_owned())));
    for (title, values) in rows {
        text.push_str(&line(title, values.into_iter().map(grouped)));
    }
    Ok(text)
}

/// A row of a table.
pub(super) fn line<Cell: Display>(title: &str, cells: impl IntoIterator<Item = Cell>) -> String {
    let cells = cells.into_iter().map(|cell| format!(" {cell} |"));
    format!("| {title} |{}\n", cells.collect::<String>())
}

fn size(subject: &Subject) -> Result<u64> {
    Ok(fs::metadata(&subject.path)?.len())
}

/// A number with commas between groups of three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The host. The figures do not depend on it.
fn machine() -> Result<String> {
    let field = |path: &str, name: &str, mark: char| -> Option<String> {
        let text = fs::read_to_string(Path::new(path)).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(mark)?.1.trim().trim_matches('"').to_owned())
    };
    let processor = field("/proc/cpuinfo", "model name", ':').unwrap_or("unknown".to_owned());
    let system = field("/etc/os-release", "PRETTY_NAME", '=').unwrap_or("unknown".to_owned());
    let architecture = tool::output(std::process::Command::new("uname").arg("-m"))?;
    Ok(format!("{system}, {} ({processor})", architecture.trim()))
}
