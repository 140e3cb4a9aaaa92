//! The notices that the licences of the linked crates demand.

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};

use super::dependencies::Dependency;
use crate::checkout::Checkout;

/// The text of `NOTICES`.
pub(super) fn text(checkout: &Checkout, dependencies: &[Dependency]) -> Result<String> {
    let own = fs::read_to_string(checkout.source.join("LICENSE"))?;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "vm_anon_name is distributed under these terms:\n\n{}",
        own.trim()
    );
    for dependency in dependencies {
        let (license, terms) = dependency.terms()?;
        let (name, version) = (&dependency.name, &dependency.version);
        let _ = writeln!(text, "\n{}\n", "-".repeat(72));
        let _ = writeln!(
            text,
            "It contains code of {name} {version}, under {license}:\n"
        );
        let _ = writeln!(text, "{}", terms.trim());
    }
    let (_, permission) = own
        .split_once("\n\nPermission is hereby granted")
        .context("LICENSE is not the MIT license")?;
    let _ = writeln!(text, "\n{}\n", "-".repeat(72));
    let _ = writeln!(
        text,
        "It contains code of Rust's libraries core and compiler_builtins, under MIT:\n"
    );
    let _ = writeln!(text, "Copyright (c) The Rust Project Contributors\n");
    let _ = writeln!(
        text,
        "Permission is hereby granted{}",
        permission.trim_end()
    );
    Ok(text)
}
