//! Tells the linker what the program is, and packs what it carries.
//!
//! Link arguments given here reach the program alone, not the host's tests, and
//! hold whatever RUSTFLAGS says, which would replace those of a Cargo
//! configuration. They are passed to the linker itself or, where the linker is
//! a compiler driver (as in Buildroot), through it.

// A build that cannot go on stops, and says where.
#![allow(clippy::expect_used)]

#[path = "../src/suite/assembler.rs"]
#[allow(dead_code, unreachable_pub)]
mod assembler;
#[path = "../src/suite/encoding.rs"]
#[allow(dead_code, unreachable_pub)]
mod encoding;

use std::{env, fs, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=linker");
    assemble_suite();
    println!("cargo::rustc-env=VM_ANON_NAME_REVISION={}", revision());
    let target = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    // The file is the segment and nothing else, unless it is to be debugged, or linked
    // by GNU's linker, which does not make such a file.
    let is_shipped = env::var("DEBUG").is_ok_and(|debug| debug == "false");
    let is_bare = false;
    let script = if is_bare { "bare.ld" } else { "program.ld" };
    let script = Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default())
        .join("linker")
        .join(script);

    // The largest page that a kernel of this architecture may have: the file
    // offset and the address of the segment agree modulo this.
    let max_page_size = match target.as_str() {
        "aarch64" => 65536,
        _ => 4096,
    };
    let mut arguments = vec![
        format!("--script={}", script.display()),
        format!("-zmax-page-size={max_page_size}"),
        // Loaded where it was linked: nothing would relocate it.
        "--no-pie".to_owned(),
        "--no-dynamic-linker".to_owned(),
        // 28 bytes that nobody reads.
        "--build-id=none".to_owned(),
        // A text that is the end of another one is not there twice.
        "-O2".to_owned(),
    ];
    if is_bare {
        arguments.push("--oformat=binary".to_owned());
    } else if is_shipped {
        // 280 bytes that are there for debuggers and `cargo xtask size` alone.
        arguments.push("-znosectionheader".to_owned());
    }

    if is_driver() {
        for argument in ["-nostartfiles", "-nostdlib", "-static", "-no-pie"] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
        for argument in arguments {
            println!("cargo::rustc-link-arg-bins=-Wl,{argument}");
        }
    } else {
        for argument in arguments {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}

/// Leaves the assembled suite for `src/program/check.rs`.
fn assemble_suite() {
    println!("cargo::rerun-if-changed=src/suite");
    let suite = assembler::assemble().unwrap_or_else(|fault| panic!("cases.txt: {fault}"));
    leave("suite", &suite);
}

/// Leaves the file `name` where the sources include it from.
fn leave(name: &str, bytes: &[u8]) {
    let out = env::var("OUT_DIR").expect("Cargo sets OUT_DIR");
    fs::write(Path::new(&out).join(name), bytes).expect("OUT_DIR can be written");
}

/// Whether the linker is a compiler that calls one, as `aarch64-linux-gnu-gcc`.
fn is_driver() -> bool {
    let linker = env::var("RUSTC_LINKER").unwrap_or_default();
    let name = Path::new(&linker)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
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
