//! `cargo xtask fleet`: LAVA jobs for the kernels, run here or written for a lab.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use rig::fleet::{self, Fleet};
use rig::kernels::{self, Kernel};
use rig::paths;

/// Which kernels, and where the results go.
#[derive(Args)]
pub struct FleetCommand {
    /// A kernel by its name in the list. Default: all kernels that the tests use.
    #[arg(long = "kernel", value_name = "NAME")]
    kernels: Vec<String>,
    /// Directory for index.html and junit.xml, or for the job files. Default: fleet in the
    /// target directory.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Run nothing, and write the job files for a lab that has the kernels as KERNEL/Image and
    /// the archives of the release folder below this address.
    #[arg(long, value_name = "URL")]
    jobs_for: Option<String>,
}

impl FleetCommand {
    /// Prints the results per kernel, and fails if one is not as expected.
    pub fn run(&self) -> Result<()> {
        let kernels = self.kernels()?;
        let directory = self.output.clone();
        let directory = directory.unwrap_or_else(|| paths::target().join("fleet"));
        if let Some(address) = &self.jobs_for {
            fleet::write_jobs(&kernels, address, &directory)?;
            println!("{}", directory.display());
            return Ok(());
        }
        let fleet = Fleet::run(&kernels)?;
        fleet.write(&directory)?;
        for run in fleet.runs() {
            println!("{run}");
        }
        println!("{}", directory.join("index.html").display());
        match fleet.runs().filter(|run| !run.is_ok()).count() {
            0 => Ok(()),
            bad => bail!("{bad} of {} kernels failed", kernels.len()),
        }
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
