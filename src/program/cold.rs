//! Data that the stages do not need: the suite and the help.
//!
//! The linker script puts the section `.cold` into a segment of its own. Reading a
//! page of a file mapping makes the kernel map up to 64 KiB of cached pages around
//! it (`fault_around_bytes`), but not beyond the mapping. So in a second segment
//! these 22 KiB do not count as memory of the stages.
//!
//! # Safety
//!
//! Unsafe, because `link_section` could put data where it does not belong. The
//! section holds constants only and is mapped read-only.
#![allow(unsafe_code)]

/// The text of `--help`.
#[unsafe(link_section = ".cold")]
pub(crate) static HELP: [u8; include_bytes!("../help.txt").len()] = *include_bytes!("../help.txt");

/// The assembled conformance suite.
#[unsafe(link_section = ".cold")]
pub(crate) static SUITE: [u8; include_bytes!(concat!(env!("OUT_DIR"), "/suite")).len()] =
    *include_bytes!(concat!(env!("OUT_DIR"), "/suite"));
