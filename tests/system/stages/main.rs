//! The four stages, on every kernel of the matrix.
//!
//! As PID 1 with nothing else in the image, with a terminal and without; and as a
//! child of a shell, where a second process copies the maps at each pause and GNU
//! diff compares the copies.

mod child;
mod init;
mod transcript;

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};
use rig::kernels::{self, Kernel};

/// What is tried on each kernel.
type Test = fn(&Kernel) -> Result<()>;

const EACH_KERNEL: &[(&str, Test)] = &[
    ("transcript_on_a_terminal", init::transcript_on_a_terminal),
    (
        "changes_have_the_seeds_shape",
        init::changes_have_the_seeds_shape,
    ),
    ("child_of_a_shell", child::agrees_with_gnu_diff),
];

/// What does not depend on the kernel.
const ONE_KERNEL: &[(&str, Test)] = &[
    ("minimal_build", init::minimal_build),
    ("ends_of_init", init::ends_as_told),
    ("exec_of_the_real_init", init::executes_the_real_init),
    ("words_of_others", init::passes_over_words_of_others),
    ("terminals_and_pipes", child::ends_every_prompt_line),
    ("usage", child::explains_usage),
    ("output_directory", child::writes_whole_files_or_none),
    ("reproducible_initramfs", init::archive_is_reproducible),
];

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for kernel in kernels::matrix() {
        for (name, test) in EACH_KERNEL {
            trials.push(trial(format!("{}::{name}", kernel.name), *test, kernel));
        }
    }
    let kernel = kernels::find(kernels::DEFAULT).expect("the default is in the list");
    for (name, test) in ONE_KERNEL {
        trials.push(trial((*name).to_owned(), *test, kernel));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(name: String, test: Test, kernel: &'static Kernel) -> Trial {
    Trial::test(name, move || {
        test(kernel).map_err(|error| Failed::from(format!("{error:#}")))
    })
}
