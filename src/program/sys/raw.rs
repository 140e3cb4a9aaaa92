//! What the interpreter alone needs: any system call, and memory by its address.
//!
//! # Safety
//!
//! As in [`sys`](super). The suite makes calls, and writes to memory, that it gives
//! by number: see [`call`].
#![allow(unsafe_code)]

use super::{
    Errno, Fd, Result, io,
    process::{ChildEnd, wait},
};
use core::{ffi::CStr, ptr};
use heapless::VecView;
use linux_raw_sys::general::*;
use syscalls::Sysno;

/// `clone(2)` with `CLONE_VM` and `CLONE_VFORK`: as [`call`], but of `prctl(2)`, in a
/// child that has this process's memory itself.
///
/// # Safety
///
/// As for [`call`].
pub(crate) unsafe fn prctl_in_sharing_child(arguments: &[u64; 6]) -> Result<u64> {
    // SAFETY: The caller's promise.
    let pid = Errno::check(unsafe { crate::arch::prctl_in_sharing_child(arguments) })?;
    let ChildEnd::Exited(status) = wait(pid)? else {
        return Err(Errno::EIO);
    };
    // The error number, negated, has been cut to a byte.
    let result = status as i8;
    Errno::check(result as usize).map(|value| value as u64)
}

/// Any system call: its number and its arguments.
///
/// # Safety
///
/// Whatever it changes must not be what Rust refers to. Names change nothing but
/// what the maps show.
pub(crate) unsafe fn call(number: u16, arguments: [u64; 6]) -> Result<u64> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: The caller's promise.
    unsafe { call!(number, a, b, c, d, e, f) }.map(|value| value as u64)
}

/// Writes `bytes` at `address`. A page that cannot be written is a fault, which kills
/// the process, as it should.
///
/// # Safety
///
/// As for [`call`].
pub(crate) unsafe fn write(address: u64, bytes: &[u8]) {
    for (byte, address) in bytes.iter().zip(address..) {
        let place = ptr::with_exposed_provenance_mut::<u8>(address as usize);
        // SAFETY: The caller's promise.
        unsafe { place.write_volatile(*byte) };
    }
}

/// The bytes at `address`, up to their NUL.
///
/// # Safety
///
/// There is one, and nobody writes to them while they are in use.
pub(crate) unsafe fn text<'a>(address: u64) -> &'a [u8] {
    let start = ptr::with_exposed_provenance(address as usize);
    // SAFETY: The caller's promise.
    unsafe { CStr::from_ptr(start) }.to_bytes()
}

/// The file of this number.
pub(crate) fn file(number: u64) -> Fd {
    Fd(number as isize)
}

/// `lseek(2)` and `read(2)`: reads `file` from its beginning, as far as there is room in
/// `buffer`.
pub(crate) fn read_from_start(file: Fd, buffer: &mut VecView<u8>) -> Result {
    // SAFETY: No memory is involved.
    unsafe { call!(Sysno::lseek, file.0, 0, SEEK_SET) }?;
    while !buffer.is_full() && io::read(&file, buffer)? > 0 {}
    Ok(())
}

/// Reserves `length` bytes of addresses, leaves them unmapped, and gives the first.
/// They lie below what the kernel chooses by itself, so that nothing else comes there,
/// and whoever reads the maps up to here has little to read.
pub(crate) fn reserve(length: u64) -> Result<u64> {
    const LOW: u64 = 1 << 36;
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    // SAFETY: Without MAP_FIXED the kernel takes memory that nobody uses.
    let start = unsafe { call!(Sysno::mmap, LOW, length, PROT_NONE, flags, -1isize, 0) }?;
    // SAFETY: Nothing refers to it.
    unsafe { call!(Sysno::munmap, start, length) }?;
    Ok(start as u64)
}
