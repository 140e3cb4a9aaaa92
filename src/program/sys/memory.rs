//! The system calls of `probe` and `check`: processes, and memory by its address.
//!
//! # Safety
//!
//! As in [`sys`](super). Beyond that, the suite makes calls, and writes to memory,
//! that it gives by number: see [`call`].
#![allow(unsafe_code)]

use super::{Descriptor, Errno, Result};
use core::{ffi::CStr, ptr};
use heapless::VecView;
use linux_raw_sys::{general::*, prctl::PR_SET_PDEATHSIG};
use syscalls::{Sysno, raw_syscall};

/// What [`in_child`] gives for a child that did not end in time, and was killed; what is
/// left of it ends with this process. The kernel has this for one that has been stopped,
/// of which nobody asks to be told.
pub(crate) const HUNG: usize = 0x7f;

/// `clone(2)`: runs `work` in a child with a copy of everything, which is killed when
/// this process ends, and waits for its end, at most `seconds`. Gives the status as
/// `wait4(2)` has it: the signal that killed it, or 0, and above these 7 bits what it
/// exited with.
///
/// # Errors
///
/// There is no child, or its end is not known.
pub(crate) fn in_child(seconds: i64, work: &mut dyn FnMut() -> u8) -> Result<usize> {
    // What a kernel leaves that knows no descriptors of processes: nothing is open there.
    let mut child = i32::MAX;
    let flags = CLONE_PIDFD | SIGCHLD;
    // SAFETY: Without CLONE_VM the child has its own copy of all memory. The kernel
    // writes a descriptor.
    let pid = unsafe { call!(Sysno::clone, flags, 0, &raw mut child, 0, 0) }?;
    if pid == 0 {
        // SAFETY: No memory is involved.
        let _ = unsafe { call!(Sysno::prctl, PR_SET_PDEATHSIG, SIGKILL) };
        super::exit(work());
    }
    if !ends_within(child, seconds) {
        // SAFETY: No memory of this process is involved.
        let _ = unsafe { call!(Sysno::kill, pid, SIGKILL) };
        // Not for ever: there may be no end to what it does in the kernel.
        ends_within(child, 1);
        return Ok(HUNG);
    }
    let _ = super::files::close(Descriptor(child as isize)); // Nothing was written to it.
    wait4(pid)
}

/// `ppoll(2)`: whether the `child` ends within so many `seconds`. A kernel that knows
/// no descriptors of processes says at once that it does.
fn ends_within(child: i32, seconds: i64) -> bool {
    let mut entry = pollfd {
        fd: child,
        events: POLLIN as i16,
        revents: 0,
    };
    let (mut time, no_mask) = ([seconds, 0], ptr::null::<u8>());
    // SAFETY: The kernel reads and writes `entry` and `time`.
    let result = unsafe { call!(Sysno::ppoll, &raw mut entry, 1, &raw mut time, no_mask) };
    result != Ok(0)
}

/// `wait4(2)`: how child `pid` ended.
fn wait4(pid: usize) -> Result<usize> {
    let mut status = 0u32;
    let mut patience = super::patient::PATIENCE;
    loop {
        let no_usage = ptr::null::<u8>();
        // SAFETY: The kernel writes `status`.
        let ended = unsafe { call!(Sysno::wait4, pid, &raw mut status, 0, no_usage) };
        match ended {
            Err(Errno::EINTR) if patience > 0 => patience -= 1,
            _ => return ended.map(|_| status as usize),
        }
    }
}

/// `clone(2)` with `CLONE_VM` and `CLONE_VFORK`: as [`call`], but of `prctl(2)`, in a
/// child that has this process's memory itself.
///
/// # Safety
///
/// As for [`call`].
pub(crate) unsafe fn prctl_in_sharing_child(arguments: &[u64; 6]) -> Result<u64> {
    // SAFETY: The caller's promise.
    let pid = Errno::check(unsafe { crate::arch::prctl_in_sharing_child(arguments) })?;
    let status = wait4(pid)?;
    if status & 0x7f != 0 {
        return Err(Errno::EIO);
    }
    // The error number, negated, has been cut to a byte.
    let result = (status >> 8) as i8;
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
pub(crate) fn file(number: u64) -> Descriptor {
    Descriptor(number as isize)
}

/// `lseek(2)` and `read(2)`: reads `file` from its beginning, as far as there is room in
/// `buffer`.
pub(crate) fn read_from_start(file: Descriptor, buffer: &mut VecView<u8>) -> Result {
    // SAFETY: No memory is involved.
    unsafe { call!(Sysno::lseek, file.0, 0, SEEK_SET) }?;
    while !buffer.is_full() && super::files::read(file, buffer)? > 0 {}
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

/// `PROCMAP_QUERY` on `maps`: whether they know what is at `address`.
pub(crate) fn query(maps: Descriptor, address: usize) -> Result<usize> {
    // `_IOWR('f', 17, struct procmap_query)`, in include/uapi/linux/fs.h.
    const PROCMAP_QUERY: u64 = 0xc068_6611;
    // SAFETY: All of it are numbers, and 0 is one.
    let mut query: procmap_query = unsafe { core::mem::zeroed() };
    query.size = size_of::<procmap_query>() as u64;
    query.query_addr = address as u64;
    // SAFETY: The kernel reads and writes `query`.
    unsafe { call!(Sysno::ioctl, maps.0, PROCMAP_QUERY, &raw mut query) }
}
