//! Versions of the functions of a C file in one text, each selected by its number at run time.
//!
//! A function that differs in two versions becomes
//!
//! ```c
//! static int f(void)
//! {
//! if (vm_mutant_is(7)) {
//!     (the body in version 7)
//! } else if (vm_mutant_is(9)) {
//!     (the body in version 9)
//! } else {
//!     (the original body)
//! }
//! }
//! ```
//!
//! The text is not parsed. In Linux, and nowhere but at a function, a line is a brace alone.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;

use crate::mutation::selection::INCLUDE;

/// One text with the original functions and those of all versions, which have numbers. Outside
/// of functions, a version may add lines, which all versions get.
pub fn combine(original: &str, versions: &[(usize, String)]) -> Result<String> {
    let parts = parts(original);
    let mut additions = Additions::new();
    let mut bodies: BTreeMap<usize, Vec<(usize, String)>> = BTreeMap::new();
    for (number, text) in versions {
        let others = self::parts(text);
        ensure!(
            others.len() == parts.len(),
            "{number}: another number of functions"
        );
        for (index, (part, other)) in parts.iter().zip(&others).enumerate() {
            match (part, other) {
                _ if part == other => {}
                (Part::Body(_), Part::Body(body)) => {
                    let body = with_local_labels(body)?;
                    bodies.entry(index).or_default().push((*number, body));
                }
                (Part::Between(old), Part::Between(new)) => {
                    let added = added(old, new).with_context(|| format!("{number}"))?;
                    for (line, text) in added {
                        additions.entry((index, line)).or_default().insert(text);
                    }
                }
                _ => bail!("{number}: another order of functions"),
            }
        }
    }
    let mut text = INCLUDE.to_owned();
    for (index, part) in parts.iter().enumerate() {
        match part {
            Part::Body(body) => {
                let versions = bodies.remove(&index).unwrap_or_default();
                text.push_str(&selecting(body, &versions));
            }
            Part::Between(lines) => {
                for place in 0..=lines.len() {
                    let added = additions.remove(&(index, place)).unwrap_or_default();
                    text.extend(added.iter().map(|line| format!("{line}\n")));
                    text.extend(lines.get(place).map(|line| format!("{line}\n")));
                }
            }
        }
    }
    Ok(text)
}

/// Lines to add, by the part and the line that they precede. Two versions may add the same one.
type Additions<'a> = BTreeMap<(usize, usize), BTreeSet<&'a str>>;

/// A part of a C file, in lines.
#[derive(PartialEq, Eq)]
enum Part<'a> {
    /// The lines between the braces of a function.
    Body(Vec<&'a str>),
    /// All lines before, between and after those, braces included.
    Between(Vec<&'a str>),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        if line == "}" {
            parts.push(Part::Body(std::mem::take(&mut lines)));
        }
        lines.push(line);
        if line == "{" {
            parts.push(Part::Between(std::mem::take(&mut lines)));
        }
    }
    parts.push(Part::Between(lines));
    parts
}

/// The lines of `new` that `old` does not have, each with the index of the old line that it
/// precedes.
fn added<'a>(old: &[&str], new: &[&'a str]) -> Result<Vec<(usize, &'a str)>> {
    let mut added = Vec::new();
    let mut place = 0;
    for line in new {
        match old.get(place) == Some(line) {
            true => place += 1,
            false => added.push((place, *line)),
        }
    }
    match old.get(place) {
        None => Ok(added),
        Some(line) => bail!("change a function instead of the line: {line}"),
    }
}

/// The body with a declaration of its labels, because those of two versions in one function
/// would collide.
fn with_local_labels(body: &[&str]) -> Result<String> {
    let label = Regex::new(r"^ ?([a-z_]\w*):$")?;
    let labels = body.iter().filter_map(|line| label.captures(line));
    let labels: Vec<String> = labels
        .map(|found| format!("__label__ {};\n", &found[1]))
        .collect();
    Ok(format!("{}{}\n", labels.concat(), body.join("\n")))
}

fn selecting(original: &[&str], versions: &[(usize, String)]) -> String {
    let original: String = original.iter().map(|line| format!("{line}\n")).collect();
    if versions.is_empty() {
        return original;
    }
    let versions = versions.iter();
    let versions: Vec<String> = versions
        .map(|(number, body)| format!("if (vm_mutant_is({number})) {{\n{body}}} else "))
        .collect();
    format!("{}{{\n{original}}}\n", versions.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGINAL: &str = "\
static int f(int a)
{
	if (a)
		goto out;
out:
	return 2;
}

static void g(void)
{
	h();
}
";

    fn version(old: &str, new: &str) -> String {
        assert!(ORIGINAL.contains(old));
        ORIGINAL.replace(old, new)
    }

    #[test]
    fn without_versions_nothing_changes() {
        let combined = combine(ORIGINAL, &[]).unwrap();
        assert_eq!(combined, format!("{INCLUDE}{ORIGINAL}"));
    }

    #[test]
    fn selects_bodies_by_number() {
        let versions = [
            (3, version("return 2", "return 3")),
            (4, version("h()", "i()")),
            (5, version("if (a)", "if (!a)")),
        ];
        let expected = "\
#include <linux/vm_mutant.h>
static int f(int a)
{
if (vm_mutant_is(3)) {
__label__ out;
	if (a)
		goto out;
out:
	return 3;
} else if (vm_mutant_is(5)) {
__label__ out;
	if (!a)
		goto out;
out:
	return 2;
} else {
	if (a)
		goto out;
out:
	return 2;
}
}

static void g(void)
{
if (vm_mutant_is(4)) {
	i();
} else {
	h();
}
}
";
        assert_eq!(combine(ORIGINAL, &versions).unwrap(), expected);
    }

    #[test]
    fn adds_lines_outside_of_functions_once() {
        let declared = version("static void g", "static bool b;\nstatic void g");
        let versions = [1, 2].map(|number| (number, declared.clone()));
        let combined = combine(ORIGINAL, &versions).unwrap();
        assert_eq!(combined, format!("{INCLUDE}{declared}"));
    }

    #[test]
    fn refuses_to_change_lines_outside_of_functions() {
        let changed = version("static void g", "void g");
        let error = combine(ORIGINAL, &[(1, changed)]).unwrap_err();
        let error = format!("{error:#}");
        assert_eq!(
            error,
            "1: change a function instead of the line: static void g(void)"
        );
    }
}
