//! List of mutants that no program can distinguish from the original kernel.
//!
//! `tests/mutants/every-line/SOURCES.txt` is the list for one version of the sources. Lines
//! without indentation are a reason; the indented lines after it are the ids of mutants,
//! see [`Mutant::id`]. An entry that names no mutant is an error, as is one whose
//! mutant is caught or equivalent in the first kernel of the list that has these sources.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::generate::Mutant;
use crate::paths;

/// The ids of the mutants, each with the reason why no program can observe it.
pub type Unobservable = BTreeMap<String, String>;

/// The file for the sources of that name.
pub fn path(sources: &str) -> PathBuf {
    let directory = paths::workspace().join("tests/mutants/every-line");
    directory.join(format!("{sources}.txt"))
}

/// Reads the list of these sources; without a file it is empty.
pub fn load(sources: &str) -> Result<Unobservable> {
    let path = path(sources);
    if !path.exists() {
        return Ok(Unobservable::new());
    }
    let text = fs::read_to_string(&path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

/// Fails with the entries that name no mutant.
pub fn expect_known(list: &Unobservable, mutants: &[Mutant]) -> Result<()> {
    let known: Vec<String> = mutants.iter().map(Mutant::id).collect();
    let stale: Vec<&str> = list
        .keys()
        .filter(|id| !known.contains(id))
        .map(String::as_str)
        .collect();
    ensure!(stale.is_empty(), "no such mutants: {}", stale.join(", "));
    Ok(())
}

fn parse(text: &str) -> Result<Unobservable> {
    let mut list = Unobservable::new();
    let mut reason = String::new();
    let mut is_complete = false;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let id = line.trim();
        if id.is_empty() {
            continue;
        }
        if line.starts_with(' ') {
            ensure!(!reason.is_empty(), "'{id}' has no reason before it");
            is_complete = true;
            let other = list.insert(id.to_owned(), reason.clone());
            ensure!(other.is_none(), "'{id}' is listed twice");
            continue;
        }
        if is_complete {
            reason.clear();
            is_complete = false;
        }
        if !reason.is_empty() {
            reason.push(' ');
        }
        reason.push_str(id);
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_reasons_and_their_mutants() {
        let list =
            parse("# comment\nFirst\nreason.\n  f drop 1 aa\n  f drop 2 bb\n\nOther.\n  g x 1 c\n");
        let list = list.unwrap();
        let pairs: Vec<_> = list
            .iter()
            .map(|(id, reason)| (id.as_str(), reason.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("f drop 1 aa", "First reason."),
                ("f drop 2 bb", "First reason."),
                ("g x 1 c", "Other."),
            ]
        );
        assert!(parse("  f drop 1 aa\n").is_err());
        assert!(parse("Reason.\n  f drop 1 aa\n  f drop 1 aa\n").is_err());
    }
}
