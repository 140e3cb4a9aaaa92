//! The system calls that move bytes, for the minimal build: the bytes to write lie in
//! pieces, and a call that would have to be made again fails.
//!
//! # Safety
//!
//! As in [`sys`](super): each block says why the kernel may read or write there.
#![allow(unsafe_code)]

use super::{Descriptor, Errno, Result, poll};
use core::marker::PhantomData;
use linux_raw_sys::general::{POLLIN, pollfd};
use syscalls::{Sysno, raw_syscall};

/// A part of what is written: the kernel's `struct iovec`.
#[repr(C)]
pub(crate) struct Piece<'a> {
    start: *const u8,
    length: usize,
    bytes: PhantomData<&'a [u8]>,
}

impl<'a> Piece<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Piece {
            start: bytes.as_ptr(),
            length: bytes.len(),
            bytes: PhantomData,
        }
    }
}

/// `writev(2)`: how many bytes of `pieces` have been written.
pub(crate) fn write(to: Descriptor, pieces: &[Piece]) -> Result<usize> {
    // SAFETY: The kernel reads `pieces`, and the bytes that each was made of.
    unsafe { call!(Sysno::writev, to.0, pieces.as_ptr(), pieces.len()) }
}

/// `read(2)`: the next byte; `None` at the end. It is waited for also where a call
/// would not.
pub(crate) fn read_byte(from: Descriptor) -> Result<Option<u8>> {
    poll(&mut [pollfd {
        fd: from.0 as i32,
        events: POLLIN as i16,
        revents: 0,
    }]);
    let mut byte = 0;
    // SAFETY: The kernel writes to `byte`.
    let count = unsafe { call!(Sysno::read, from.0, &raw mut byte, 1) }?;
    Ok((count > 0).then_some(byte))
}
