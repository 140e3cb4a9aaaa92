//! Passes the link arguments, assembles the suite, asks git for the revision.
//!
//! Link arguments from here apply to the executable alone, not to the host tests. They
//! are used in addition to RUSTFLAGS, which would replace rustflags in a Cargo
//! configuration file.

// On an error the script panics, and Cargo reports the message.
#![allow(clippy::expect_used)]

#[path = "../src/suite/assembler.rs"]
#[allow(dead_code, unreachable_pub)]
mod assembler;

use std::{env, fs, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=linker");
    assemble_suite();
    println!("cargo::rustc-env=VM_ANON_NAME_REVISION={}", revision());
    pass_link_arguments();
}

/// Passes the arguments to the linker, or through it if it is a compiler driver.
fn pass_link_arguments() {
    // Cargo does not run this script again when the linker changes.
    let target = env::var("TARGET").expect("Cargo sets TARGET");
    let variable = target.to_uppercase().replace('-', "_");
    println!("cargo::rerun-if-env-changed=CARGO_TARGET_{variable}_LINKER");

    let is_driver = is_driver();
    let directory = env::var("CARGO_MANIFEST_DIR").expect("Cargo sets CARGO_MANIFEST_DIR");
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").expect("Cargo sets it");
    let max_page_size = max_page_size(&architecture);
    let mut arguments = vec![
        format!("--script={directory}/linker/program.ld"),
        format!("-zmax-page-size={max_page_size}"),
        "--no-pie".to_owned(),
        "--no-dynamic-linker".to_owned(),
        "--build-id=none".to_owned(),
    ];
    // Debuggers and `cargo xtask size` need section headers. GNU ld has had the option
    // only since binutils 2.41.
    let is_debugged = env::var("DEBUG").is_ok_and(|debug| debug != "false");
    if !is_driver && !is_debugged {
        arguments.push("-znosectionheader".to_owned());
    }
    if is_driver {
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

/// The largest page size of an architecture: addresses and file offsets of the segments agree
/// modulo this.
fn max_page_size(architecture: &str) -> u32 {
    match architecture {
        "aarch64" => 65536,
        "arm" | "riscv64" | "x86_64" => 4096,
        other => panic!("{other} is not in the list of linker/build.rs"),
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

/// Whether the linker is a compiler driver, such as `aarch64-linux-gnu-gcc`.
fn is_driver() -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let mut flags = flags.split('\x1f').rev();
    let linker = match flags.find_map(|flag| flag.strip_prefix("-Clinker=")) {
        Some(linker) => linker.to_owned(),
        None => env::var("RUSTC_LINKER").unwrap_or_default(),
    };
    let name = Path::new(&linker).file_stem().unwrap_or_default();
    let name = name.to_string_lossy();
    !(name.ends_with("ld") || name.contains("lld"))
}

/// The git revision, or `unknown` outside a checkout.
fn revision() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned())
}
