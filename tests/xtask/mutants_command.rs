//! `cargo xtask mutants`: the conformance suite in kernels with a defect.

use std::iter;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Result, bail};
use clap::Args;
use rig::conformance;
use rig::kernels;
use rig::mutants::{self, Mutant};
use rig::mutation::campaign::{self, Plan};
use rig::report::CaseResult;
use rig::target;

/// Options of `mutants`.
#[derive(Args)]
pub struct Mutants {
    /// The mutants by name, see --list; with --every-line the functions. Default: all.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Instead of applying patches, mutate every line of the kernel code that handles names.
    #[arg(long)]
    every_line: bool,
    /// The kernel whose lines are mutated.
    #[arg(long, value_name = "NAME", default_value = kernels::DEFAULT, requires = "every_line")]
    kernel: String,
    /// Test this file instead of the program of this checkout.
    #[arg(long, value_name = "FILE", requires = "every_line")]
    program: Option<PathBuf>,
    /// Discard the results of earlier runs with this kernel and program.
    #[arg(long, requires = "every_line")]
    again: bool,
    /// List the mutants with their defects and the cases that must fail.
    #[arg(short, long)]
    list: bool,
    /// Number of machines that run at once.
    #[arg(short, long, default_value_t = 1)]
    jobs: usize,
}

impl Mutants {
    /// Prints one line per mutant. Fails if one is not caught by all of its cases.
    pub fn run(&self) -> Result<()> {
        if self.every_line {
            return self.every_line();
        }
        let mutants = mutants::find(&self.names)?;
        if self.list {
            for mutant in mutants {
                println!("{}: {}", mutant.name, mutant.description);
                println!("    {}", mutant.caught_by.join(", "));
            }
            return Ok(());
        }
        let count = mutants.len();
        let bad = self.run_all(mutants)?;
        match bad {
            0 => Ok(()),
            _ => bail!("{bad} of {} boots are not as expected", count + 1),
        }
    }

    /// Prints a table of all functions and the survivors, and fails if there are any.
    fn every_line(&self) -> Result<()> {
        let kernel = kernels::find(&self.kernel)?;
        let plan = Plan {
            functions: self.names.clone(),
            jobs: self.jobs,
            program: self.program.clone(),
            again: self.again,
        };
        if self.list {
            for line in campaign::list(kernel, &plan)? {
                println!("{line}");
            }
            return Ok(());
        }
        let outcome = campaign::run(kernel, &plan)?;
        println!("{outcome}");
        match (outcome.survivors().count(), outcome.stale.len()) {
            (0, 0) => Ok(()),
            (survived, 0) => bail!("{survived} mutants survived"),
            (_, stale) => bail!("{stale} entries of the list of unobservable mutants are wrong"),
        }
    }

    /// Runs the mutants, and the original kernel first: if it fails a case, the other results
    /// mean little. Returns the number of failures.
    fn run_all(&self, mutants: Vec<Mutant>) -> Result<usize> {
        let image = mutants::image()?;
        let initramfs = conformance::initramfs(target::DEFAULT, "mutants")?;
        let left = Mutex::new([Mutant::none()].into_iter().chain(mutants));
        let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
        let run_some = || iter::from_fn(next).filter(|it| !run_one(it, &image, &initramfs));
        thread::scope(|scope| {
            let boots: Vec<_> = (0..self.jobs.max(1))
                .map(|_| scope.spawn(|| run_some().count()))
                .collect();
            let counts = boots.into_iter().map(|boot| boot.join().unwrap_or(1));
            Ok(counts.sum())
        })
    }
}

/// Runs a mutant and prints a line; returns whether it was caught as expected.
fn run_one(mutant: &Mutant, image: &Path, initramfs: &Path) -> bool {
    let failed = mutant.run(image, initramfs);
    let judged = failed.and_then(|failed| mutant.judge(&failed).map(|()| failed));
    match &judged {
        Ok(failed) => println!("{:32} {}", mutant.name, caught(mutant, failed)),
        Err(error) => println!("{:32} {error:#}", mutant.name),
    }
    judged.is_ok()
}

/// The result of a mutant that was judged: the cases that had to fail, and how many others did.
fn caught(mutant: &Mutant, failed: &[CaseResult]) -> String {
    let expected = mutant.caught_by.join(", ");
    match failed.len() - mutant.caught_by.len() {
        _ if failed.is_empty() => "passes all".to_owned(),
        0 => format!("caught by {expected}"),
        others => format!("caught by {expected}, and {others} others"),
    }
}
