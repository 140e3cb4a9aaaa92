//! Data that the stages do not need: the suite, the help, texts of `maps` and `names`.
//!
//! The linker script puts the sections `.cold` and `.listings` into a segment of its own, with
//! the code of these commands, so that it takes no memory in the stages; `linker/program.ld`
//! says why.
//!
//! # Safety
//!
//! Unsafe, because `link_section` could put data where it does not belong. The
//! sections hold constants only and are mapped read-only.
//! The linker script defines the two symbols; only their addresses are used.
#![allow(unsafe_code)]

use crate::sys::memory;

unsafe extern "C" {
    /// Where the mapping of the segment begins, and where the part of `maps` and `names` begins in
    /// it.
    static image: u8;
    static listings: u8;
}

/// Splits the mapping of the segment, so that what `maps` and `names` do not need takes no
/// memory: when the kernel maps a page, it also maps those around it that are in the page cache,
/// but only within one VMA.
pub(crate) fn split() {
    let [start, end] = [(&raw const image).addr(), (&raw const listings).addr()];
    // Without the split, or with larger pages, they only take more memory.
    let _ = memory::advise_random(start, end - start);
}

/// The text of `--help`.
#[unsafe(link_section = ".cold")]
pub(crate) static HELP: [u8; include_bytes!("../help.txt").len()] = *include_bytes!("../help.txt");

/// Why a process cannot be read, a line each.
#[unsafe(link_section = ".cold")]
pub(crate) static REASONS: [u8; include_bytes!("reasons.txt").len()] =
    *include_bytes!("reasons.txt");

/// The messages of `names` about inexact results, a line each: the counter's name in JSON, and
/// the message that follows its number.
#[unsafe(link_section = ".listings")]
pub(crate) static NOTES: [u8; include_bytes!("notes.txt").len()] = *include_bytes!("notes.txt");

/// The assembled conformance suite.
#[unsafe(link_section = ".cold")]
pub(crate) static SUITE: [u8; include_bytes!(concat!(env!("OUT_DIR"), "/suite")).len()] =
    *include_bytes!(concat!(env!("OUT_DIR"), "/suite"));
