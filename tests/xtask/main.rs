//! The command line of the rig.
//!
//! Every command is a call into the library; nothing is decided here but what
//! the defaults are.

mod check_command;
mod measure;
mod mutants_command;

use std::io::{IsTerminal, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use rig::initramfs::Initramfs;
use rig::kernels::{self, Kernel};
use rig::program::{self, Build};
use rig::qemu::Machine;
use rig::{fuzz, paths, tool};

/// How long a boot may take that nobody watches.
const DEADLINE: Duration = Duration::from_secs(120);

/// Builds vm_anon_name and boots it in real kernels.
///
/// Without a command it runs: the program is built, becomes the first process of
/// a small Linux, and waits for Enter before each step. Whatever is missing is
/// fetched or built first, which takes some minutes once.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
#[command(args_conflicts_with_subcommands = true, verbatim_doc_comment)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Task>,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Task {
    /// Build the executable and say where it lies.
    Build(Which),
    /// Boot the program in QEMU, the console on this terminal (the default).
    Run(Run),
    /// Write the initramfs: the program as /init.
    Initramfs {
        #[command(flatten)]
        which: Which,
        /// Where to write it.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Run the conformance suite in the kernels and print a verdict on each.
    Check(check_command::Check),
    /// Break kernels on purpose and see whether the suite notices.
    Mutants(mutants_command::Mutants),
    /// List the kernels: pinned version, whether it is in the cache, and why it is there.
    Kernels(KernelsCommand),
    /// Fuzz the parser, the diff and the options, guided by coverage.
    Fuzz {
        /// Which of them; all if none is named.
        #[arg(value_name = "TARGET", value_parser = fuzz::TARGETS)]
        targets: Vec<String>,
        /// How long each.
        #[arg(long, value_name = "N", default_value_t = 60)]
        seconds: u64,
    },
    /// Measure the program beside the same job in C++ and C, and its start as PID 1.
    Bench(measure::Bench),
    /// Tell which section and which module the bytes of both builds went to.
    Size,
    /// Check the format of all sources, and let clippy look at them.
    Lint,
}

#[derive(Args)]
struct KernelsCommand {
    /// Fetch or build the kernels that the tests need.
    #[arg(long)]
    build: bool,
    /// Pin the newest versions that Debian serves, in tests/debian.lock.
    #[arg(long)]
    update: bool,
}

#[derive(Args)]
struct Which {
    /// Without the optional features: the smallest file.
    #[arg(long)]
    minimal: bool,
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    which: Which,
    /// A kernel by its name in the list, or the file of an image.
    #[arg(long, value_name = "NAME|IMAGE", default_value = kernels::DEFAULT)]
    kernel: String,
    /// Memory of the machine.
    #[arg(long, value_name = "MIB")]
    memory: Option<u32>,
    /// Show the QEMU command.
    #[arg(short, long)]
    verbose: bool,
    /// Arguments of the program.
    #[arg(last = true)]
    args: Vec<String>,
}

impl KernelsCommand {
    fn run(&self) -> Result<()> {
        if self.update {
            update_pins()?;
        }
        match (self.build, self.update) {
            (true, _) => build_kernels(),
            (false, true) => Ok(()),
            (false, false) => list_kernels(),
        }
    }
}

impl Which {
    fn build(&self) -> Build {
        match self.minimal {
            true => Build::Minimal,
            false => Build::Full,
        }
    }
}

fn main() -> ExitCode {
    let line = CommandLine::parse();
    match execute(line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(line: CommandLine) -> Result<()> {
    match line.command.unwrap_or(Task::Run(line.run)) {
        Task::Build(which) => build(&which),
        Task::Run(options) => run(options),
        Task::Initramfs { which, output } => initramfs(&which, output),
        Task::Check(check) => check.run(),
        Task::Mutants(mutants) => mutants.run(),
        Task::Kernels(options) => options.run(),
        Task::Fuzz { targets, seconds } => fuzz(&targets, seconds),
        Task::Bench(options) => measure::bench(&options),
        Task::Size => measure::size(),
        Task::Lint => lint(),
    }
}

fn build(which: &Which) -> Result<()> {
    let path = program::build(which.build())?;
    let size = path.metadata()?.len();
    println!("{} ({size} bytes)", path.display());
    Ok(())
}

fn run(options: Run) -> Result<()> {
    let build = options.which.build();
    let initramfs = Initramfs::with_program(build)?.write(build.name())?;
    let mut machine = match kernels::find(&options.kernel) {
        Ok(kernel) => kernel.machine(&initramfs)?,
        Err(_) if Path::new(&options.kernel).exists() => {
            Machine::new(Path::new(&options.kernel), &initramfs)
        }
        Err(unknown) => return Err(unknown),
    };
    machine.name = "run".to_owned();
    machine.memory_mib = options.memory.unwrap_or(machine.memory_mib);
    machine.args = options.args;
    let is_attended = stdin().is_terminal();
    if !is_attended {
        pass_yes(&mut machine.args);
    }
    if options.verbose {
        eprintln!("$ {}", machine.shown()?);
    }
    match is_attended {
        true => machine.take_over().map(|never| match never {}),
        false => run_unattended(&machine),
    }
}

/// A serial line has no end of file, so a demonstration that waits for Enter
/// would wait for ever once nobody types.
fn pass_yes(args: &mut Vec<String>) {
    let is_demonstration = args.first().is_none_or(|first| first.starts_with('-'));
    if is_demonstration && !args.iter().any(|arg| arg == "-y") {
        eprintln!("standard input is not a terminal: passing -y to the program");
        args.insert(0, "-y".to_owned());
    }
}

fn run_unattended(machine: &Machine) -> Result<()> {
    let mut session = machine.boot(DEADLINE)?;
    session.echo();
    let console = session.finish()?;
    console.expect_power_off()?;
    // The minimal build does not say with which status it ends.
    match console.status() {
        None | Some(0) => Ok(()),
        Some(status) => bail!("the program ended with status {status}"),
    }
}

fn initramfs(which: &Which, output: Option<PathBuf>) -> Result<()> {
    let path = output.unwrap_or_else(|| paths::target().join("vm_anon_name.cpio"));
    Initramfs::with_program(which.build())?.write_to(&path)?;
    println!("{}", path.display());
    Ok(())
}

fn list_kernels() -> Result<()> {
    let mut out = stdout().lock();
    for kernel in kernels::ALL {
        let version = kernel.pinned_version()?.unwrap_or_default();
        let cached = match kernel.cached()? {
            Some(_) => "cached",
            None => "-",
        };
        let Kernel { name, why, .. } = kernel;
        writeln!(out, "{name:16} {version:12} {cached:7} {why}")?;
    }
    Ok(())
}

fn update_pins() -> Result<()> {
    for package in kernels::update_pins()? {
        println!("{package}");
    }
    Ok(())
}

fn build_kernels() -> Result<()> {
    for kernel in kernels::matrix() {
        let image = kernel.image()?;
        println!("{}", image.path.display());
    }
    Ok(())
}

fn fuzz(targets: &[String], seconds: u64) -> Result<()> {
    let named = |target: &&str| targets.is_empty() || targets.iter().any(|name| name == *target);
    for target in fuzz::TARGETS.into_iter().filter(named) {
        fuzz::run(target, Duration::from_secs(seconds))?;
    }
    Ok(())
}

fn lint() -> Result<()> {
    tool::run(program::cargo("fmt").args(["--all", "--", "--check"]))?;
    let mut clippy: Command = program::cargo("clippy");
    clippy.args(["--package", "rig", "--all-targets", "--", "-D", "warnings"]);
    tool::run(&mut clippy)?;
    rig::guest_agent::lint()?;
    program::lint()
}
