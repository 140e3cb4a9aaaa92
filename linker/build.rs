//! Passes the link arguments, assembles the suite, finds the revision.
//!
//! Link arguments from here apply to the executable alone, not to the host tests. RUSTFLAGS
//! add to them, but would replace `rustflags` of a Cargo configuration file.

// On an error the script panics, and Cargo reports the message.
#![allow(clippy::expect_used)]

#[path = "../src/suite/assembler.rs"]
#[allow(dead_code, unreachable_pub)]
mod assembler;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    println!("cargo::rerun-if-changed=linker");
    assemble_suite();
    println!("cargo::rustc-env=VM_ANON_NAME_REVISION={}", revision());
    pass_link_arguments();
}

/// An architecture that the program runs on.
struct Architecture {
    /// Its name in `cfg(target_arch)`.
    name: &'static str,
    pointer_width: &'static str,
    /// The largest page size: addresses and file offsets of the segments agree modulo this.
    max_page_size: u32,
}

/// The architectures with a file in `src/program/arch`. Cargo.toml has the same list, so that
/// no dependency is compiled for another.
const ARCHITECTURES: [Architecture; 5] = [
    Architecture::new("aarch64", "64", 65536),
    Architecture::new("arm", "32", 4096),
    Architecture::new("riscv64", "64", 4096),
    Architecture::new("x86", "32", 4096),
    Architecture::new("x86_64", "64", 4096),
];

impl Architecture {
    const fn new(name: &'static str, pointer_width: &'static str, max_page_size: u32) -> Self {
        Self {
            name,
            pointer_width,
            max_page_size,
        }
    }

    /// The architecture of the target, if the program runs there.
    fn of_target() -> Option<&'static Self> {
        if cfg("OS") != "linux" || cfg("ENDIAN") != "little" {
            return None;
        }
        let mut architectures = ARCHITECTURES.iter();
        architectures.find(|it| it.name == cfg("ARCH") && it.pointer_width == cfg("POINTER_WIDTH"))
    }
}

/// A `cfg(target_...)` of the target.
fn cfg(name: &str) -> String {
    env::var(format!("CARGO_CFG_TARGET_{name}")).expect("Cargo sets the target's configuration")
}

/// Passes the arguments to the linker, or through it if it is a compiler driver.
fn pass_link_arguments() {
    let target = env::var("TARGET").expect("Cargo sets TARGET");
    let Some(architecture) = Architecture::of_target() else {
        println!("cargo::error={}", unsupported(&target));
        return;
    };
    let linker = Linker::of(&target);
    if linker.path.is_none() && env::consts::ARCH != architecture.name {
        println!("cargo::error={}", missing_linker(&target));
    }
    if let Some(name) = linker.unable() {
        println!("cargo::error={}", unable_linker(name));
    }
    let directory = env::var("CARGO_MANIFEST_DIR").expect("Cargo sets CARGO_MANIFEST_DIR");
    let script = match env::var_os("CARGO_FEATURE_FULL") {
        Some(_) => "program.ld",
        None => "minimal.ld",
    };
    let mut arguments = vec![
        // Where the script finds the one that it includes.
        format!("-L{directory}/linker"),
        format!("--script={directory}/linker/{script}"),
        format!("-zmax-page-size={}", architecture.max_page_size),
        "--no-pie".to_owned(),
        "--no-dynamic-linker".to_owned(),
        "--build-id=none".to_owned(),
    ];
    // Debuggers and `cargo xtask size` need section headers. GNU ld has had the option
    // only since binutils 2.41.
    let is_debugged = env::var("DEBUG").is_ok_and(|debug| debug != "false");
    if linker.is_bare_lld() && !is_debugged {
        arguments.push("-znosectionheader".to_owned());
    }
    if linker.is_driver() {
        arguments = arguments
            .iter()
            .map(|argument| format!("-Wl,{argument}"))
            .collect();
        arguments.extend(["-nostartfiles", "-nostdlib", "-static", "-no-pie"].map(str::to_owned));
    }
    for argument in arguments {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}

/// The error where the program does not run.
fn unsupported(target: &str) -> String {
    let names = ARCHITECTURES.map(|it| it.name).join(", ");
    format!(
        "vm_anon_name does not run on {target}; choose a target with Linux on one of {names}, \
         for example --target aarch64-unknown-linux-gnu"
    )
}

/// The error if rustc's default linker is for another architecture.
fn missing_linker(target: &str) -> String {
    let variable = target.to_uppercase().replace('-', "_");
    format!(
        "no linker for {target} is configured; set CARGO_TARGET_{variable}_LINKER to \
         rust-lld, which comes with Rust, or to a C compiler for that target"
    )
}

/// What to do where the linker does not understand the arguments and the script.
fn unable_linker(name: &str) -> String {
    format!(
        "{name} cannot link vm_anon_name, because it does not follow the linker script; set \
         RUSTFLAGS=-Clink-arg=-fuse-ld=bfd, which replaces the flags of the configuration"
    )
}

/// Linkers that do not follow the linker script.
const UNABLE: [&str; 2] = ["gold", "mold"];

/// The linker of the target.
struct Linker {
    /// `None` is rustc's default, the `cc` of the host.
    path: Option<PathBuf>,
    /// The value of `-C linker-flavor`, which overrides the flavor that rustc infers from the path.
    flavor: Option<String>,
    /// What `-fuse-ld` tells a compiler driver to call.
    called: Option<String>,
}

impl Linker {
    /// The linker of the last `-C linker`, or else of the configuration.
    fn of(target: &str) -> Self {
        // Cargo reruns this script if RUSTFLAGS change, but not if the linker does.
        let variable = target.to_uppercase().replace('-', "_");
        println!("cargo::rerun-if-env-changed=CARGO_TARGET_{variable}_LINKER");
        let flags = Flags::of_rustc();
        let path = flags
            .last("linker")
            .or_else(|| env::var("RUSTC_LINKER").ok());
        let arguments = [flags.all("link-arg"), flags.all("link-args")].concat();
        let words = arguments.iter().flat_map(|argument| argument.split(' '));
        let mut called = words.filter_map(|word| word.strip_prefix("-fuse-ld="));
        Self {
            path: path.map(PathBuf::from),
            flavor: flags.last("linker-flavor"),
            called: called.next_back().map(str::to_owned),
        }
    }

    /// The name of the linker, if it is one that cannot link the program.
    fn unable(&self) -> Option<&'static str> {
        let called = self.called.as_deref().unwrap_or_default();
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        let is_used = |name: &&str| {
            called == *name || path.ends_with(name) || path.ends_with(format!("ld.{name}"))
        };
        UNABLE.into_iter().find(is_used)
    }

    /// Whether rustc takes the linker for a compiler driver, and passes it the arguments of
    /// one: by `LinkerFlavor::infer_linker_hints()` in rustc's `rustc_target::spec`, every
    /// name but these few is a driver.
    fn is_driver(&self) -> bool {
        if let Some(flavor) = &self.flavor {
            return flavor == "gcc" || flavor.ends_with("-cc");
        }
        let stem = self.path.as_deref().and_then(Path::file_stem);
        let stem = stem.unwrap_or_default().to_string_lossy();
        let stem = match stem.rsplit_once('-') {
            Some((name, version)) if version.chars().all(char::is_numeric) => name,
            _ => &stem,
        };
        !(["ld", "lld", "rust-lld"].contains(&stem) || stem.ends_with("-ld"))
    }

    fn is_bare_lld(&self) -> bool {
        let name = self.path.as_deref().and_then(Path::file_name);
        let name = name.unwrap_or_default().to_string_lossy();
        !self.is_driver() && name.contains("lld")
    }
}

/// The options `-C NAME=VALUE` in RUSTFLAGS.
struct Flags(Vec<(String, String)>);

impl Flags {
    fn of_rustc() -> Self {
        let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
        let flags: Vec<&str> = flags.split('\x1f').collect();
        let options = flags.iter().enumerate().filter_map(|(number, flag)| {
            let option = match *flag {
                "-C" | "--codegen" => flags.get(number + 1).copied()?,
                _ => flag
                    .strip_prefix("--codegen=")
                    .or(flag.strip_prefix("-C"))?,
            };
            let (name, value) = option.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        Self(options.collect())
    }

    /// The values of an option that may occur several times.
    fn all(&self, name: &str) -> Vec<String> {
        let options = self.0.iter().filter(|(key, _)| key == name);
        options.map(|(_, value)| value.clone()).collect()
    }

    /// The value of the option that counts.
    fn last(&self, name: &str) -> Option<String> {
        self.all(name).pop()
    }
}

/// Writes the assembled suite, which `src/program/cold.rs` includes. A mistake in the texts
/// is reported and ends the build.
fn assemble_suite() {
    println!("cargo::rerun-if-changed=src/suite");
    let read = |path| fs::read_to_string(path).expect("the suite can be read");
    match assembler::assemble(&read(assembler::CASES), &read(assembler::VERBS)) {
        Ok(suite) => {
            let out = env::var("OUT_DIR").expect("Cargo sets OUT_DIR");
            fs::write(Path::new(&out).join("suite"), suite).expect("OUT_DIR can be written");
        }
        Err(mistake) => println!("cargo::error={mistake}"),
    }
}

/// The revision of the sources, or `unknown`: what `cargo package` recorded, or else that of
/// the git checkout.
fn revision() -> String {
    packaged_revision()
        .or_else(checked_out_revision)
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Number of digits of a revision.
const DIGITS: usize = 12;

/// The revision in the file that `cargo package` writes.
fn packaged_revision() -> Option<String> {
    let file = ".cargo_vcs_info.json";
    // Cargo treats a missing file as changed.
    if Path::new(file).exists() {
        println!("cargo::rerun-if-changed={file}");
    }
    let text = fs::read_to_string(file).ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    let hash = rest.split('"').nth(1)?;
    hash.get(..DIGITS).map(str::to_owned)
}

/// The revision of the checkout whose top directory this is. `None` for an unpacked archive,
/// which may be inside the repository of another project.
fn checked_out_revision() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    if !git(&["rev-parse", "--show-prefix"])?.is_empty() {
        return None;
    }
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", &format!("--short={DIGITS}"), "HEAD"])
}
