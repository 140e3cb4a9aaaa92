//! Reading and writing without retries, for the minimal build.
//!
//! # Safety
//!
//! As in [`sys`](super).
#![allow(unsafe_code)]

use super::{Errno, Fd, Result};
use core::mem::transmute;
use linux_raw_sys::general::iovec;
use syscalls::Sysno;

// The kernel reads `&[&[u8]]` as an array of `struct iovec`. Rust does not promise this
// layout of slice references, so the compiler checks it: first the address, then the
// length.
const _: () = {
    // SAFETY: Both are two words. The first is an address in both layouts, or else the
    // transmutation does not compile.
    let vector: iovec = unsafe { transmute::<&[u8], iovec>(b"four") };
    assert!(vector.iov_len == 4);
};

/// `writev(2)`: writes all `pieces`. Fails with EIO if the kernel writes less.
pub(crate) fn write(to: &Fd, pieces: &[&[u8]]) -> Result {
    let length = pieces.iter().map(|piece| piece.len()).sum();
    // SAFETY: The kernel reads `pieces` and what they refer to.
    match unsafe { call!(Sysno::writev, to.0, pieces.as_ptr(), pieces.len()) }? {
        written if written == length => Ok(()),
        _ => Err(Errno::EIO),
    }
}

/// `read(2)`: the next byte, or `None` at the end of the input.
pub(crate) fn read_byte(from: &Fd) -> Result<Option<u8>> {
    let mut byte = 0u8;
    // SAFETY: The kernel writes to `byte`.
    let count = unsafe { call!(Sysno::read, from.0, &raw mut byte, 1) }?;
    Ok((count > 0).then_some(byte))
}
