//! System tests: the program in real kernels, booted in QEMU.
//!
//! Each module has a function that returns its trials. The name of a trial begins with the
//! name of its module, so `cargo test --test system robustness::` runs one module.
//! `tests/README.md` lists the modules.

mod fault_injection;
mod messages;
mod robustness;
mod trial;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let modules = [
        ("robustness", robustness::trials()),
        ("fault_injection", fault_injection::trials()),
    ];
    let mut all = Vec::new();
    for (module, trials) in modules {
        all.extend(trials.into_iter().map(|trial| trial.in_module(module)));
    }
    let conclusion = libtest_mimic::run(&arguments, all);
    fault_injection::print_totals();
    conclusion.exit_code()
}
