//! The executables of a release, and their symbols.
//!
//! A build without debug information is not the same program: rustc orders functions by
//! hashes, which depend on the profile. So the shipped file is cut out of the one with symbols.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSegment};

use crate::checkout::Checkout;
use crate::program::{self, Build};
use crate::target::Target;

/// Builds the program with symbols and line numbers; returns the path.
pub(super) fn build(checkout: &Checkout, target: &'static Target, build: Build) -> Result<PathBuf> {
    program::build_adjusted(target, build, |cargo| {
        checkout.adjust(cargo);
        for profile in ["RELEASE", "MINIMAL"] {
            cargo.env(format!("CARGO_PROFILE_{profile}_STRIP"), "none");
            cargo.env(format!("CARGO_PROFILE_{profile}_DEBUG"), "full");
        }
        program::add_flags(cargo, &remap_flags(checkout));
    })
}

/// The flags that keep the paths of this machine out of the debug information.
fn remap_flags(checkout: &Checkout) -> [String; 2] {
    [
        (&checkout.cargo_home, "/cargo"),
        (&checkout.source, "/vm_anon_name"),
    ]
    .map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display()))
}

/// The part of an executable that the kernel loads: headers and segments, without sections.
pub fn loaded_part(linked: &[u8]) -> Result<Vec<u8>> {
    let file = object::File::parse(linked)?;
    let ends = file.segments().map(|segment| {
        let (offset, size) = segment.file_range();
        offset + size
    });
    let end = usize::try_from(ends.max().context("an executable has segments")?)?;
    let mut program = linked
        .get(..end)
        .context("a segment ends after the end of the file")?
        .to_vec();
    // The fields of the ELF header about the section header table: e_shoff, then e_shentsize,
    // e_shnum and e_shstrndx.
    let (offset, numbers) = match file.is_64() {
        true => (40..48, 58..64),
        false => (32..36, 46..52),
    };
    for field in [offset, numbers] {
        ensure!(field.end <= end, "the ELF header is cut");
        program[field].fill(0);
    }
    Ok(program)
}
