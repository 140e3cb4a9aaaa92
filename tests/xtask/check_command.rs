//! `cargo xtask check`: the conformance suite in the kernels.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::Args;
use rig::conformance::{self, TestedKernel};
use rig::kernels::{self, Kernel};
use rig::report::junit;
use rig::target;

/// Options of `check`.
#[derive(Args)]
pub struct Check {
    /// Only kernels for this architecture; also the architecture of an image file.
    #[arg(long, value_parser = target::names(&[]))]
    target: Option<String>,
    /// A kernel by its name in the list, or an image file. Default: all kernels that
    /// the tests use.
    #[arg(long = "kernel", value_name = "NAME|IMAGE")]
    kernels: Vec<String>,
    /// Also write the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Make the results the expected ones, in tests/expected. New failures are refused.
    #[arg(long, conflicts_with = "args")]
    bless: bool,
    /// Arguments of the program's check, such as names of cases.
    #[arg(last = true)]
    args: Vec<String>,
}

impl Check {
    /// Prints the results per kernel, and fails if one is not as expected.
    pub fn run(&self) -> Result<()> {
        conformance::assemble()?;
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let mut runs = Vec::new();
        for kernel in self.kernels()? {
            let target = kernel.target();
            let initramfs = conformance::initramfs(target, "check")?;
            let name = format!("check-{}", kernel.name().replace('/', "_"));
            let mut run = kernel.check(&initramfs, &name, &args);
            if self.bless {
                let recorded = run.bless();
                recorded.unwrap_or_else(|error| eprintln!("{name} not recorded: {error:#}"));
            }
            println!("{run}");
            runs.push(run);
        }
        if let Some(path) = &self.junit {
            junit::write(&runs, path)?;
        }
        match runs.iter().filter(|run| !run.is_ok()).count() {
            0 => Ok(()),
            bad => bail!("{bad} of {} kernels failed", runs.len()),
        }
    }

    fn kernels(&self) -> Result<Vec<TestedKernel>> {
        let target = self.target.as_deref().map(target::find).transpose()?;
        if self.kernels.is_empty() {
            let is_wanted =
                |kernel: &&Kernel| target.is_none_or(|target| kernel.target.name == target.name);
            let kernels = kernels::matrix().filter(is_wanted);
            return Ok(kernels.map(TestedKernel::Listed).collect());
        }
        let kernels = self.kernels.iter();
        let kernels = kernels.map(|word| TestedKernel::of(target, word));
        let kernels: Vec<TestedKernel> = kernels.collect::<Result<_>>()?;
        let is_image = |kernel: &TestedKernel| matches!(kernel, TestedKernel::Image(..));
        ensure!(
            !self.bless || !kernels.iter().any(is_image),
            "the results of an image file cannot be recorded"
        );
        Ok(kernels)
    }
}
