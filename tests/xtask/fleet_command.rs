//! `cargo xtask fleet`: LAVA jobs for kernels and boards, run here or written for a lab.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use rig::boards;
use rig::fleet::{self, Fleet, Place};
use rig::kernels::{self, Kernel};
use rig::paths;

/// Which kernels, and where the results go.
#[derive(Args)]
pub struct FleetCommand {
    /// A kernel by its name in the list. Default: all kernels of the matrix, and all boards.
    #[arg(long = "kernel", value_name = "NAME")]
    kernels: Vec<String>,
    /// A board by QEMU's name, with its kernel.
    #[arg(long = "board", value_name = "NAME")]
    boards: Vec<String>,
    /// Directory for index.html and junit.xml, or for the job files. Default: fleet in the
    /// target directory.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Run nothing, and write the job files for a lab that has the kernels as KERNEL/Image and
    /// the archives of the release folder below this address.
    #[arg(long, value_name = "URL", conflicts_with = "boards")]
    jobs_for: Option<String>,
}

impl FleetCommand {
    /// Prints the results per kernel, and fails if one is not as expected.
    pub fn run(&self) -> Result<()> {
        let directory = self.output.clone();
        let directory = directory.unwrap_or_else(|| paths::target().join("fleet"));
        if let Some(address) = &self.jobs_for {
            fleet::write_jobs(&self.kernels()?, address, &directory)?;
            println!("{}", directory.display());
            return Ok(());
        }
        let places = self.places()?;
        let fleet = Fleet::run(&places)?;
        fleet.write(&directory)?;
        for run in fleet.runs() {
            println!("{run}");
        }
        println!("{}", directory.join("index.html").display());
        match fleet.runs().filter(|run| !run.is_ok()).count() {
            0 => Ok(()),
            bad => bail!("{bad} of {} kernels and boards failed", places.len()),
        }
    }

    fn places(&self) -> Result<Vec<Place>> {
        let is_all = self.kernels.is_empty() && self.boards.is_empty();
        let kernels = match is_all || !self.kernels.is_empty() {
            true => self.kernels()?,
            false => Vec::new(),
        };
        let named = self.boards.iter().map(|name| boards::find(name));
        let boards = match is_all {
            true => boards::ALL.iter().collect(),
            false => named.collect::<Result<Vec<_>>>()?,
        };
        let kernels = kernels.into_iter().map(Place::Kernel);
        Ok(kernels
            .chain(boards.into_iter().map(Place::Board))
            .collect())
    }

    fn kernels(&self) -> Result<Vec<&'static Kernel>> {
        match self.kernels.is_empty() {
            true => Ok(kernels::matrix().collect()),
            false => self
                .kernels
                .iter()
                .map(|name| kernels::find(name))
                .collect(),
        }
    }
}
