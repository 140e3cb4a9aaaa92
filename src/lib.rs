//! The pure core of `vm_anon_name`: bytes in, values out.
//!
//! The core makes no system call, allocates nothing and has no `unsafe`, so all of
//! it can be tested on the host. The program in `src/program` reads the bytes with
//! system calls and acts on the values.
//!
//! | module | input | output |
//! |---|---|---|
//! | [`options`] | the command line | what to do |
//! | [`maps`] | a line of `/proc/PID/maps` | a VMA |
//! | [`diff`] | two maps files | what changed, in diff(1)'s normal format |
//! | [`diagram`] | VMAs | a line of characters that shows pages, names and splits |
//! | [`picture`] | the maps at each stage | a line of text that shows how they changed |
//! | [`lines`] | pieces of a stream | its lines |
//! | [`smaps`] | a line of `/proc/PID/smaps` | a field and its size |
//! | [`label`] | the label of a VMA | its kind, the row that it is counted in |
//! | [`totals`] | lines of smaps | memory by label |
//! | [`report`] | memory by label | the table of `names`, as text or JSON |
//! | [`listing`] | lines of maps | the list of `maps`, as text |
//! | [`json`] | bytes | a JSON string |
//! | [`directory`] | entries of `/proc` | process ids |
//! | [`name`] | a name | why the kernel refuses it |
//! | [`diagnosis`] | an error number, the kernel's release | why naming failed |
//! | [`errno`] | an error number | its name and meaning |
//! | [`suite`] | the assembled conformance suite | cases, steps, operands |
//! | [`format`] | numbers and bytes | text |
//! | [`digits`] | a number | its digits, in the minimal build |
//! | [`scan`] | text | its parts and numbers |
#![no_std]
#![forbid(unsafe_code)]

pub mod diagnosis;
pub mod diagram;
pub mod diff;
pub mod digits;
pub mod directory;
pub mod errno;
pub mod format;
pub mod json;
pub mod label;
pub mod lines;
pub mod listing;
pub mod maps;
pub mod name;
pub mod options;
pub mod picture;
pub mod report;
pub mod scan;
pub mod smaps;
pub mod suite;
pub mod totals;
