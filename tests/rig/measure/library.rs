//! The time per line of the library's parser and of crates that do the same.
//!
//! `tests/benches/library.rs` measures the times. This module makes a table of them and
//! two kinds of ratios, because times differ between machines: the fastest other crate
//! to the library, and the longest maps to shorter ones.

use anyhow::{Context, Result};

use crate::program;
use crate::tool;

const LINES: [u32; 5] = [10, 100, 1_000, 10_000, 65_530];
const OURS: &str = "vm_anon_name";
const DIFF: &str = "diff";
/// The crate that reads the file itself, and the entry with the time of reading alone.
const READER: (&str, &str) = ("proc-maps", "read-alone");

/// Nanoseconds per line, for each crate and number of lines.
pub struct Times {
    ours: Vec<f64>,
    diff: Vec<f64>,
    others: Vec<(&'static str, Vec<f64>)>,
}

/// Runs the benchmark.
pub fn measure() -> Result<Times> {
    let mut cargo = program::cargo("bench");
    cargo.args(["--quiet", "--package", "rig", "--bench", "library"]);
    Times::read(&tool::output(&mut cargo)?)
}

impl Times {
    fn read(output: &str) -> Result<Self> {
        let of = |name: &str| -> Result<Vec<f64>> {
            LINES
                .iter()
                .map(|lines| per_line(output, name, *lines))
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

    /// The time of the fastest other crate divided by ours, for each number of lines.
    pub fn ahead(&self) -> Vec<f64> {
        let fastest = |index| {
            let others = self.others.iter().map(|(_, each)| each[index]);
            others.fold(f64::INFINITY, f64::min)
        };
        let ours = self.ours.iter().enumerate();
        ours.map(|(index, ours)| fastest(index) / ours).collect()
    }

    /// The time per line of the longest maps, divided by the shortest time per line:
    /// for parsing and for comparing.
    pub fn growth(&self) -> [f64; 2] {
        [&self.ours, &self.diff].map(|each| {
            let longest = each.last().copied().unwrap_or_default();
            longest / each.iter().copied().fold(f64::INFINITY, f64::min)
        })
    }

    /// The times as a table in Markdown, and the growth.
    pub fn report(&self) -> String {
        let mut text = "| lines | parse, ns a line |".to_owned();
        for (name, _) in &self.others {
            text.push_str(&format!(" {name} |"));
        }
        text.push_str(" fastest / parse | diff, ns a line |\n|---:|");
        text.push_str(&"---:|".repeat(self.others.len() + 3));
        text.push('\n');
        for ((index, lines), ahead) in LINES.iter().enumerate().zip(self.ahead()) {
            let ours = self.ours[index];
            text.push_str(&format!("| {lines} | {ours:.1} |"));
            for (_, other) in &self.others {
                let other = other[index];
                text.push_str(&format!(" {other:.1} ({:.1}x) |", other / ours));
            }
            let diff = self.diff[index];
            text.push_str(&format!(" {ahead:.1}x | {diff:.1} |\n"));
        }
        let [parse, compare] = self.growth();
        text.push_str(&format!(
            "\nA line of the longest maps takes {parse:.2} times as long to parse as the fastest, and {compare:.2} times as long to compare.\n",
        ));
        text
    }
}

fn per_line(output: &str, name: &str, lines: u32) -> Result<f64> {
    let head = format!("{lines} {name} ");
    let time = output.lines().find_map(|line| line.strip_prefix(&head));
    let time = time.with_context(|| format!("no time of {name} for {lines} lines"))?;
    Ok(time.parse()?)
}
