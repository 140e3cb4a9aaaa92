//! The program in the surroundings of its users: slow lines, dead consoles, little memory,
//! containers, mistyped commands, and what a process inherits.

mod consoles;
mod container;
mod inherited;
mod low_memory;
mod serial_line;
mod shell;
mod unattended;

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let trials = [
        serial_line::trials(),
        consoles::trials(),
        low_memory::trials(),
        container::trials(),
        unattended::trials(),
        inherited::trials(),
    ];
    let trials = trials.into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A trial that fails with an error and all of its causes.
fn trial(name: impl Into<String>, test: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test().map_err(|error| Failed::from(format!("{error:#}")))
    })
}
