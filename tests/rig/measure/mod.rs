//! Measurements of the cost of the program, and of peers that do the same job.
//!
//! All sizes, counts and times are the same on every machine with the same tools:
//! no figure depends on the speed of the host, except those of [`library`].
//!
//! - [`budgets`] is the list of limits, which tests assert and tests/README.md shows;
//! - [`archive`] compresses the program as an initramfs holds it;
//! - [`meter`] runs programs in a real kernel: system calls, instructions, memory;
//! - [`boot_time`] runs the program as PID 1: guest time, least memory;
//! - [`peers`] builds C++ and C programs that do the same job, and lists tools and versions;
//! - [`table`] is the comparison as a table, and its place in tests/README.md;
//! - [`architectures`] measures both builds and peers on each architecture, and writes the tables;
//! - [`names`] compares the commands `maps` and `names` with reading alone and with pmap;
//! - [`size`] attributes the bytes of the program to sections and modules;
//! - [`library`] compares the parser with crates that parse the same.

pub mod architectures;
pub mod archive;
pub mod boot_time;
pub mod budgets;
pub mod library;
pub mod meter;
pub mod names;
pub mod peers;
pub mod size;
pub mod table;

use std::path::PathBuf;

use anyhow::{Context, Result};

use self::meter::Figures;
use crate::program::{self, Build};

/// A program to measure.
#[derive(Clone, Debug)]
pub struct Subject {
    /// A word that names it in the guest.
    pub name: &'static str,
    /// The heading of its column.
    pub title: String,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub words: &'static [&'static str],
    /// The exit status that is expected.
    pub status: u8,
}

impl Subject {
    /// The four stages without pauses, which have to succeed.
    fn stages(name: &'static str, title: &str, path: PathBuf) -> Self {
        Self {
            name,
            title: title.to_owned(),
            path,
            words: &["-q", "-y"],
            status: 0,
        }
    }

    /// The program.
    fn program(build: Build) -> Result<Self> {
        let title = format!("vm_anon_name, {}", build.name());
        Ok(Self::stages(build.name(), &title, program::build(build)?))
    }
}

/// The cost of the stages in each program.
pub struct Stages {
    /// The peers, from the largest to the smallest, then the minimal and the full build.
    pub programs: Vec<(Subject, Figures)>,
    /// The full build with a name that the kernel refuses.
    pub refused_name: Figures,
}

impl Stages {
    /// Builds and measures the programs.
    pub fn measure() -> Result<Self> {
        let full = Subject::program(Build::Full)?;
        let refused_name = Subject {
            name: "refused",
            words: &["-q", "-y", "-n", "a[b"],
            status: 1,
            ..full.clone()
        };
        let mut subjects = peers::build()?;
        subjects.extend([Subject::program(Build::Minimal)?, full, refused_name]);
        let mut figures = meter::measure(&subjects)?;
        let refused_name = figures.pop().context("the refused name was not measured")?;
        Ok(Self {
            programs: subjects.into_iter().zip(figures).collect(),
            refused_name,
        })
    }

    /// The figures of a build of the program.
    pub fn of(&self, build: Build) -> Result<&Figures> {
        let mut programs = self.programs.iter();
        let found = programs.find(|(subject, _)| subject.name == build.name());
        Ok(&found.context("one of the builds was not measured")?.1)
    }
}
