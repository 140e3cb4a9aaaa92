//! Data that the stages do not need: the suite, the help, texts of `maps` and `names`.
//!
//! The linker script puts the section `.cold` into a segment of its own, with the code of
//! these commands, so that it takes no memory in the stages; `linker/program.ld` says why.
//!
//! # Safety
//!
//! Unsafe, because `link_section` could put data where it does not belong. The
//! section holds constants only and is mapped read-only.
#![allow(unsafe_code)]

/// The text of `--help`.
#[unsafe(link_section = ".cold")]
pub(crate) static HELP: [u8; include_bytes!("../help.txt").len()] = *include_bytes!("../help.txt");

/// Why a process cannot be read, a line each.
#[unsafe(link_section = ".cold")]
pub(crate) static REASONS: [u8; include_bytes!("reasons.txt").len()] =
    *include_bytes!("reasons.txt");

/// The messages of `names` about inexact results, a line each: the counter's name in JSON, and
/// the message that follows its number.
#[unsafe(link_section = ".cold")]
pub(crate) static NOTES: [u8; include_bytes!("notes.txt").len()] = *include_bytes!("notes.txt");

/// The assembled conformance suite.
#[unsafe(link_section = ".cold")]
pub(crate) static SUITE: [u8; include_bytes!(concat!(env!("OUT_DIR"), "/suite")).len()] =
    *include_bytes!(concat!(env!("OUT_DIR"), "/suite"));
