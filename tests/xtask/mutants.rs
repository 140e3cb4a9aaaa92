//! `cargo xtask mutants`: is every broken kernel caught?

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use anyhow::{Result, bail};
use clap::Args;
use rig::check;
use rig::kernels;
use rig::ktap::Case;
use rig::mutants::{self, Lab, Mutant};
use rig::mutation::campaign::{self, Plan};

/// Which kernels to break.
#[derive(Args)]
pub struct Mutants {
    /// The mutants by name, see --list, or with --every-line the functions; all, if none
    /// is given.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Mutate every line on the kernel's naming path instead.
    #[arg(long)]
    every_line: bool,
    /// The kernel whose lines these are.
    #[arg(long, value_name = "NAME", default_value = kernels::DEFAULT, requires = "every_line")]
    kernel: String,
    /// A file to test instead of the program of this checkout.
    #[arg(long, value_name = "FILE", requires = "every_line")]
    program: Option<PathBuf>,
    /// Forget what an earlier run of this kernel and program has found.
    #[arg(long, requires = "every_line")]
    again: bool,
    /// List them: what is broken, and which cases must notice.
    #[arg(short, long)]
    list: bool,
    /// How many to boot at once, while the next is built.
    #[arg(short, long, default_value_t = 1)]
    jobs: usize,
}

/// A mutant and its image, or why there is none.
type Built = (Mutant, Result<PathBuf>);

impl Mutants {
    /// Prints a line a mutant, and fails if one is not caught as it must be.
    pub fn run(&self) -> Result<()> {
        if self.every_line {
            return self.every_line();
        }
        let mutants = mutants::find(&self.names)?;
        if self.list {
            for mutant in mutants {
                println!("{}: {}", mutant.name, mutant.sentence);
                println!("    {}", mutant.caught_by.join(", "));
            }
            return Ok(());
        }
        let count = mutants.len();
        let bad = self.try_all(mutants)?;
        match bad {
            0 => Ok(()),
            _ => bail!("{bad} of {} kernels are not as they must be", count + 1),
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
            (_, stale) => bail!("{stale} mutants are listed as unobservable and are not"),
        }
    }

    /// Builds one after the other, boots what is built, and counts what is amiss.
    /// The sound kernel is first: if it fails a case, nothing else means much.
    fn try_all(&self, mutants: Vec<Mutant>) -> Result<usize> {
        let mut lab = Lab::open()?;
        let initramfs = check::initramfs("mutants")?;
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

/// Boots what comes, until no more does, and counts what is amiss.
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

fn caught(failed: &[Case]) -> String {
    let names: Vec<&str> = failed.iter().map(|case| case.name.as_str()).collect();
    match names[..] {
        [] => "passes all".to_owned(),
        _ => format!("caught by {}", names.join(", ")),
    }
}
