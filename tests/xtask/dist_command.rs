//! `cargo xtask dist`: the release folder.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use rig::checkout::Checkout;
use rig::kernels::{self, Kernel};
use rig::{dist, paths, target};

/// Where the folder is, and what is run from it.
#[derive(Args)]
pub(crate) struct Dist {
    /// Path of the folder. Default: dist in the target directory.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// A kernel whose report of `check` is added, by its name in the list. Default: all kernels
    /// that the tests use.
    #[arg(long = "kernel", value_name = "NAME")]
    kernels: Vec<String>,
    /// Add no report, and do not boot the files.
    #[arg(long, conflicts_with = "kernels")]
    no_boot: bool,
}

impl Dist {
    /// Makes the folder, tests its files, and prints their paths.
    pub(crate) fn run(&self) -> Result<()> {
        let checkout = Checkout::own("dist")?;
        let folder = match &self.output {
            Some(folder) => folder.clone(),
            None => paths::target().join("dist"),
        };
        dist::make(&checkout, &folder, &target::ALL, &self.kernels()?)?;
        if !self.no_boot {
            dist::smoke::test(&folder, &target::ALL)?;
        }
        if !checkout.git(&["status", "--porcelain"])?.is_empty() {
            eprintln!("the release contains changes that are not committed");
        }
        for file in dist::files(&folder)? {
            println!("{}", folder.join(file).display());
        }
        Ok(())
    }

    fn kernels(&self) -> Result<Vec<&'static Kernel>> {
        if self.no_boot {
            return Ok(Vec::new());
        }
        if self.kernels.is_empty() {
            return Ok(kernels::matrix().collect());
        }
        self.kernels
            .iter()
            .map(|name| kernels::find(name))
            .collect()
    }
}
