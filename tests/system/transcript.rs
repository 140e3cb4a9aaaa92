//! The transcript of `--quiet`, which must equal the reference transcript, byte for byte.

use anyhow::{Context, Result, ensure};
use regex::Regex;

/// The reference transcript, of the C++ program that this one replaces: PID 245, one page of 4096
/// bytes.
const SEED: &str = include_str!("seed.txt");

/// The numbers in a transcript that differ between processes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) pid: u64,
    /// The address of the mapping.
    pub(crate) start: u64,
    /// The address after the mapping.
    pub(crate) end: u64,
    /// The size that the program prints.
    pub(crate) size: u64,
}

/// Checks that `text` is the transcript with `name` as the name of the mapping.
pub(crate) fn check(text: &str, name: &str) -> Result<Numbers> {
    let numbers = Numbers {
        pid: find(text, r"PID: (\d+)", 10)?,
        start: find(text, r"Set \[0x([0-9a-f]+)", 16)?,
        end: find(text, r"Set \[0x[0-9a-f]+, 0x([0-9a-f]+)", 16)?,
        size: find(text, r"size: (\d+)", 10)?,
    };
    check_equal(text, &expected(&numbers, name))?;
    ensure!(numbers.end - numbers.start == numbers.size, "{numbers:?}");
    Ok(numbers)
}

/// Checks that `text` is the transcript without the line that reports the name.
pub(crate) fn check_unnamed(text: &str) -> Result<()> {
    let start = find(text, r"mmap addr: 0x([0-9a-f]+)", 16)?;
    let size = find(text, r"size: (\d+)", 10)?;
    let numbers = Numbers {
        pid: find(text, r"PID: (\d+)", 10)?,
        start,
        end: start + size,
        size,
    };
    let named = expected(&numbers, "NAME");
    let set = Regex::new(r"(?m)^Set .*\n\n")?;
    check_equal(text, &set.replace(&named, ""))
}

fn check_equal(text: &str, expected: &str) -> Result<()> {
    ensure!(
        text == expected,
        "not the reference transcript\n{text}\nexpected\n{expected}"
    );
    Ok(())
}

fn expected(numbers: &Numbers, name: &str) -> String {
    SEED.replace("245", &numbers.pid.to_string())
        .replace("0xffffadaf5000", &format!("{:#x}", numbers.start))
        .replace("0xffffadaf6000", &format!("{:#x}", numbers.end))
        .replace("size: 4096", &format!("size: {}", numbers.size))
        .replace("= /secret/mem/area", &format!("= {name}"))
}

fn find(text: &str, pattern: &str, base: u32) -> Result<u64> {
    let found = Regex::new(pattern)?.captures(text);
    let found = found.with_context(|| format!("no {pattern} in\n{text}"))?;
    Ok(u64::from_str_radix(&found[1], base)?)
}
