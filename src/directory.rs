//! Entries of the directory `/proc`, as getdents64(2) returns them.
//!
//! ```text
//! struct linux_dirent64 {
//!     u64 d_ino; s64 d_off; u16 d_reclen; u8 d_type; char d_name[];
//! }
//! ```
//!
//! The name ends with a NUL, and the next entry begins `d_reclen` bytes after this one.

use crate::scan::{number_32, split};

/// The offsets of `d_reclen` and `d_name`, in bytes.
const LENGTH: usize = 16;
const NAME: usize = 19;

/// The process ids among the names of `entries`.
pub fn process_ids(entries: &[u8]) -> impl Iterator<Item = u32> {
    names(entries).filter_map(number_32)
}

fn names(entries: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = entries;
    core::iter::from_fn(move || {
        let length = rest.get(LENGTH..)?.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes(*length));
        let (entry, others) = rest.split_at_checked(length)?;
        rest = others;
        Some(split(entry.get(NAME..)?, 0).0)
    })
}
