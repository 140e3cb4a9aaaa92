//! The limits on the cost of the program, and the measured figures.
//!
//! The limits are on what a user pays for: bytes in a compressed initramfs, memory,
//! time. The raw size of the full build has only an outer limit, which catches
//! accidents. Each conformance case adds to the limit, so that a new case does not
//! take bytes from the code.

use std::fmt;
use std::fs;

use anyhow::{Context, Result, ensure};

use super::archive::{self, Compressor};
use super::table::grouped;
use super::{Stages, boot_time, size};
use crate::program::{self, Build};
use crate::progress::Progress;

/// The limits of the full build that are not met, and by how much each may be exceeded, so
/// that the figures do not grow. The test fails if a limit is met and still listed here.
const EXCESSES: &[(&str, u64)] = &[
    ("initramfs, `gzip -9 -n`", 5_000 + NAMES_GZIP),
    (
        "initramfs, `gzip -9 -n`, without the cases",
        5_850 + NAMES_GZIP,
    ),
    ("initramfs, `xz -9 --check=crc32`", 3_680 + NAMES_XZ),
    (
        "initramfs, `xz -9 --check=crc32`, without the cases",
        5_060 + NAMES_XZ,
    ),
];

/// What the commands `maps` and `names`, the picture and the whole maps of the stages add to
/// the archive.
const NAMES_GZIP: u64 = 8_000;
const NAMES_XZ: u64 = 6_700;

/// A figure and its limit.
pub struct Budget {
    /// The build that was measured.
    pub build: Build,
    what: String,
    measured: u64,
    limit: u64,
    unit: Unit,
}

#[derive(Clone, Copy)]
enum Unit {
    Count,
    Bytes,
    Kibibytes,
    Mebibytes,
    Microseconds,
}

/// Compares all figures with their limits: those in `stages`, and others that it measures.
pub fn compare(stages: &Stages) -> Result<Vec<Budget>> {
    let progress = Progress::start("measuring archives, guest time and guest memory");
    let mut budgets = full_build(stages)?;
    budgets.extend(minimal_build(stages)?);
    progress.done();
    Ok(budgets)
}

/// The budgets of one build as a table in Markdown.
pub fn report(budgets: &[Budget], build: Build) -> String {
    let name = build.name();
    let head = format!("| {name} build | measured | limit |\n|---|---:|---:|\n");
    let rows = budgets.iter().filter(|budget| budget.build == build);
    head + &rows.map(ToString::to_string).collect::<String>()
}

impl Budget {
    /// Whether the figure is within the limit or, if it has a ceiling, between the two.
    pub fn is_kept(&self) -> bool {
        match self.ceiling() {
            Some(ceiling) => (self.limit + 1..=ceiling).contains(&self.measured),
            None => self.measured <= self.limit,
        }
    }

    /// What the figure may be until the limit is met.
    fn ceiling(&self) -> Option<u64> {
        let is_this = |(what, _): &&(&str, u64)| *what == self.what;
        let entry = EXCESSES.iter().find(is_this);
        entry
            .filter(|_| self.build == Build::Full)
            .map(|(_, excess)| self.limit + excess)
    }
}

/// A row of the table.
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |figure| self.unit.show(figure);
        let (measured, limit) = (show(self.measured), show(self.limit));
        match self.ceiling() {
            Some(ceiling) => {
                let ceiling = show(ceiling);
                let what = &self.what;
                writeln!(
                    f,
                    "| {what} | {measured} | {limit}; not met, ceiling {ceiling} |"
                )
            }
            None => writeln!(f, "| {} | {measured} | {limit} |", self.what),
        }
    }
}

impl Unit {
    fn show(self, figure: u64) -> String {
        match self {
            Unit::Count => grouped(figure),
            Unit::Bytes => format!("{} bytes", grouped(figure)),
            Unit::Kibibytes => format!("{figure} KiB"),
            Unit::Mebibytes => format!("{figure} MiB"),
            Unit::Microseconds => format!("{}.{:03} ms", figure / 1000, figure % 1000),
        }
    }
}

fn full_build(stages: &Stages) -> Result<Vec<Budget>> {
    use Unit::{Bytes, Count, Kibibytes, Mebibytes, Microseconds};
    let build = Build::Full;
    let program = fs::read(program::build(build)?)?;
    let (check_time, boot) = boot_time::guest_time(&["check"])?;
    let (probe_time, _) = boot_time::guest_time(&["probe"])?;
    let (help_time, _) = boot_time::guest_time(&["--help"])?;
    let check_memory = boot_time::least_memory(&["check"], 13)?;
    let cases = plan(&boot.text())?;

    let without_cases = size::without_suite()?;
    let mut rows = Vec::new();
    // The limits come from an archive of 20,000 bytes (gzip) and 17,700 bytes (xz), of which
    // the 163 cases of that time took 5,400 and 5,050 bytes.
    for (compressor, code_limit, case_limit) in
        [(Compressor::Gzip, 14_600, 40), (Compressor::Xz, 12_650, 38)]
    {
        let whole = archive::compressed_size(&program, compressor)?;
        let code = archive::compressed_size(&without_cases, compressor)?;
        let case = (whole - code).div_ceil(cases);
        let limit = code_limit + cases * case_limit;
        let archive = format!("initramfs, `{}`", compressor.command_line());
        let without = format!("{archive}, without the cases");
        rows.push((archive, whole, limit, Bytes));
        rows.push((without, code, code_limit, Bytes));
        rows.push((format!("- each of {cases} cases"), case, case_limit, Bytes));
    }
    let figures = stages.of(build)?;
    let refused = &stages.refused_name;
    let others = [
        (
            "memory of the stages (VmRSS)",
            figures.resident,
            32,
            Kibibytes,
        ),
        ("system calls of the stages", figures.calls, 9, Count),
        (
            "instructions of the stages",
            figures.instructions,
            4_500,
            Count,
        ),
        (
            "instructions of the stages with a refused name",
            refused.instructions,
            6_000,
            Count,
        ),
        (
            "least guest memory of `check`",
            check_memory.into(),
            13,
            Mebibytes,
        ),
        ("guest time of `check`", check_time, 140_000, Microseconds),
        ("guest time of `probe`", probe_time, 600, Microseconds),
        ("guest time of `--help`", help_time, 1_000, Microseconds),
        ("file", program.len() as u64, 82_000, Bytes),
    ];
    rows.extend(
        others.map(|(what, measured, limit, unit)| (what.to_owned(), measured, limit, unit)),
    );
    Ok(budgets(build, rows))
}

fn minimal_build(stages: &Stages) -> Result<Vec<Budget>> {
    use Unit::{Bytes, Count, Kibibytes};
    let build = Build::Minimal;
    let program = fs::read(program::build(build)?)?;
    let gzip = archive::compressed_size(&program, Compressor::Gzip)?;
    let figures = stages.of(build)?;
    let rows = [
        ("file", program.len() as u64, 2_304, Bytes),
        ("initramfs, `gzip -9 -n`", gzip, 1_600, Bytes),
        (
            "memory of the stages (VmRSS)",
            figures.resident,
            8,
            Kibibytes,
        ),
        ("system calls of the stages", figures.calls, 14, Count),
        (
            "instructions of the stages",
            figures.instructions,
            2_500,
            Count,
        ),
    ];
    Ok(budgets(build, rows))
}

fn budgets<What: Into<String>>(
    build: Build,
    rows: impl IntoIterator<Item = (What, u64, u64, Unit)>,
) -> Vec<Budget> {
    let budget = |(what, measured, limit, unit): (What, _, _, _)| Budget {
        build,
        what: what.into(),
        measured,
        limit,
        unit,
    };
    rows.into_iter().map(budget).collect()
}

/// The number of cases in a KTAP report, from its plan.
fn plan(report: &str) -> Result<u64> {
    let plan = report.lines().find_map(|line| line.strip_prefix("1.."));
    let cases = plan.context("the report has no plan")?.parse()?;
    ensure!(cases > 0, "the suite is empty");
    Ok(cases)
}
