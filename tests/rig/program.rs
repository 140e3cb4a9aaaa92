//! Builds of the executable under test.
//!
//! The compiler is that of the active toolchain if it has the aarch64 target, and
//! Debian's otherwise; a message says which. The path of the executable is taken from
//! Cargo's JSON messages.

use std::env;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::Message;
use vm_anon_name::options::{self, Flag, Options};

use crate::host_packages;
use crate::paths;
use crate::tool;

const PACKAGE: &str = "vm_anon_name";
/// Target triple of the program.
pub const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Variable that tells Cargo the linker for that target.
pub const LINKER_VARIABLE: &str = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CLIPPY: &str = "/usr/bin/clippy-driver";

/// Prefixes of the variables that `cargo run` and `cargo test` set for the rig's package.
/// Cargo must not see them when it builds the program.
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

/// Builds the program, once per process; returns the path of the executable.
pub fn build(build: Build) -> Result<PathBuf> {
    static BUILT: Mutex<Vec<(Build, PathBuf)>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, path)) = built.iter().find(|(known, _)| *known == build) {
        return Ok(path.clone());
    }
    let path = compile(build)?;
    built.push((build, path.clone()));
    Ok(path)
}

/// Builds a variant of the program in a target directory of its own. `adjust` changes
/// Cargo's command.
pub fn build_variant(
    build: Build,
    variant: &str,
    adjust: impl FnOnce(&mut Command),
) -> Result<PathBuf> {
    let mut cargo = build_command(build)?;
    cargo.arg("--target-dir").arg(paths::scratch(variant)?);
    adjust(&mut cargo);
    artifact(cargo, PACKAGE)
}

/// Cargo in the workspace, with a compiler that has the program's target.
pub fn cross_cargo(subcommand: &str) -> Result<Command> {
    Ok(Compiler::get()?.cargo(subcommand))
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
pub fn compiler_release() -> Result<String> {
    match Compiler::get()? {
        Compiler::Active => release(&active_rustc()),
        Compiler::Debian { .. } => release(Path::new(DEBIAN_RUSTC)),
    }
}

/// The linker that comes with the active toolchain.
pub fn linker() -> Result<PathBuf> {
    let active = &active_rustc();
    let sysroot = PathBuf::from(ask(active, &["--print", "sysroot"])?);
    let linker = sysroot.join(format!("lib/rustlib/{}/bin/rust-lld", host_triple(active)?));
    if !linker.exists() {
        bail!(
            "the active toolchain lacks {}; toolchains of rustup have it",
            linker.display()
        );
    }
    Ok(linker)
}

/// Runs clippy over the program in both builds; a warning is an error.
pub fn lint() -> Result<()> {
    for build in [Build::Full, Build::Minimal] {
        lint_package(PACKAGE, build.features())?;
    }
    Ok(())
}

/// Runs clippy over a package for the guest; a warning is an error.
pub(crate) fn lint_package(name: &str, features: &[&str]) -> Result<()> {
    let what = ["--package", name, "--target", TARGET];
    let arguments = [&what, features].concat();
    tool::run(&mut Compiler::get()?.clippy(&arguments))
}

fn compile(build: Build) -> Result<PathBuf> {
    artifact(build_command(build)?, PACKAGE)
}

fn build_command(build: Build) -> Result<Command> {
    let mut cargo = cross_cargo("build")?;
    cargo.args(["--package", PACKAGE, "--target", TARGET]);
    cargo.args(build.profile()).args(build.features());
    Ok(cargo)
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

/// The compiler used for the program.
enum Compiler {
    /// The active toolchain's own.
    Active,
    /// Debian's, with the linker of the active toolchain.
    Debian { linker: PathBuf },
}

impl Compiler {
    /// The compiler, which is chosen once per process.
    fn get() -> Result<&'static Self> {
        static CHOICE: OnceLock<Result<Compiler, String>> = OnceLock::new();
        let choice =
            CHOICE.get_or_init(|| Compiler::choose().map_err(|error| format!("{error:#}")));
        choice.as_ref().map_err(|error| anyhow!("{error}"))
    }

    fn choose() -> Result<Self> {
        let active = &active_rustc();
        let sysroot = PathBuf::from(ask(active, &["--print", "sysroot"])?);
        if host_packages::has_core(&sysroot) {
            let version = release(active)?;
            eprintln!("program: compiled by the active toolchain's rustc {version}");
            return Ok(Compiler::Active);
        }
        host_packages::RUST_TARGET.ensure()?;
        let linker = linker()?;
        let version = release(Path::new(DEBIAN_RUSTC))?;
        eprintln!(
            "program: compiled by Debian's rustc {version} (the active toolchain lacks {TARGET})"
        );
        Ok(Compiler::Debian { linker })
    }

    /// Cargo with this compiler, in the workspace.
    fn cargo(&self, subcommand: &str) -> Command {
        let mut command = cargo(subcommand);
        if let Compiler::Debian { linker } = self {
            command.env("RUSTC", DEBIAN_RUSTC);
            command.env(LINKER_VARIABLE, linker);
        }
        command
    }

    /// Clippy with this compiler, in the workspace; a warning is an error.
    fn clippy(&self, arguments: &[&str]) -> Command {
        match self {
            Compiler::Active => {
                let mut command = self.cargo("clippy");
                command.args(arguments).args(["--", "-D", "warnings"]);
                command
            }
            // Clippy reads only metadata of its own compiler version, so Debian's
            // compiler needs Debian's clippy. These variables are how `cargo clippy`
            // passes its driver and its arguments to `cargo check`.
            Compiler::Debian { .. } => {
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
