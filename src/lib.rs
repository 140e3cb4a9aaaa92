//! The pure core of `vm_anon_name`: bytes in, values out.
//!
//! The core makes no system call, allocates nothing and has no `unsafe`, so the
//! host can test all of it. The program in `src/program` is a thin shell that
//! fetches the bytes and acts on the values.
//!
//! | module | input | output |
//! |---|---|---|
//! | [`options`] | the command line | what to do |
//! | [`maps`] | a line of `/proc/PID/maps` | a VMA |
//! | [`diff`] | two maps files | what changed, in diff(1)'s normal format |
//! | [`diagram`] | VMAs | a line of characters that shows pages, names and splits |
//! | [`name`] | a name | why the kernel refuses it |
//! | [`diagnosis`] | an error number, the kernel's release | why naming failed |
//! | [`errno`] | an error number | its name and meaning |
//! | [`suite`] | the assembled conformance suite | cases, steps, operands |
//! | [`format`] | numbers and bytes | text |
//! | [`scan`] | text | its parts and numbers |
#![no_std]
#![forbid(unsafe_code)]

pub mod diagnosis;
pub mod diagram;
pub mod diff;
pub mod errno;
pub mod format;
pub mod maps;
pub mod name;
pub mod options;
pub mod scan;
pub mod suite;
