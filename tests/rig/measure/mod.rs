//! What the program costs, measured beside programs that do the same job.
//!
//! Nothing here is decided by a clock on a wall: sizes, counts and the guest's
//! own time under `-icount` come out the same on every machine with the same
//! tools. What is measured, where:
//!
//! - [`peers`] builds the same job in C++ and C, and names every tool and version;
//! - [`meter`] runs it all in a real kernel: calls, instructions, memory;
//! - [`table`] makes that one table, and keeps it in the README;
//! - [`size`] tells which section and which module the program's bytes went to;
//! - [`boot_time`] times the program as PID 1, and finds how little memory it needs;
//! - [`library`] compares the parser with crates that do the same.

pub mod boot_time;
pub mod library;
pub mod meter;
pub mod peers;
pub mod size;
pub mod table;

use std::path::PathBuf;

use anyhow::Result;

use crate::program::{self, Build};

/// A program to measure.
#[derive(Clone, Debug)]
pub struct Subject {
    /// A word that names it in the guest.
    pub name: &'static str,
    /// What heads its column.
    pub title: String,
    /// The executable.
    pub path: PathBuf,
}

/// The program, in both builds.
pub fn program() -> Result<Vec<Subject>> {
    [Build::Minimal, Build::Full]
        .map(subject)
        .into_iter()
        .collect()
}

/// Everything that is compared, from the largest to the smallest.
pub fn all() -> Result<Vec<Subject>> {
    let mut subjects = peers::build()?;
    subjects.extend(program()?);
    Ok(subjects)
}

fn subject(build: Build) -> Result<Subject> {
    Ok(Subject {
        name: build.name(),
        title: format!("vm_anon_name, {}", build.name()),
        path: program::build(build)?,
    })
}
