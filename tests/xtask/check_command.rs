//! `cargo xtask check`: the conformance suite in one kernel, some, or the matrix.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use rig::conformance::{self, TestedKernel};
use rig::kernels;
use rig::report::junit;

/// What is checked, and where it is written down.
#[derive(Args)]
pub struct Check {
    /// A kernel by its name in the list, or the file of an image; all that the
    /// tests need, if none is given.
    #[arg(long = "kernel", value_name = "NAME|IMAGE")]
    kernels: Vec<String>,
    /// Also write the results as JUnit's XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Arguments of the program's check, as the names of cases.
    #[arg(last = true)]
    args: Vec<String>,
}

impl Check {
    /// Prints a verdict a kernel, and fails if one is bad.
    pub fn run(&self) -> Result<()> {
        let initramfs = conformance::initramfs("check")?;
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let mut verdicts = Vec::new();
        for subject in self.subjects()? {
            let name = format!("check-{}", subject.name().replace('/', "_"));
            let verdict = subject.check(&initramfs, &name, &args);
            println!("{verdict}");
            verdicts.push(verdict);
        }
        if let Some(path) = &self.junit {
            junit::write(&verdicts, path)?;
        }
        match verdicts.iter().filter(|verdict| !verdict.is_ok()).count() {
            0 => Ok(()),
            bad => bail!("{bad} of {} kernels failed", verdicts.len()),
        }
    }

    fn subjects(&self) -> Result<Vec<TestedKernel>> {
        if self.kernels.is_empty() {
            return Ok(kernels::matrix().map(TestedKernel::Listed).collect());
        }
        self.kernels
            .iter()
            .map(|word| TestedKernel::of(word))
            .collect()
    }
}
