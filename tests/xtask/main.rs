//! Command line of the rig: `cargo xtask`.

mod check_command;
mod dist_command;
mod fleet_command;
mod measure;
mod mutants_command;

use std::io::{IsTerminal, Write, stdin, stdout};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use rig::conformance::TestedKernel;
use rig::initramfs::Initramfs;
use rig::kernels::{self, Kernel};
use rig::program::{self, Build};
use rig::qemu::Machine;
use rig::target::{self, Target};
use rig::{fuzz, paths, tool};

/// Time limit for a boot without a terminal.
const DEADLINE: Duration = Duration::from_secs(120);

/// Builds vm_anon_name and boots it in real kernels.
///
/// The default command is `run`: the program becomes the first process of a small
/// Linux and waits for Enter before each stage. Whatever is missing is fetched or
/// built first, which takes some minutes the first time.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
#[command(args_conflicts_with_subcommands = true, verbatim_doc_comment)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Task>,
    #[command(flatten)]
    run: RunCommand,
}

#[derive(Subcommand)]
enum Task {
    /// Build the executable and print its path.
    Build {
        #[command(flatten)]
        which: Which,
        /// The architecture, or all.
        #[arg(long, default_value = target::DEFAULT.name, value_parser = target::names(&["all"]))]
        target: String,
    },
    /// Boot the program in QEMU with the console on this terminal (the default).
    Run(RunCommand),
    /// Write an initramfs with the program as /init.
    Initramfs {
        #[command(flatten)]
        which: Which,
        /// The architecture.
        #[arg(long, default_value = target::DEFAULT.name, value_parser = target::names(&[]))]
        target: String,
        /// Path of the archive. Default: vm_anon_name.cpio in the target directory.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Run the conformance suite in the kernels and compare with the expected results.
    Check(check_command::Check),
    /// Run the conformance suite in a kernel with one defect at a time, which it must detect.
    Mutants(mutants_command::Mutants),
    /// Make the release folder: executables, archives, packages, reports and sums.
    Dist(dist_command::Dist),
    /// Run LAVA jobs for the kernels and boards, with one JUnit file and one page for all results.
    Fleet(fleet_command::FleetCommand),
    /// List the kernels: pinned version, whether it is in the cache, and what the kernel is for.
    Kernels(KernelsCommand),
    /// Fuzz the parser, the diff, the options and saved smaps, guided by coverage.
    Fuzz {
        /// What to fuzz. Default: all.
        #[arg(value_name = "TARGET", value_parser = fuzz::TARGETS)]
        targets: Vec<String>,
        /// Seconds for each target.
        #[arg(long, value_name = "N", default_value_t = 60)]
        seconds: u64,
    },
    /// Measure the program, peers in C++ and C, and the program as PID 1.
    Bench(measure::Bench),
    /// Write the tables and the picture of the figures of each architecture.
    Architectures {
        /// Measure them first, and record them in tests/architectures.json.
        #[arg(long)]
        measure: bool,
    },
    /// Print the size of both builds by section and by module.
    Size,
    /// Draw the picture of the stages from a real run, for README.md.
    Picture,
    /// Record maps and smaps of real kernels again, for the host tests.
    Record {
        /// Record only the programs that name their memory.
        #[arg(long)]
        programs: bool,
    },
    /// Check the format, run clippy, and build the documentation; a warning is an error.
    Lint,
}

#[derive(Args)]
struct KernelsCommand {
    /// Fetch or build the kernels of the matrix.
    #[arg(long)]
    build: bool,
    /// Pin the newest versions that Debian serves, in tests/debian.lock.
    #[arg(long)]
    update: bool,
}

#[derive(Args)]
struct Which {
    /// The minimal build: the four stages only.
    #[arg(long)]
    minimal: bool,
}

#[derive(Args)]
struct RunCommand {
    #[command(flatten)]
    which: Which,
    /// The architecture. Default: that of the kernel.
    #[arg(long, value_parser = target::names(&[]))]
    target: Option<String>,
    /// A kernel by its name in the list, or an image file.
    #[arg(long, value_name = "NAME|IMAGE", default_value = kernels::DEFAULT)]
    kernel: String,
    /// Run on this machine and its kernel, without QEMU.
    #[arg(long, conflicts_with_all = ["target", "kernel", "memory"])]
    native: bool,
    /// Memory of the machine. Default: what the kernel needs.
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
        Task::Build { which, target } => build(&which, &target),
        Task::Run(options) if options.native => run_natively(&options),
        Task::Run(options) => run(options),
        Task::Initramfs {
            which,
            target,
            output,
        } => initramfs(&which, target::find(&target)?, output),
        Task::Check(check) => check.run(),
        Task::Fleet(fleet) => fleet.run(),
        Task::Mutants(mutants) => mutants.run(),
        Task::Dist(dist) => dist.run(),
        Task::Kernels(options) => options.run(),
        Task::Fuzz { targets, seconds } => fuzz(&targets, seconds),
        Task::Bench(options) => measure::bench(&options),
        Task::Architectures { measure } => measure::architectures(measure),
        Task::Size => measure::size(),
        Task::Picture => rig::paths::write(&rig::picture::path(), rig::picture::draw()?),
        Task::Record { programs: true } => rig::recordings::renew_programs(),
        Task::Record { programs: false } => rig::recordings::renew(),
        Task::Lint => lint(),
    }
}

fn build(which: &Which, target: &str) -> Result<()> {
    let is_wanted = |it: &&Target| target == "all" || it.name == target;
    for target in target::ALL.into_iter().filter(is_wanted) {
        let path = program::build_for(target, which.build())?;
        let size = path.metadata()?.len();
        println!("{} ({size} bytes)", path.display());
    }
    Ok(())
}

/// Replaces this process by the program.
fn run_natively(options: &RunCommand) -> Result<()> {
    let path = program::build_for(target::host()?, options.which.build())?;
    let error = Command::new(&path).args(&options.args).exec();
    Err(error).with_context(|| format!("cannot run {}", path.display()))
}

fn run(options: RunCommand) -> Result<()> {
    let target = options.target.as_deref().map(target::find).transpose()?;
    let kernel = TestedKernel::of(target, &options.kernel)?;
    let (target, build) = (kernel.target(), options.which.build());
    let initramfs = Initramfs::with_program_for(target, build)?;
    let initramfs = initramfs.write(&format!("{}-{}", target.name, build.name()))?;
    let mut machine = kernel.machine(&initramfs)?;
    machine.name = "run".to_owned();
    machine.memory_mib = options.memory.unwrap_or(machine.memory_mib);
    machine.args = options.args;
    let is_terminal = stdin().is_terminal();
    if !is_terminal && program::waits_for_enter(&machine.args) {
        // A serial line has no end of file, so the stages would wait until the deadline.
        eprintln!("standard input is not a terminal: passing -y to the program");
        machine.args.insert(0, "-y".to_owned());
    }
    if options.verbose {
        eprintln!("$ {}", machine.shown()?);
    }
    match is_terminal {
        true => machine.take_over().map(|never| match never {}),
        false => run_without_terminal(&machine),
    }
}

fn run_without_terminal(machine: &Machine) -> Result<()> {
    let mut session = machine.boot(DEADLINE)?;
    session.echo();
    let boot = session.finish()?;
    boot.expect_power_off()?;
    // The minimal build does not print its exit status.
    match boot.status() {
        None | Some(0) => Ok(()),
        Some(status) => bail!("the program ended with exit status {status}"),
    }
}

fn initramfs(which: &Which, target: &'static Target, output: Option<PathBuf>) -> Result<()> {
    let path = output.unwrap_or_else(|| paths::target().join("vm_anon_name.cpio"));
    Initramfs::with_program_for(target, which.build())?.write_to(&path)?;
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
    let mut clippy = program::cargo("clippy");
    clippy.args(["--package", "rig", "--all-targets", "--", "-D", "warnings"]);
    tool::run(&mut clippy)?;
    rig::guest_agent::lint()?;
    program::lint()?;
    let mut doc = program::cargo("doc");
    doc.args([
        "--workspace",
        "--lib",
        "--no-deps",
        "--document-private-items",
    ]);
    tool::run(doc.env("RUSTDOCFLAGS", "-Dwarnings"))
}
