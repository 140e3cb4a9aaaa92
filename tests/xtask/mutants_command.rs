//! `cargo xtask mutants`: the conformance suite in kernels with a defect.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use anyhow::{Result, bail};
use clap::Args;
use rig::conformance;
use rig::kernels;
use rig::mutants::{self, Lab, Mutant};
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
    /// Number of machines that run at once. Mutants are built one at a time meanwhile.
    #[arg(short, long, default_value_t = 1)]
    jobs: usize,
}

/// A mutant with its image, or the error of the build.
type Built = (Mutant, Result<PathBuf>);

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
            _ => bail!("{bad} of {} kernels are not caught as expected", count + 1),
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

    /// Builds the mutants one after the other and runs those that are built; returns
    /// the number of failures. The original kernel is the first: if it fails a case, the
    /// other results mean little.
    fn run_all(&self, mutants: Vec<Mutant>) -> Result<usize> {
        let mut lab = Lab::open()?;
        let initramfs = conformance::initramfs(target::DEFAULT, "mutants")?;
        let (to_boot, built) = mpsc::channel();
        let built = Mutex::new(built);
        thread::scope(|scope| {
            let boots: Vec<_> = (0..self.jobs.max(1))
                .map(|_| scope.spawn(|| boot_all(&built, &initramfs)))
                .collect();
            for mutant in [Mutant::none()].into_iter().chain(mutants) {
                let image = lab.image(&mutant);
                if to_boot.send((mutant, image)).is_err() {
                    break;
                }
            }
            drop(to_boot);
            let counts = boots.into_iter().map(|boot| boot.join().unwrap_or(1));
            Ok(counts.sum())
        })
    }
}

/// Runs the mutants that are received; returns the number of failures.
fn boot_all(built: &Mutex<Receiver<Built>>, initramfs: &Path) -> usize {
    let mut bad = 0;
    loop {
        let next = match built.lock() {
            Ok(receiver) => receiver.recv(),
            Err(_) => return bad + 1,
        };
        let Ok((mutant, image)) = next else {
            return bad;
        };
        let failed = image.and_then(|image| mutant.run(image, initramfs));
        let judged = failed.and_then(|failed| mutant.judge(&failed).map(|()| failed));
        match judged {
            Ok(failed) => println!("{:32} {}", mutant.name, caught(&failed)),
            Err(error) => {
                println!("{:32} {error:#}", mutant.name);
                bad += 1;
            }
        }
    }
}

fn caught(failed: &[CaseResult]) -> String {
    let names: Vec<&str> = failed.iter().map(|case| case.name.as_str()).collect();
    match names[..] {
        [] => "passes all".to_owned(),
        _ => format!("caught by {}", names.join(", ")),
    }
}
