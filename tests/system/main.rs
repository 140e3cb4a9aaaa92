//! System tests: the program in real kernels, booted in QEMU.
//!
//! Each module has a function that returns its trials. The name of a trial begins with the
//! name of its module, so `cargo test --test system robustness::` runs one module.
//! `tests/README.md` describes the modules.

mod architectures;
mod boards;
mod check;
mod consoles;
mod container;
mod fault_injection;
mod inherited;
mod low_memory;
mod machine;
mod messages;
mod mutants;
mod names;
mod native;
mod pid1;
mod probe;
mod rig_failures;
mod robustness;
mod selftest;
mod serial_line;
mod shell;
mod software;
mod stages;
mod transcript;
mod trial;
mod unattended;
mod upstream;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let modules = [
        ("stages", stages::trials()),
        ("probe", probe::trials()),
        ("check", check::trials()),
        ("architectures", architectures::trials()),
        ("boards", boards::trials()),
        ("selftest", selftest::trials()),
        ("mutants", mutants::trials()),
        ("pid1", pid1::trials()),
        ("names", names::trials()),
        ("software", software::trials()),
        ("native", native::trials()),
        ("robustness", robustness::trials()),
        ("fault_injection", fault_injection::trials()),
        ("serial_line", serial_line::trials()),
        ("consoles", consoles::trials()),
        ("low_memory", low_memory::trials()),
        ("container", container::trials()),
        ("unattended", unattended::trials()),
        ("inherited", inherited::trials()),
        ("upstream", upstream::trials()),
        ("rig_failures", rig_failures::trials()),
    ];
    let mut all = Vec::new();
    for (module, trials) in modules {
        all.extend(trials.into_iter().map(|trial| trial.in_module(module)));
    }
    let conclusion = libtest_mimic::run(&arguments, all);
    fault_injection::print_totals();
    conclusion.exit_code()
}
