//! The system calls of the full build: files, mounts, limits, programs.
//!
//! # Safety
//!
//! As in [`sys`](super): each block says why the kernel may read or write there.
#![allow(unsafe_code)]

use super::{Descriptor, Errno, HERE, Result, STDERR, patient::transfer};
use core::{
    ffi::{CStr, c_char},
    mem::MaybeUninit,
    ptr, slice,
};
use heapless::{Vec, VecView};
use linux_raw_sys::{errno, general::*, system::new_utsname};
use syscalls::{Sysno, raw_syscall};

const EBADF: Errno = Errno::new(errno::EBADF);
const EBUSY: Errno = Errno::new(errno::EBUSY);
const EEXIST: Errno = Errno::new(errno::EEXIST);
const EOVERFLOW: Errno = Errno::new(errno::EOVERFLOW);

/// `openat(2)` below `directory`.
///
/// Never gives 0, 1 or 2, even when those are closed: what is meant for standard
/// output must not end up in a file.
pub(crate) fn open(directory: Descriptor, path: &CStr, flags: u32) -> Result<Descriptor> {
    let file = open_lowest(directory, path, flags | O_CLOEXEC)?;
    if file.0 > STDERR.0 {
        return Ok(file);
    }
    // SAFETY: No memory is involved.
    let moved = unsafe { call!(Sysno::fcntl, file.0, F_DUPFD_CLOEXEC, STDERR.0 + 1) };
    let _ = close(file); // Nothing has been written to it.
    moved.map(|moved| Descriptor(moved as isize))
}

/// `openat(2)`, giving the lowest number that is free.
fn open_lowest(directory: Descriptor, path: &CStr, flags: u32) -> Result<Descriptor> {
    // SAFETY: The kernel reads `path` up to its NUL.
    let file = unsafe { call!(Sysno::openat, directory.0, path.as_ptr(), flags, 0o666) }?;
    Ok(Descriptor(file as isize))
}

/// `openat(2)` of a terminal, to be kept by [`exec`], as the lowest number that is free.
pub(crate) fn open_terminal(path: &CStr) -> Result<Descriptor> {
    open_lowest(HERE, path, O_RDWR | O_NOCTTY)
}

/// `dup(2)`: the lowest number that is free becomes `file` too, to be kept by [`exec`].
pub(crate) fn duplicate(file: Descriptor) -> Result<Descriptor> {
    // SAFETY: No memory is involved.
    unsafe { call!(Sysno::dup, file.0) }.map(|file| Descriptor(file as isize))
}

/// `fcntl(2)`: whether nothing is open under the number `file`.
pub(crate) fn is_closed(file: Descriptor) -> bool {
    // SAFETY: No memory is involved.
    let flags = unsafe { call!(Sysno::fcntl, file.0, F_GETFD, 0) };
    flags == Err(EBADF)
}

/// `close(2)`. The number is free afterwards, whatever the result.
pub(crate) fn close(file: Descriptor) -> Result {
    // SAFETY: No memory is involved, and the program keeps no second owner.
    unsafe { call!(Sysno::close, file.0) }.map(drop)
}

/// `execve(2)`: `path`, with itself as the only word. Returns only on failure.
pub(crate) fn exec(path: &CStr, environment: *const *const c_char) -> Errno {
    let words = [path.as_ptr(), ptr::null()];
    // SAFETY: The kernel reads `path` and `words`, which end in NUL and NULL, and
    // `environment`, which is the one this program was given.
    let result = unsafe { call!(Sysno::execve, path.as_ptr(), words.as_ptr(), environment) };
    result.err().unwrap_or(Errno::EIO)
}

/// `read(2)`, until the file ends; `EOVERFLOW` if `buffer` is full before.
pub(crate) fn read_to_end(from: Descriptor, buffer: &mut VecView<u8>) -> Result {
    while !buffer.is_full() {
        if read(from, buffer)? == 0 {
            return Ok(());
        }
    }
    Err(EOVERFLOW)
}

/// `read(2)`: appends what comes to `buffer`, as far as there is room. Gives how
/// many bytes that were, 0 at the end.
pub(crate) fn read(from: Descriptor, buffer: &mut VecView<u8>) -> Result<usize> {
    let room = buffer.capacity() - buffer.len();
    let start = buffer.as_mut_ptr().wrapping_add(buffer.len());
    // SAFETY: The kernel writes at most the `room` bytes behind what is there.
    let read = unsafe { transfer(from, start, room, Sysno::read) }?;
    let length = buffer.len() + read.min(room);
    // SAFETY: The kernel has written so many bytes of the room behind the rest.
    unsafe { buffer.set_len(length) };
    Ok(read)
}

/// Lends `work` an empty buffer on the stack, of which no page is touched before there
/// is something in it.
pub(crate) fn with_buffer<const ROOM: usize, Work: FnMut(&mut VecView<u8>)>(mut work: Work) {
    extern "C" fn start<const ROOM: usize, Work: FnMut(&mut VecView<u8>)>(
        work: *mut u8,
        room: *mut u8,
    ) {
        let buffer = room.cast::<Vec<u8, ROOM>>();
        // SAFETY: That is how much room there is, at a multiple of 16.
        unsafe { buffer.write(Vec::new()) };
        // SAFETY: It has been written, and nobody else uses it.
        let buffer = unsafe { &mut *buffer };
        // SAFETY: It is the pointer given below, and nobody else uses what it points to.
        let work = unsafe { &mut *work.cast::<Work>() };
        work(buffer);
    }
    let length = size_of::<Vec<u8, ROOM>>();
    // SAFETY: `surroundings::stack_suffices` has made sure of more.
    unsafe { crate::arch::lend_stack(length, start::<ROOM, Work>, (&raw mut work).cast()) };
}

/// `renameat(2)` below `directory`.
pub(crate) fn rename(directory: Descriptor, from: &CStr, to: &CStr) -> Result {
    // SAFETY: The kernel reads both names up to their NULs.
    unsafe {
        call!(
            Sysno::renameat2,
            directory.0,
            from.as_ptr(),
            directory.0,
            to.as_ptr(),
            0
        )
    }
    .map(drop)
}

/// `unlinkat(2)` below `directory`.
pub(crate) fn unlink(directory: Descriptor, name: &CStr) -> Result {
    // SAFETY: The kernel reads `name` up to its NUL.
    unsafe { call!(Sysno::unlinkat, directory.0, name.as_ptr(), 0) }.map(drop)
}

/// `mkdirat(2)` and `mount(2)`: mounts a `kind` at `place`, which is made if it is
/// not there. What is mounted already stays.
pub(crate) fn mount(kind: &CStr, place: &CStr) -> Result {
    // SAFETY: The kernel reads `place` up to its NUL.
    let made = unsafe { call!(Sysno::mkdirat, HERE.0, place.as_ptr(), 0o755) };
    // SAFETY: The kernel reads the three names up to their NULs; there is no data.
    let mounted = unsafe {
        call!(
            Sysno::mount,
            kind.as_ptr(),
            place.as_ptr(),
            kind.as_ptr(),
            0,
            ptr::null::<u8>()
        )
    };
    match (made, mounted) {
        (_, Ok(_) | Err(EBUSY)) => Ok(()),
        (Err(errno), _) if errno != EEXIST => Err(errno),
        (_, Err(errno)) => Err(errno),
    }
}

/// `uname(2)`: the kernel's names for itself, in `room`; empty if it gives none.
#[inline(never)] // A copy costs more than a call.
pub(crate) fn uname(room: &mut MaybeUninit<new_utsname>) -> &new_utsname {
    const EMPTY: [u8; 65] = [0; _];
    let names = room.write(new_utsname {
        sysname: EMPTY,
        nodename: EMPTY,
        release: EMPTY,
        version: EMPTY,
        machine: EMPTY,
        domainname: EMPTY,
    });
    // SAFETY: The kernel writes a `new_utsname`.
    let _ = unsafe { call!(Sysno::uname, &raw mut *names) };
    names
}

/// `prlimit64(2)`: the soft limit on the size of the stack, in bytes; if that is not
/// to be had, there is none.
pub(crate) fn stack_limit() -> u64 {
    let mut limit = [u64::MAX; 2]; // A `struct rlimit64`: soft, hard.
    let (resource, no_new) = (RLIMIT_STACK, ptr::null::<u8>());
    // SAFETY: The kernel writes `limit`, and reads no new one.
    let _ = unsafe { call!(Sysno::prlimit64, 0, resource, no_new, limit.as_mut_ptr()) };
    limit[0]
}

/// `rt_sigprocmask(2)`: writing to a pipe that nobody reads, or beyond the limit on the
/// size of files, fails and does not kill.
pub(crate) fn block_signals_of_writing() {
    let set = 1_u64 << (SIGPIPE - 1) | 1 << (SIGXFSZ - 1);
    let (start, no_old) = (&raw const set, ptr::null::<u8>());
    // It cannot fail; if it did, a write would end the program early.
    // SAFETY: The kernel reads `set` and writes no old one.
    let _ = unsafe {
        call!(
            Sysno::rt_sigprocmask,
            SIG_BLOCK,
            start,
            no_old,
            size_of_val(&set)
        )
    };
}

/// `mmap(2)` and `munmap(2)`: lends so many bytes to `work`, all of them 0.
pub(crate) fn lend(length: usize, work: &mut dyn FnMut(&mut [u8])) -> Result {
    let memory = super::mmap(0, length, false)?;
    let start = ptr::with_exposed_provenance_mut(memory.start);
    // SAFETY: The kernel has just mapped so many zeros, which nobody else knows of.
    work(unsafe { slice::from_raw_parts_mut(start, length) });
    // If that fails, it is in nobody's way.
    let _ = super::munmap(memory);
    Ok(())
}
