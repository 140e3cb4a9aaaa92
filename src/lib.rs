//! The pure core of `vm_anon_name`: bytes in, values out.
//!
//! Nothing here calls the kernel, allocates, or is unsafe, so all of it is
//! tested on the host. The program under `src/program` is the thin shell that
//! fetches the bytes and acts on the values:
//!
//! | module | from | to |
//! |---|---|---|
//! | [`options`] | the words of the command line | what to do |
//! | [`maps`] | a line of `/proc/PID/maps` | a VMA |
//! | [`diff`] | two maps files | what changed, in diff(1)'s normal format |
//! | [`name`] | a name | why the kernel refuses it |
//! | [`kernel`] | release, probe and errno | why naming is not to be had |
//! | [`errno`] | an error number | its name |
//! | [`messages`] | what there is to say | its words |
//! | [`pairs`] | packed messages | the messages |
//! | [`say`] | a message and its values | text |
//! | [`suite`] | the assembled conformance suite | cases, steps, operands |
//! | [`packing`] | packed texts | the texts |
//! | [`picture`] | VMAs | a line that shows pages, names and splits |
//! | [`text`] | numbers and bytes | text |
//! | [`words`] | a word | what it stands for |
#![no_std]
#![forbid(unsafe_code)]

pub mod diff;
pub mod errno;
pub mod kernel;
pub mod maps;
pub mod messages;
pub mod name;
pub mod options;
pub mod packing;
pub mod pairs;
pub mod picture;
pub mod say;
pub mod suite;
pub mod text;
pub mod words;
