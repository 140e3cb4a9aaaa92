//! The system calls that move bytes, for the full build: they wait, and go on. And
//! where bytes wait.
//!
//! # Safety
//!
//! As in [`sys`](super): each block says why the kernel may read or write there.
#![allow(unsafe_code)]

use super::{Descriptor, Errno, Result, poll};
use core::{
    mem::{self, MaybeUninit},
    ptr, slice,
};
use linux_raw_sys::{
    errno,
    general::{POLLIN, POLLOUT, pollfd},
};
use syscalls::{Sysno, raw_syscall};

impl Errno {
    pub(crate) const EAGAIN: Self = Self::new(errno::EAGAIN);
    pub(crate) const EINTR: Self = Self::new(errno::EINTR);
}

/// How often in a row a call may be interrupted, or not be ready, before that is
/// taken for a failure: nothing here waits in circles for ever.
pub(crate) const PATIENCE: u32 = 100;

/// `write(2)`, until all of `bytes` are written.
pub(crate) fn write_all(to: Descriptor, mut bytes: &[u8]) -> Result {
    while !bytes.is_empty() {
        // SAFETY: The kernel reads `bytes`.
        let written = unsafe { transfer(to, bytes.as_ptr(), bytes.len(), Sysno::write) }?;
        let (done, rest) = bytes.split_at_checked(written).ok_or(Errno::EIO)?;
        if done.is_empty() {
            return Err(Errno::EIO);
        }
        bytes = rest;
    }
    Ok(())
}

/// `read(2)`: how many bytes of `buffer` have come; 0 at the end.
pub(crate) fn read(from: Descriptor, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: The kernel writes to `buffer`.
    unsafe { transfer(from, buffer.as_mut_ptr(), buffer.len(), Sysno::read) }
}

/// `read(2)` or `write(2)`; if it is interrupted or not ready, again after waiting until
/// it is ready; not for ever.
///
/// # Safety
///
/// The kernel may read, or write if `call` is `read`, `length` bytes at `start`.
#[inline(never)] // A copy costs more than a call.
pub(super) unsafe fn transfer(
    descriptor: Descriptor,
    start: *const u8,
    length: usize,
    call: Sysno,
) -> Result<usize> {
    let events = match call {
        Sysno::read => POLLIN,
        _ => POLLOUT,
    };
    let mut patience = PATIENCE;
    loop {
        // SAFETY: The caller's promise.
        let result = unsafe { call!(call, descriptor.0, start, length) };
        if !matches!(result, Err(Errno::EINTR | Errno::EAGAIN)) || patience == 0 {
            return result;
        }
        patience -= 1;
        poll(&mut [pollfd {
            fd: descriptor.0 as i32,
            events: events as i16,
            revents: 0,
        }]);
    }
}

/// Takes bytes, and gives them all at once. It is not filled with zeros first.
pub(crate) struct Buffer<const ROOM: usize> {
    bytes: [MaybeUninit<u8>; ROOM],
    /// So many are there, at most `ROOM`.
    length: usize,
}

impl<const ROOM: usize> Buffer<ROOM> {
    pub(crate) fn new() -> Self {
        Buffer {
            bytes: [MaybeUninit::uninit(); _],
            length: 0,
        }
    }

    /// Appends `bytes`, unless there is no room for all of them.
    #[inline(always)] // Where it is called, that is all that is done.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > ROOM - self.length {
            return false;
        }
        let end = self.bytes.as_mut_ptr().wrapping_add(self.length).cast();
        self.length += bytes.len();
        // SAFETY: Behind what is there is room for `bytes`, which lie elsewhere.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), end, bytes.len()) };
        true
    }

    /// Gives what is there, and has it no more.
    pub(crate) fn take(&mut self) -> &[u8] {
        let length = mem::take(&mut self.length);
        // SAFETY: So many have been appended.
        unsafe { slice::from_raw_parts(self.bytes.as_ptr().cast(), length) }
    }
}
