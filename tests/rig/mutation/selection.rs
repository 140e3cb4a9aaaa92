//! The kernel's part in selecting a mutant: the boot parameter `vm_mutant`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::paths;

/// The first line of every file with mutants, which declares `vm_mutant_is()`.
pub const INCLUDE: &str = "#include <linux/vm_mutant.h>\n";

const CODE: &str = include_str!("vm_mutant.c");
const HEADER: &str = include_str!("vm_mutant.h");

/// The line of a makefile that builds the code.
const RULE: &str = "\nobj-y += vm_mutant.o\n";

/// Adds the boot parameter to the sources, for mutants with the numbers from 1 to `count`.
pub fn add(source: &Path, count: usize) -> Result<()> {
    let code = format!("#define VM_MUTANT_COUNT {count}\n{CODE}");
    write(&source.join("mm/vm_mutant.c"), &code)?;
    write(&source.join("include/linux/vm_mutant.h"), HEADER)?;
    let makefile = source.join("mm/Makefile");
    let text = fs::read_to_string(&makefile).context("no mm/Makefile")?;
    if !text.ends_with(RULE) {
        write(&makefile, &format!("{text}{RULE}"))?;
    }
    Ok(())
}

/// Adds what [`add`] writes to the hash of the sources.
pub fn hash(hash: &mut Sha256) {
    hash.update(CODE);
    hash.update(HEADER);
}

/// Replaces a source file whose text differs. The old file may be a hard link. A file with the
/// same text keeps its modification time, so that make compiles only what differs.
pub fn write(path: &Path, text: &str) -> Result<()> {
    match fs::read_to_string(path) {
        Ok(present) if present == text => Ok(()),
        _ => paths::write(path, text),
    }
}
