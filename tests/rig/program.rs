//! Builds of the executable under test.
//!
//! The compiler is that of the active toolchain if it has the target, and Debian's
//! otherwise; a message says which. The path of the executable is taken from Cargo's JSON
//! messages.
//!
//! The linker and the flags of an architecture are not in a configuration file of Cargo: if
//! it is the architecture of the host, they would also apply to the rig and to build scripts.

use std::env;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use cargo_metadata::Message;
use vm_anon_name::options::{self, Flag, Options};

use crate::host_packages;
use crate::paths;
use crate::target::{self, Target};
use crate::tool;

/// Name of the program's package and of its executable.
pub const PACKAGE: &str = "vm_anon_name";
/// Variable with the flags of rustc, separated by the character 0x1f.
pub const FLAGS_VARIABLE: &str = "CARGO_ENCODED_RUSTFLAGS";
const FLAG_SEPARATOR: &str = "\x1f";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// Directory with the sources of Rust's libraries in Debian.
pub const LIBRARY_SOURCE: &str = "/usr/lib/rustlib/src";
const DEBIAN_CLIPPY: &str = "/usr/bin/clippy-driver";

/// Prefixes of the variables that `cargo run` and `cargo test` set for the rig's package.
/// They are removed when the rig calls Cargo to build the program.
const OUTER_CARGO: &[&str] = &[
    "CARGO_BIN_",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_TARGET_TMPDIR",
    "LD_LIBRARY_PATH",
    "OUT_DIR",
];

/// Build of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// With all features.
    Full,
    /// Without features: the four stages only.
    Minimal,
}

impl Build {
    /// Name for files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Build::Full => "full",
            Build::Minimal => "minimal",
        }
    }

    fn profile(self) -> &'static [&'static str] {
        match self {
            Build::Full => &["--release"],
            Build::Minimal => &["--profile", "minimal"],
        }
    }

    fn features(self) -> &'static [&'static str] {
        match self {
            Build::Full => &[],
            Build::Minimal => &["--no-default-features"],
        }
    }
}

/// Builds the program for the default target, once per process; returns the path of the
/// executable.
pub fn build(build: Build) -> Result<PathBuf> {
    build_for(target::DEFAULT, build)
}

/// Builds the program for `target`, once per process; returns the path of the executable.
pub fn build_for(target: &'static Target, build: Build) -> Result<PathBuf> {
    type Key = (&'static str, Build);
    static BUILT: Mutex<Vec<(Key, PathBuf)>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (target.name, build);
    if let Some((_, path)) = built.iter().find(|(known, _)| *known == key) {
        return Ok(path.clone());
    }
    let path = artifact(build_command(target, build)?, PACKAGE)?;
    built.push((key, path.clone()));
    Ok(path)
}

/// Builds a variant of the program in a target directory of its own. `adjust` changes
/// Cargo's command.
pub fn build_variant(
    build: Build,
    variant: &str,
    adjust: impl FnOnce(&mut Command),
) -> Result<PathBuf> {
    build_variant_for(target::DEFAULT, build, variant, adjust)
}

/// The same as [`build_variant`], for another architecture.
pub fn build_variant_for(
    target: &'static Target,
    build: Build,
    variant: &str,
    adjust: impl FnOnce(&mut Command),
) -> Result<PathBuf> {
    let directory = paths::scratch(variant)?;
    build_adjusted(target, build, |cargo| {
        cargo.arg("--target-dir").arg(directory);
        adjust(cargo);
    })
}

/// Builds the program after `adjust` has changed Cargo's command. `adjust` must set a target
/// directory for this build alone.
pub fn build_adjusted(
    target: &'static Target,
    build: Build,
    adjust: impl FnOnce(&mut Command),
) -> Result<PathBuf> {
    let mut cargo = build_command(target, build)?;
    adjust(&mut cargo);
    artifact(cargo, PACKAGE)
}

/// Adds flags of rustc to a command that builds the program.
pub fn add_flags(cargo: &mut Command, added: &[String]) {
    let mut variables = cargo.get_envs();
    let flags = variables.find_map(|(name, value)| value.filter(|_| name == FLAGS_VARIABLE));
    let flags = flags.unwrap_or_default().to_string_lossy().into_owned();
    let flags = [&[flags], added].concat().join(FLAG_SEPARATOR);
    cargo.env(FLAGS_VARIABLE, flags);
}

/// Cargo in the workspace, with a compiler that has the target.
pub fn cross_cargo(target: &'static Target, subcommand: &str) -> Result<Command> {
    Ok(Compiler::get(target)?.cargo(subcommand))
}

/// Cargo in the workspace, with Debian's compiler, which compiles core for any triple.
pub fn cargo_with_core(subcommand: &str) -> Result<Command> {
    host_packages::RUST_SOURCE.ensure()?;
    Ok(Compiler::DebianSource.cargo(subcommand))
}

/// Whether the program, as PID 1 with these arguments, waits for Enter. Its own parser
/// tells the command and `--yes`, in all their forms; mistakes end the program at once.
pub fn waits_for_enter(arguments: &[String]) -> bool {
    let words = arguments.iter().map(|word| CString::new(word.as_str()));
    // An argument of a process contains no NUL.
    let words: Vec<CString> = words.filter_map(Result::ok).collect();
    let mut options = Options::default();
    let mut words = words.iter().map(CString::as_c_str);
    options.parse(&mut words, true, &mut |_, _| {});
    options.usable && options.command == options::Command::Stages && !options.has(Flag::Yes)
}

/// Version of the compiler that the program is built with.
pub fn compiler_release(target: &'static Target) -> Result<String> {
    release(&Compiler::get(target)?.rustc())
}

/// The triple of the host.
pub fn host() -> Result<String> {
    host_triple(&active_rustc())
}

/// The linker that comes with the active toolchain.
pub fn linker() -> Result<PathBuf> {
    let active = &active_rustc();
    let directory = format!("lib/rustlib/{}/bin", host_triple(active)?);
    let linker = sysroot(active)?.join(directory).join("rust-lld");
    if !linker.exists() {
        bail!(
            "the active toolchain lacks {}; toolchains of rustup have it",
            linker.display()
        );
    }
    Ok(linker)
}

/// Runs clippy over the program in both builds, for each architecture; a warning is an error.
pub fn lint() -> Result<()> {
    for target in target::ALL {
        for build in [Build::Full, Build::Minimal] {
            let mut clippy = clippy(target, PACKAGE, build.features())?;
            // The build script fails if no linker is set for another architecture.
            set_flags(&mut clippy, target)?;
            tool::run(&mut clippy)?;
        }
    }
    Ok(())
}

/// Runs clippy over a package for the guest; a warning is an error.
pub(crate) fn lint_package(target: &'static Target, name: &str, features: &[&str]) -> Result<()> {
    tool::run(&mut clippy(target, name, features)?)
}

fn clippy(target: &'static Target, name: &str, features: &[&str]) -> Result<Command> {
    let what = ["--package", name, "--target", target.triple];
    let arguments = [&what, features].concat();
    Ok(Compiler::get(target)?.clippy(&arguments))
}

fn build_command(target: &'static Target, build: Build) -> Result<Command> {
    let mut cargo = Compiler::get(target)?.cargo("build");
    cargo.args(["--package", PACKAGE, "--target", target.triple]);
    cargo.args(build.profile()).args(build.features());
    set_flags(&mut cargo, target)?;
    Ok(cargo)
}

/// Passes rustc's flags for the program, the linker among them: a linker in Cargo's
/// configuration for the host's triple would also link build scripts.
fn set_flags(cargo: &mut Command, target: &'static Target) -> Result<()> {
    let linker = format!("-Clinker={}", Compiler::get(target)?.linker()?.display());
    let flags = [&[linker.as_str()], target.rustflags].concat();
    cargo.env(FLAGS_VARIABLE, flags.join(FLAG_SEPARATOR));
    Ok(())
}

/// Runs a build; returns the path of the executable with that name.
pub(crate) fn artifact(mut cargo: Command, name: &str) -> Result<PathBuf> {
    cargo.args(["--quiet", "--message-format", "json-render-diagnostics"]);
    let output = cargo
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", tool::show(&cargo)))?;
    if !output.status.success() {
        bail!("{}\n{}", tool::show(&cargo), output.status);
    }
    executable(&output.stdout, name)
}

fn executable(messages: &[u8], name: &str) -> Result<PathBuf> {
    for message in Message::parse_stream(messages) {
        if let Message::CompilerArtifact(artifact) = message?
            && artifact.target.name == name
            && let Some(path) = artifact.executable
        {
            return Ok(path.into());
        }
    }
    bail!("Cargo has built no executable {name}")
}

/// A compiler for a target.
#[derive(Clone, Copy)]
enum Compiler {
    /// The active toolchain's own.
    Active,
    /// Debian's, with the linker of the active toolchain.
    Debian,
    /// Debian's, which also compiles the core library, from Debian's sources.
    DebianSource,
}

impl Compiler {
    /// The compiler for a target, which is chosen once per process.
    fn get(target: &'static Target) -> Result<Self> {
        static CHOICES: Mutex<Vec<(&str, Compiler)>> = Mutex::new(Vec::new());
        let mut choices = CHOICES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == target.name) {
            return Ok(*choice);
        }
        let choice = Self::choose(target)?;
        choices.push((target.name, choice));
        Ok(choice)
    }

    fn choose(target: &Target) -> Result<Self> {
        let sysroot = sysroot(&active_rustc())?;
        let choice = match &target.core {
            _ if target.has_core(&sysroot) => Compiler::Active,
            Some(packages) => {
                packages.ensure()?;
                Compiler::Debian
            }
            None => {
                host_packages::RUST_SOURCE.ensure()?;
                Compiler::DebianSource
            }
        };
        choice.announce(target)?;
        Ok(choice)
    }

    fn announce(self, target: &Target) -> Result<()> {
        let version = release(&self.rustc())?;
        let lack = format!("(the active toolchain lacks {})", target.triple);
        let compiler = match self {
            Compiler::Active => format!("the active toolchain's rustc {version}"),
            Compiler::Debian => format!("Debian's rustc {version} {lack}"),
            Compiler::DebianSource => {
                format!("Debian's rustc {version}, with core from its source {lack}")
            }
        };
        eprintln!("program for {}: compiled by {compiler}", target.name);
        Ok(())
    }

    fn rustc(self) -> PathBuf {
        match self {
            Compiler::Active => active_rustc(),
            Compiler::Debian | Compiler::DebianSource => DEBIAN_RUSTC.into(),
        }
    }

    /// The linker: that of the active toolchain.
    fn linker(self) -> Result<PathBuf> {
        match self {
            Compiler::Active => Ok("rust-lld".into()),
            Compiler::Debian | Compiler::DebianSource => linker(),
        }
    }

    /// Cargo with this compiler, in the workspace.
    fn cargo(self, subcommand: &str) -> Command {
        let mut command = cargo(subcommand);
        if !matches!(self, Compiler::Active) {
            command.env("RUSTC", DEBIAN_RUSTC);
        }
        if matches!(self, Compiler::DebianSource) {
            // The core library is compiled with features of the compiler that are not stable.
            command.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=core");
        }
        command
    }

    /// Clippy with this compiler, in the workspace; a warning is an error.
    fn clippy(self, arguments: &[&str]) -> Command {
        match self {
            Compiler::Active => {
                let mut command = self.cargo("clippy");
                command.args(arguments).args(["--", "-D", "warnings"]);
                command
            }
            // Clippy reads only metadata of its own compiler version, so Debian's
            // compiler needs Debian's clippy. These variables are how `cargo clippy`
            // passes its driver and its arguments to `cargo check`.
            Compiler::Debian | Compiler::DebianSource => {
                let mut command = self.cargo("check");
                command.args(arguments);
                command.env("RUSTC_WORKSPACE_WRAPPER", DEBIAN_CLIPPY);
                command.env(
                    "CLIPPY_ARGS",
                    "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__",
                );
                command
            }
        }
    }
}

/// Cargo in the workspace, without the variables of the Cargo that started the rig.
pub fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg(subcommand).current_dir(paths::workspace());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if OUTER_CARGO.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

fn active_rustc() -> PathBuf {
    env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from)
}

fn sysroot(rustc: &Path) -> Result<PathBuf> {
    Ok(ask(rustc, &["--print", "sysroot"])?.into())
}

fn host_triple(rustc: &Path) -> Result<String> {
    version_field(rustc, "host: ")
}

fn release(rustc: &Path) -> Result<String> {
    version_field(rustc, "release: ")
}

fn version_field(rustc: &Path, name: &str) -> Result<String> {
    let text = ask(rustc, &["--version", "--verbose"])?;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(value
        .with_context(|| format!("rustc --version does not print {name}"))?
        .to_owned())
}

fn ask(rustc: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(rustc);
    command.args(arguments).current_dir(paths::workspace());
    Ok(tool::output(&mut command)?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::waits_for_enter;

    #[track_caller]
    fn check(arguments: &str, expected: bool) {
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        assert_eq!(waits_for_enter(&arguments), expected, "{arguments:?}");
    }

    #[test]
    fn stages_wait_unless_they_are_told_not_to() {
        check("", true);
        check("stages", true);
        check("-q --then reboot", true);
        check("--then=reboot stages -n y", true);
        check("-n -y", true);
        check("-y", false);
        check("--yes", false);
        check("-qy -t reboot", false);
    }

    #[test]
    fn other_commands_and_mistakes_do_not_wait() {
        check("probe", false);
        check("--then reboot probe -q", false);
        check("-t reboot check name-is-shown", false);
        check("--help", false);
        check("-q --version", false);
        check("--unknown", false);
        check("stages probe", false);
    }
}
