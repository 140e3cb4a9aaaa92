//! Any system call, and memory by its address, for the interpreter alone.
//!
//! # Safety
//!
//! As in [`sys`](super). In addition, the suite chooses the calls, arguments and addresses,
//! see [`call`].
#![allow(unsafe_code)]

use super::{Errno, Fd, Result, process::wait};
use crate::arch::{LOW, OFFSET_UNIT, call};
use core::ptr;
use heapless::VecView;
use linux_raw_sys::{errno::EIO, general::*};
use syscalls::Sysno;

/// Any system call, by its number.
///
/// # Safety
///
/// The call must not change, unmap or protect memory that Rust code uses, and must not create a
/// thread.
pub(crate) unsafe fn call(number: u16, arguments: [u64; 6]) -> Result<u64> {
    let [a, b, c, d, e, mut f] = arguments;
    if number == call::mmap as u16 {
        f /= OFFSET_UNIT;
    }
    // SAFETY: The caller's promise.
    unsafe { call!(number, a, b, c, d, e, f) }.map(|value| value as u64)
}

/// prctl(2) in another thread of this process, or in a child process that shares its
/// memory, as after vfork(2).
///
/// # Errors
///
/// That of clone(2) or wait4(2). The result of prctl(2) is the value; it is EIO if the child or
/// thread ended before it had one.
///
/// # Safety
///
/// The prctl(2) must not change memory that Rust code uses. The child or thread itself uses no
/// stack, and writes only its result.
pub(crate) unsafe fn prctl_in_sharing_child(
    is_thread: bool,
    arguments: [u64; 6],
) -> Result<Result<u64>> {
    let kind = match is_thread {
        true => CLONE_THREAD | CLONE_SIGHAND,
        false => SIGCHLD,
    };
    let flags = kind | CLONE_VM | CLONE_VFORK;
    let mut arguments = arguments.map(|argument| argument as usize);
    arguments[5] = (EIO as usize).wrapping_neg();
    // SAFETY: The caller's promise.
    let pid = unsafe { crate::arch::prctl_in_sharing_child(&mut arguments, flags) };
    let pid = Errno::check(pid)?;
    if !is_thread {
        wait(pid)?;
    }
    Ok(Errno::check(arguments[5]).map(|value| value as u64))
}

/// Writes `bytes` at `address`. The process is killed if the page cannot be written.
///
/// # Safety
///
/// No Rust reference points there.
pub(crate) unsafe fn write(address: u64, bytes: &[u8]) {
    for (byte, address) in bytes.iter().zip(address..) {
        let place = ptr::with_exposed_provenance_mut::<u8>(address as usize);
        // SAFETY: The caller's promise.
        unsafe { place.write_volatile(*byte) };
    }
}

/// Appends the bytes at `address` to `out`, up to a NUL or until `out` is full.
///
/// # Safety
///
/// The memory can be read that far.
pub(crate) unsafe fn read_text(address: u64, out: &mut VecView<u8>) {
    for address in address.. {
        let place = ptr::with_exposed_provenance::<u8>(address as usize);
        // SAFETY: The caller's promise.
        let byte = unsafe { place.read_volatile() };
        if byte == 0 || out.push(byte).is_err() {
            break;
        }
    }
}

/// The number of `size` bytes, 4 or 8, at `address`, which is a multiple of that.
///
/// # Safety
///
/// The memory can be read.
pub(crate) unsafe fn read_number(address: u64, size: usize) -> u64 {
    let place = ptr::with_exposed_provenance::<u32>(address as usize);
    match size {
        // SAFETY: The caller's promise.
        4 => unsafe { place.read_volatile() }.into(),
        // SAFETY: The caller's promise.
        _ => unsafe { place.cast::<u64>().read_volatile() },
    }
}

/// The number of the file descriptor `file`, for the suite.
pub(crate) fn number(file: &Fd) -> u64 {
    file.0 as u64
}

/// The file descriptor with this number. It need not be open.
pub(crate) fn file(number: u64) -> Fd {
    Fd(number as isize)
}

/// `lseek(2)` to the beginning of `file`.
pub(crate) fn rewind(file: &Fd) -> Result {
    // SAFETY: No memory is involved.
    unsafe { call!(Sysno::lseek, file.0, 0, SEEK_SET) }.map(drop)
}

/// Reserves `length` bytes of addresses, which stay unmapped, and returns the first.
///
/// They are below the addresses that the kernel chooses by itself. So nothing else gets
/// mapped there, and in the maps only the program and the heap precede them.
pub(crate) fn reserve(length: u64) -> Result<u64> {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    // SAFETY: Without MAP_FIXED the kernel uses no memory that is mapped already.
    let start = unsafe { call!(call::mmap, LOW, length, PROT_NONE, flags, -1isize, 0) }?;
    // SAFETY: No reference points there.
    unsafe { call!(Sysno::munmap, start, length) }?;
    Ok(start as u64)
}
