//! Reads and writes that retry.
//!
//! A read or write may be interrupted, may fail because a nonblocking descriptor is
//! not ready, and may transfer fewer bytes than requested. The functions here continue
//! in all these cases, but retry only [`MAX_RETRIES`] times in a row. A wait has no limit.
//!
//! # Safety
//!
//! As in [`sys`](super).
#![allow(unsafe_code)]

use super::{Errno, Fd, Result};
use crate::arch::call;
use core::ptr;
use heapless::VecView;
use linux_raw_sys::general::{POLLIN, POLLOUT, pollfd};
use syscalls::Sysno;
use vm_anon_name::scan::after;

/// How many times in a row a call may be interrupted or not ready before that
/// counts as a failure.
pub(crate) const MAX_RETRIES: u32 = 100;

/// `write(2)` until all of `bytes` are written.
///
/// # Errors
///
/// The error of the call; EIO if it writes no byte or more than requested.
pub(crate) fn write_all(to: &Fd, mut bytes: &[u8]) -> Result {
    while !bytes.is_empty() {
        // SAFETY: The kernel reads `bytes`.
        let written = unsafe { transfer(Sysno::write, to, bytes.as_ptr(), bytes.len()) }?;
        let (done, rest) = bytes.split_at_checked(written).ok_or(Errno::EIO)?;
        if done.is_empty() {
            return Err(Errno::EIO);
        }
        bytes = rest;
    }
    Ok(())
}

/// `write(2)` of 0 bytes: whether `to` can be written. It fails with EIO for a terminal
/// without hardware.
pub(crate) fn probe_write(to: &Fd) -> Result {
    // SAFETY: The kernel reads nothing.
    unsafe { call!(Sysno::write, to.0, ptr::null::<u8>(), 0) }.map(drop)
}

/// `read(2)` of one byte; `None` at the end of the input.
pub(crate) fn read_byte(from: &Fd) -> Result<Option<u8>> {
    let mut byte = 0;
    // SAFETY: The kernel writes to `byte`.
    let count = unsafe { transfer(Sysno::read, from, &raw mut byte, 1) }?;
    Ok((count > 0).then_some(byte))
}

/// `read(2)`: appends to `buffer` as far as there is space. Returns the number of
/// bytes; 0 at the end of the file.
pub(crate) fn read(from: &Fd, buffer: &mut VecView<u8>) -> Result<usize> {
    let space = buffer.capacity() - buffer.len();
    let start = buffer.as_mut_ptr().wrapping_add(buffer.len());
    // SAFETY: The kernel writes at most `space` bytes after the buffer's content.
    let read = unsafe { transfer(Sysno::read, from, start, space) }?;
    let length = buffer.len() + read.min(space);
    // SAFETY: The kernel has written the bytes up to `length`.
    unsafe { buffer.set_len(length) };
    Ok(read)
}

/// Appends `bytes` to `buffer` and returns whether they fit. The crate heapless copies
/// byte by byte, which takes three times as many instructions.
#[inline(always)] // A call and its frame would take 30 instructions for each piece of text.
pub(crate) fn append(buffer: &mut VecView<u8>, bytes: &[u8]) -> bool {
    let length = buffer.len() + bytes.len();
    if length > buffer.capacity() {
        return false;
    }
    let old = buffer.len();
    // The copy comes last, so that this function needs no stack frame: that is 350 of the 4,150
    // instructions of the stages.
    // SAFETY: The buffer has space for `length` bytes. The new ones are written next, before
    // anything reads them.
    unsafe { buffer.set_len(length) };
    let end = buffer.as_mut_ptr().wrapping_add(old);
    // SAFETY: The buffer has space for `bytes` after its former content.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), end, bytes.len()) };
    true
}

/// Removes the first `count` bytes of `buffer`. It must have at least that many.
pub(crate) fn remove(buffer: &mut VecView<u8>, count: usize) {
    let length = after(buffer, count).len();
    let start = buffer.as_mut_ptr();
    // SAFETY: The buffer contains `count` bytes, and `length` after them.
    unsafe { ptr::copy(start.wrapping_add(count), start, length) };
    buffer.truncate(length);
}

/// `read(2)` until the end of the file.
///
/// # Errors
///
/// The error of the call; EOVERFLOW if `buffer` is full before the end of the file.
pub(crate) fn read_to_end(from: &Fd, buffer: &mut VecView<u8>) -> Result {
    while !buffer.is_full() {
        if read(from, buffer)? == 0 {
            return Ok(());
        }
    }
    Err(Errno::EOVERFLOW)
}

/// `read(2)` or `write(2)`. If it is interrupted or not ready, waits until the
/// descriptor is ready and tries again, [`MAX_RETRIES`] times.
///
/// # Safety
///
/// The kernel may read `length` bytes at `start` or, if `call` is `read`, write them.
unsafe fn transfer(call: Sysno, file: &Fd, start: *const u8, length: usize) -> Result<usize> {
    let events = match call {
        Sysno::read => POLLIN,
        _ => POLLOUT,
    };
    let mut retries = MAX_RETRIES;
    loop {
        // SAFETY: The caller's promise.
        let result = unsafe { call!(call, file.0, start, length) };
        if !matches!(result, Err(Errno::EINTR | Errno::EAGAIN)) || retries == 0 {
            return result;
        }
        retries -= 1;
        let mut entry = pollfd {
            fd: file.0 as i32,
            events: events as i16,
            revents: 0,
        };
        let nothing = ptr::null::<u8>();
        // SAFETY: The kernel reads and writes `entry`; there is no timeout or mask.
        let _ = unsafe { call!(call::ppoll, &raw mut entry, 1, nothing, nothing) };
    }
}
