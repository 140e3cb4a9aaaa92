//! The library's parser beside crates that do the same, in time per line.
//!
//! Criterion measures (`tests/benches/library.rs`) and leaves its samples as JSON;
//! here they become one table. Times differ between machines, so what
//! counts are the ratios: to the fastest of the others, and of the longest maps
//! to shorter ones.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::paths;
use crate::program;
use crate::tool;

const LINES: [u32; 5] = [10, 100, 1_000, 10_000, 65_530];
const OURS: &str = "vm_anon_name";
const DIFF: &str = "vm_anon_name-diff";
/// What reads the file that it parses, and the time of the reading alone.
const READER: (&str, &str) = ("proc-maps", "read-alone");

/// Runs the benchmark and returns the table.
pub fn report() -> Result<String> {
    let mut cargo = program::cargo("bench");
    cargo.args([
        "--package",
        "rig",
        "--bench",
        "library",
        "--",
        "--quiet",
        "--noplot",
    ]);
    // The profile inherits the program's, which is for size, and would optimise
    // the rig's two hundred dependencies as a whole.
    for (setting, value) in [("OPT_LEVEL", "3"), ("LTO", "off"), ("CODEGEN_UNITS", "16")] {
        cargo.env(format!("CARGO_PROFILE_BENCH_{setting}"), value);
    }
    tool::run(&mut cargo)?;
    let directory = paths::target().join("criterion/maps");
    table(&Times::load(&directory)?)
}

/// Nanoseconds per line, of each contender for each length.
struct Times {
    ours: Vec<f64>,
    diff: Vec<f64>,
    others: Vec<(&'static str, Vec<f64>)>,
}

impl Times {
    fn load(directory: &Path) -> Result<Self> {
        let of = |name: &str| -> Result<Vec<f64>> {
            LINES
                .iter()
                .map(|lines| per_line(directory, name, *lines))
                .collect()
        };
        let (reader, reading) = READER;
        let read = of(reader)?.into_iter().zip(of(reading)?);
        let parsing = read.map(|(all, reading)| all - reading).collect();
        Ok(Self {
            ours: of(OURS)?,
            diff: of(DIFF)?,
            others: vec![
                ("procfs", of("procfs")?),
                ("rsprocmaps", of("rsprocmaps")?),
                (reader, parsing),
            ],
        })
    }
}

/// The fastest of criterion's samples, which is what the machine does when nothing
/// else runs on it; the others tell of the machine.
fn per_line(directory: &Path, name: &str, lines: u32) -> Result<f64> {
    let path = directory.join(format!("{name}/{lines}/new/sample.json"));
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let sample: Value = serde_json::from_slice(&text)?;
    let numbers = |field: &str| sample[field].as_array().into_iter().flatten();
    let times = numbers("times").zip(numbers("iters"));
    let each = times.filter_map(|(time, count)| Some(time.as_f64()? / count.as_f64()?));
    let fastest = each.reduce(f64::min);
    let fastest = fastest.with_context(|| format!("no sample in {}", path.display()))?;
    Ok(fastest / f64::from(lines))
}

fn table(times: &Times) -> Result<String> {
    let mut text = "| lines | parse, ns a line |".to_owned();
    for (name, _) in &times.others {
        text.push_str(&format!(" {name} |"));
    }
    text.push_str(" fastest / parse | diff, ns a line |\n|---:|");
    text.push_str(&"---:|".repeat(times.others.len() + 3));
    text.push('\n');
    for (index, lines) in LINES.iter().enumerate() {
        let ours = times.ours[index];
        let others = times.others.iter().map(|(_, each)| each[index]);
        let fastest = others.clone().fold(f64::INFINITY, f64::min);
        text.push_str(&format!("| {lines} | {ours:.1} |"));
        for other in others {
            text.push_str(&format!(" {other:.1} ({:.1}x) |", other / ours));
        }
        let diff = times.diff[index];
        text.push_str(&format!(" {:.1}x | {diff:.1} |\n", fastest / ours));
    }
    let spread = |each: &[f64]| {
        let longest = each.last().copied().unwrap_or_default();
        longest / each.iter().copied().fold(f64::INFINITY, f64::min)
    };
    text.push_str(&format!(
        "\nThe longest maps cost {:.2} times as much a line as the cheapest to parse, {:.2} times to compare.\n",
        spread(&times.ours),
        spread(&times.diff)
    ));
    Ok(text)
}
