//! Delivery tests: the program as users, image builders and distributions build and get it.
//!
//! Each module has a function that returns its trials. The name of a trial begins with the
//! name of its module, so `cargo test --test delivery builds::` runs one module.
//! `tests/README.md` describes the modules.

mod browser;
mod builds;
mod clones;
mod debian_root;
mod dist;
mod images;
mod labs;
mod manual_page;
mod messages;
mod package;
mod readme;
mod recipes;
mod triples;
mod works;
mod workshop;

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = [
        builds::trials(),
        triples::trials(),
        package::trials(),
        messages::trials(),
        dist::trials(),
        manual_page::trials(),
        images::trials(),
        recipes::trials(),
        labs::trials(),
        readme::trials(),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials.into_iter().flatten().collect());
    workshop::remove();
    conclusion.exit_code()
}

/// Wraps a test function as a trial of libtest-mimic.
fn trial(name: impl Into<String>, test: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test().map_err(|error| Failed::from(format!("{error:#}")))
    })
}
