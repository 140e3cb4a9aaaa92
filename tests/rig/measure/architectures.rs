//! What the program costs on each architecture, beside peers in C.
//!
//! The figures are measured, recorded in `tests/architectures.json`, and shown from there: in
//! tables and in a picture.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use minijinja::Environment;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::archive::{Compressor, compressed_size};
use super::table::{self, grouped, line};
use super::{Subject, boot_time, meter, peers};
use crate::conformance;
use crate::kernels;
use crate::paths;
use crate::program::{self, Build};

use crate::target::{self, Target};

/// The place of the tables in README.md and tests/README.md.
const PLACE: &str = "architectures";

/// The picture. The ending of the name makes the engine escape values for XML.
const TEMPLATE: (&str, &str) = ("picture.xml", include_str!("architectures.svg.jinja2"));

/// The sizes of the picture, in pixels: a line of text, a bar, the space below a group of bars,
/// and the longest bar.
const LINE: u64 = 24;
const BAR: u64 = 18;
const SPACE: u64 = 14;
const LONGEST: u64 = 380;

/// The figures of all architectures.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    architectures: Vec<Architecture>,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Architecture {
    name: String,
    full: Program,
    minimal: Program,
    nolibc: Program,
    musl: Program,
    check: Check,
    tools: Vec<String>,
}

/// A program, and the stages in it.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Program {
    /// Bytes of the file, and of the compressed initramfs that holds nothing else.
    file: u64,
    gzip: u64,
    xz: u64,
    /// VmRSS in KiB.
    resident: u64,
    /// Guest time.
    microseconds: u64,
}

/// `check` as PID 1, from its start to the power-down.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Check {
    passed: usize,
    skipped: usize,
    microseconds: u64,
}

impl Record {
    /// Measures all architectures.
    pub fn measure() -> Result<Self> {
        let architectures = target::ALL.into_iter().map(Architecture::measure);
        Ok(Self {
            architectures: architectures.collect::<Result<_>>()?,
        })
    }

    /// The recorded figures.
    pub fn read() -> Result<Self> {
        let path = path("json");
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }

    /// Records the figures.
    pub fn write(&self) -> Result<()> {
        paths::write(&path("json"), serde_json::to_string_pretty(self)? + "\n")
    }

    /// Writes the tables and the picture.
    pub fn show(&self) -> Result<()> {
        for (path, text) in self.shown()? {
            paths::write(&path, text)?;
        }
        Ok(())
    }

    /// The files that show the figures, with their content.
    fn shown(&self) -> Result<[(PathBuf, String); 3]> {
        let with_table = |name: &str, table: &str| {
            let path = paths::workspace().join(name);
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let text = table::splice(&text, PLACE, table).context(name.to_owned())?;
            anyhow::Ok((path, text))
        };
        Ok([
            with_table("README.md", &self.overview())?,
            with_table("tests/README.md", &self.details())?,
            (path("svg"), self.picture()?),
        ])
    }

    /// One row for each architecture.
    fn overview(&self) -> String {
        let mut text = line(
            "",
            [
                "full, bytes",
                "gzip",
                "xz",
                "VmRSS",
                "`check`: passed, skipped",
                "guest time",
                "minimal, bytes",
                "VmRSS",
                "C with nolibc",
                "C with musl",
            ],
        );
        text += &line("---", ["---:"; 10]);
        for it in &self.architectures {
            let cells = [
                grouped(it.full.file),
                grouped(it.full.gzip),
                grouped(it.full.xz),
                kibibytes(it.full.resident),
                format!("{}, {}", it.check.passed, it.check.skipped),
                milliseconds(it.check.microseconds),
                grouped(it.minimal.file),
                kibibytes(it.minimal.resident),
                grouped(it.nolibc.file),
                grouped(it.musl.file),
            ];
            text += &line(&it.name, cells);
        }
        text
    }

    /// One row for each program on each architecture, and the tools.
    fn details(&self) -> String {
        let head = ["bytes", "gzip", "xz", "VmRSS", "guest time of the stages"];
        let mut text = line("", head) + &line("---", ["---:"; 5]);
        for it in &self.architectures {
            for (title, program) in it.programs() {
                let cells = [
                    grouped(program.file),
                    grouped(program.gzip),
                    grouped(program.xz),
                    kibibytes(program.resident),
                    milliseconds(program.microseconds),
                ];
                text += &line(&format!("{}: {title}", it.name), cells);
            }
        }
        text.push('\n');
        for it in &self.architectures {
            text += &format!("- {}: {}.\n", it.name, it.tools.join(", "));
        }
        text
    }

    /// Bars for the programs of each architecture.
    fn picture(&self) -> Result<String> {
        let mut environment = Environment::new();
        environment.add_template(TEMPLATE.0, TEMPLATE.1)?;
        let template = environment.get_template(TEMPLATE.0)?;
        let variables = minijinja::Value::from(Serde(self.drawing()));
        template.render(variables).context("the picture")
    }

    /// The variables of the template: places and lengths in pixels.
    fn drawing(&self) -> Value {
        let programs = self.architectures.iter().flat_map(Architecture::programs);
        let largest = programs.map(|(_, program)| program.file).max();
        let length = |bytes: u64| (bytes * LONGEST).div_ceil(largest.unwrap_or(1).max(1));
        let mut y = LINE + SPACE;
        let mut groups = Vec::new();
        for it in &self.architectures {
            let top = y;
            let mut bars = Vec::new();
            for (title, program) in it.programs() {
                bars.push(json!({
                    "title": title,
                    "y": y,
                    "file": length(program.file),
                    "gzip": length(program.gzip),
                    "label": format!("{} ({})", grouped(program.file), grouped(program.gzip)),
                    "is_peer": title.starts_with("C "),
                }));
                y += BAR;
            }
            groups.push(json!({"name": it.name, "y": top, "bars": bars}));
            y += SPACE;
        }
        json!({"groups": groups, "height": y})
    }
}

impl Architecture {
    /// Measures the programs in one boot, and `check` in another.
    fn measure(target: &'static Target) -> Result<Self> {
        let build = |build: Build| {
            let path = program::build_for(target, build)?;
            anyhow::Ok(Subject::stages(build.name(), build.name(), path))
        };
        let [musl, nolibc] = peers::build_for(target)?;
        let subjects = [build(Build::Full)?, build(Build::Minimal)?, nolibc, musl];
        let archive = meter::initramfs(target, &subjects)?;
        let archive = archive.write(&format!("cost-{}", target.name))?;
        let kernel = kernels::find_for(target, kernels::DEFAULT)?;
        let mut machine = boot_time::with_fixed_clock(&kernel.machine(&archive)?);
        machine.name = format!("cost-{}", target.name);
        let costs = meter::costs(&machine, subjects.len())?;
        let programs = subjects.iter().zip(costs);
        let programs = programs.map(|(subject, cost)| Program::of(subject, &cost));
        let programs: Vec<Program> = programs.collect::<Result<_>>()?;
        let [full, minimal, nolibc, musl] = programs.try_into().ok().context("four programs")?;
        Ok(Self {
            name: target.name.to_owned(),
            full,
            minimal,
            nolibc,
            musl,
            check: Check::measure(target)?,
            tools: peers::versions_for(target)?,
        })
    }

    fn programs(&self) -> [(&'static str, &Program); 4] {
        [
            ("full", &self.full),
            ("minimal", &self.minimal),
            ("C with nolibc", &self.nolibc),
            ("C with musl", &self.musl),
        ]
    }
}

impl Program {
    fn of(subject: &Subject, cost: &meter::Cost) -> Result<Self> {
        let path = &subject.path;
        let file = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self {
            file: file.len() as u64,
            gzip: compressed_size(&file, Compressor::Gzip)?,
            xz: compressed_size(&file, Compressor::Xz)?,
            resident: cost.resident,
            microseconds: cost.time,
        })
    }
}

impl Check {
    fn measure(target: &'static Target) -> Result<Self> {
        let archive = conformance::initramfs(target, "cost-check")?;
        let mut machine = kernels::find_for(target, kernels::DEFAULT)?.machine(&archive)?;
        machine.args = vec!["check".to_owned()];
        let (microseconds, boot) = boot_time::guest_time_of(&machine)?;
        let report = conformance::read(&boot)?;
        Ok(Self {
            passed: report.passed(),
            skipped: report.skipped().count(),
            microseconds,
        })
    }
}

/// The record or the picture, by the ending of its name.
fn path(extension: &str) -> PathBuf {
    let name = format!("tests/architectures.{extension}");
    paths::workspace().join(name)
}

fn kibibytes(number: u64) -> String {
    format!("{} KiB", grouped(number))
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{:03} ms", microseconds / 1000, microseconds % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADVICE: &str = "`cargo xtask architectures` writes it again; with --measure, it \
                          measures first";

    #[test]
    fn record_has_all_architectures() {
        let record = Record::read().unwrap();
        let names: Vec<&str> = record.architectures.iter().map(|it| &*it.name).collect();
        assert_eq!(names, target::ALL.map(|target| target.name), "{ADVICE}");
    }

    #[test]
    fn tables_and_picture_show_the_record() {
        for (path, text) in Record::read().unwrap().shown().unwrap() {
            let written = fs::read_to_string(&path).unwrap();
            assert_eq!(written, text, "{}: {ADVICE}", path.display());
        }
    }
}
