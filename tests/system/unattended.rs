//! Command lines with mistakes: the program reports them and ends, also as PID 1.
//!
//! After a mistake on the kernel's command line PID 1 prints a status that is not 0 and powers
//! the machine off, so that a monitor does not have to wait for its timeout.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use rig::initramfs::Initramfs;
use rig::kernels;
use rig::program::Build;

use crate::messages::SAME_MAPS;
use crate::shell::{self, Output};
use crate::trial::Trial;

/// Time limit of a boot. It is exceeded if the program waits for Enter.
const DEADLINE: Duration = Duration::from_secs(60);

/// Words before `--`, words after it, the status, and what the console must show.
type Boot = (&'static str, &'static [&'static str], u8, &'static str);

const BOOTS: &[Boot] = &[
    // Mistakes in words for this program.
    ("", &["chekc"], 2, "'chekc'"),
    ("", &["--shred"], 2, "'--shred'"),
    ("", &["probe", "check"], 2, "'check'"),
    ("", &["check", "no-such-case"], 2, "'no-such-case'"),
    ("", &["-s", "probe"], 2, "'probe'"),
    ("", &["-n"], 2, "'-n'"),
    ("", &["probe", "-n", "x"], 2, "-n"),
    ("", &["check", "-o", "/"], 2, "-o"),
    ("", &["-y", "--then"], 2, "'--then'"),
    ("", &["-o", "check"], 2, "'check'"),
    ("rhgb", &["-y", "rhgb"], 2, "'rhgb'"),
    // Words before `--` that the kernel passes on are not meant for this program. They have no
    // effect unless they are options that take one of its words as their value.
    ("-s", &["probe"], 2, "'probe'"),
    ("-o", &["check", "name-is-shown"], 2, "'check'"),
    ("splash single -b", &["probe"], 0, "supported: Linux "),
    (
        "splash rhgb",
        &["check", "name-is-shown"],
        0,
        "\nok 1 name-is-shown\n",
    ),
    ("splash rhgb", &["-y"], 0, SAME_MAPS),
    ("chekc", &[], 2, "'chekc'"),
    ("splash -s", &[], 2, "'-s'"),
    ("probe", &[], 0, "supported: Linux "),
];

/// Command lines in a shell that are usage errors, and the word that the message names.
const USAGE_ERRORS: &[(&str, &str)] = &[
    ("check -o /tmp", "--output"),
    ("check --output=/tmp", "--output"),
    ("check -n x", "--name"),
    ("check -s 4", "--size"),
    ("check -S", "--shared"),
    ("check -y", "--yes"),
    ("check -q", "--quiet"),
    ("-q check", "--quiet"),
    ("probe -n x -s 4", "--size"),
    ("probe -o /tmp", "--output"),
    ("probe -S", "--shared"),
    ("probe -y", "--yes"),
    ("probe -l", "--list"),
    ("probe -r", "--require"),
    ("stages -l", "--list"),
    ("-y -r", "--require"),
    ("probe check", "'check'"),
    ("probe probe", "'probe'"),
    ("stages probe", "'probe'"),
    ("probe stages", "'stages'"),
    ("check probe", "'probe'"),
    ("chekc", "'chekc'"),
    ("probe -t reboot", "--then"),
];

/// Correct command lines in a shell.
const RIGHT: &[&str] = &[
    "-q -y",
    "-y stages",
    "-yS -s 8K -n x -o /tmp",
    "probe -q",
    "check -r name-is-shown",
    "check --list name-is-shown",
    "probe --help",
    "check -o /tmp --version",
    "help",
    "version",
];

pub(crate) fn trials() -> Vec<Trial> {
    let boots = BOOTS.iter().map(|boot| {
        let (before, after, ..) = *boot;
        let line = [
            before,
            if after.is_empty() { "" } else { "--" },
            &after.join(" "),
        ]
        .join(" ");
        Trial::new(format!("PID 1: {}", line.trim()), || boot_ends(boot))
    });
    let errors = USAGE_ERRORS
        .iter()
        .enumerate()
        .map(|(number, (line, word))| {
            Trial::new(format!("a usage error: {line}"), move || {
                let output = output(number)?;
                let is_usage_error = output.status == 2 && output.stdout.is_empty();
                ensure!(is_usage_error && output.stderr.contains(word), "{output}");
                Ok(())
            })
        });
    let right = RIGHT.iter().enumerate().map(|(number, line)| {
        Trial::new(format!("no usage error: {line}"), move || {
            let output = output(USAGE_ERRORS.len() + number)?;
            ensure!(output.status == 0 && output.stderr.is_empty(), "{output}");
            Ok(())
        })
    });
    boots.chain(errors).chain(right).collect()
}

fn boot_ends(&(before, after, status, shown): &Boot) -> Result<()> {
    let initramfs = Initramfs::with_program(Build::Full)?.char_device("/dev/zero", 0o666, 1, 5);
    let name = format!("system-unattended {before} {}", after.join(" ")).replace('/', "_");
    let mut machine = kernels::find(kernels::DEFAULT)?.machine(&initramfs.write("field")?)?;
    machine.name = name;
    machine.append = before.to_owned();
    machine.args = after.iter().map(|word| (*word).to_owned()).collect();
    let boot = machine.run(DEADLINE)?;
    boot.expect_power_off()?;
    let text = boot.text();
    ensure!(
        boot.status() == Some(status),
        "status {:?}\n{text}",
        boot.status()
    );
    ensure!(text.contains(shown), "no {shown:?}\n{text}");
    Ok(())
}

/// The output of a command line in a shell. One boot runs all of the command lines.
fn output(number: usize) -> Result<&'static Output> {
    static OUTPUTS: OnceLock<Result<Vec<Output>, String>> = OnceLock::new();
    let outputs = OUTPUTS.get_or_init(|| {
        let lines = USAGE_ERRORS
            .iter()
            .map(|(line, _)| *line)
            .chain(RIGHT.iter().copied());
        let scripts: Vec<String> = lines.map(|line| format!("vm_anon_name {line}")).collect();
        let scripts = scripts.iter().map(String::as_str);
        let outputs = shell::run_all(kernels::DEFAULT, "system-usage", "", scripts, 5 * DEADLINE);
        outputs.map_err(|error| format!("{error:#}"))
    });
    let outputs = outputs.as_ref().map_err(|error| anyhow!("{error}"))?;
    outputs.get(number).context("no output")
}
