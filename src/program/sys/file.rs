//! Files: opening, closing, renaming.
//!
//! # Safety
//!
//! As in [`sys`](super).
#![allow(unsafe_code)]

use super::{Errno, Fd, Result, STDERR};
use core::ffi::CStr;
use heapless::VecView;
use linux_raw_sys::general::*;
use syscalls::Sysno;
use vm_anon_name::format::{MAX_DIGITS, digits};

/// The working directory, for calls that take a directory.
pub(crate) const CWD: Fd = Fd(AT_FDCWD as isize);

/// `openat(2)` below `directory`, with `O_CLOEXEC`.
///
/// Never returns descriptor 0, 1 or 2, even if they are closed: the output must
/// not end up in a file that the program writes.
pub(crate) fn open(directory: &Fd, path: &CStr, flags: u32) -> Result<Fd> {
    let file = open_lowest(directory, path, flags | O_CLOEXEC)?;
    if file.0 > STDERR.0 {
        return Ok(file);
    }
    // SAFETY: No memory is involved.
    let moved = unsafe { call!(Sysno::fcntl, file.0, F_DUPFD_CLOEXEC, STDERR.0 + 1) };
    let _ = close(file); // Nothing was written to it.
    moved.map(|number| Fd(number as isize))
}

/// `openat(2)` of the directory of a process in /proc, with `O_PATH`.
pub(crate) fn open_process(pid: u32) -> Result<Fd> {
    let mut path = *b"/proc/\0\0\0\0\0\0\0\0\0\0\0"; // A u32 has 10 digits.
    let mut buffer = [0; MAX_DIGITS];
    let number = digits(pid.into(), 10, 1, &mut buffer);
    for (to, digit) in path.iter_mut().skip(b"/proc/".len()).zip(number) {
        *to = *digit;
    }
    // SAFETY: At least the last byte is NUL.
    let path = unsafe { CStr::from_ptr(path.as_ptr().cast()) };
    open(&CWD, path, O_PATH | O_DIRECTORY)
}

/// `openat(2)` of a terminal for reading and writing, as the lowest free descriptor.
/// It stays open across execve(2).
pub(crate) fn open_terminal(path: &CStr) -> Result<Fd> {
    open_lowest(&CWD, path, O_RDWR | O_NOCTTY)
}

/// `openat(2)`, which returns the lowest free descriptor.
fn open_lowest(directory: &Fd, path: &CStr, flags: u32) -> Result<Fd> {
    const MODE: u32 = 0o666;
    // SAFETY: The kernel reads the C string.
    let file = unsafe { call!(Sysno::openat, directory.0, path.as_ptr(), flags, MODE) }?;
    Ok(Fd(file as isize))
}

/// `dup(2)`: a second descriptor for `file`, the lowest free one. It stays open across
/// execve(2).
pub(crate) fn duplicate(file: &Fd) -> Result<Fd> {
    // SAFETY: No memory is involved.
    unsafe { call!(Sysno::dup, file.0) }.map(|file| Fd(file as isize))
}

/// `fcntl(2)`: whether `file` is closed.
pub(crate) fn is_closed(file: &Fd) -> bool {
    // SAFETY: No memory is involved.
    let flags = unsafe { call!(Sysno::fcntl, file.0, F_GETFD, 0) };
    flags == Err(Errno::EBADF)
}

/// `close(2)`. The descriptor is free afterwards, whatever the result.
pub(crate) fn close(file: Fd) -> Result {
    // SAFETY: No memory is involved.
    unsafe { call!(Sysno::close, file.0) }.map(drop)
}

/// `readlinkat(2)`: writes the target of the symbolic link `path` to `target`, cut to fit.
/// Returns the number of bytes.
pub(crate) fn read_link(path: &CStr, target: &mut [u8]) -> Result<usize> {
    let (start, length) = (target.as_mut_ptr(), target.len());
    // SAFETY: The kernel reads the C string and writes `target`.
    unsafe { call!(Sysno::readlinkat, CWD.0, path.as_ptr(), start, length) }
}

/// `getdents64(2)`: replaces the content of `entries` by the next entries of `directory`.
/// At the end of the directory, it is empty.
pub(crate) fn read_directory(directory: &Fd, entries: &mut VecView<u8>) -> Result {
    entries.clear();
    let (start, space) = (entries.as_mut_ptr(), entries.capacity());
    // SAFETY: The kernel writes at most `space` bytes to the empty vector.
    let count = unsafe { call!(Sysno::getdents64, directory.0, start, space) }?;
    // SAFETY: The kernel has written these bytes.
    unsafe { entries.set_len(count.min(space)) };
    Ok(())
}

/// `renameat2(2)` within `directory`.
pub(crate) fn rename(directory: &Fd, from: &CStr, to: &CStr) -> Result {
    let (from, to) = (from.as_ptr(), to.as_ptr());
    // SAFETY: The kernel reads the C strings.
    unsafe { call!(Sysno::renameat2, directory.0, from, directory.0, to, 0) }.map(drop)
}

/// `unlinkat(2)` in `directory`.
pub(crate) fn unlink(directory: &Fd, name: &CStr) -> Result {
    // SAFETY: The kernel reads the C string.
    unsafe { call!(Sysno::unlinkat, directory.0, name.as_ptr(), 0) }.map(drop)
}

/// `mkdirat(2)`. An existing directory is a success.
pub(crate) fn make_directory(path: &CStr) -> Result {
    const MODE: u32 = 0o755;
    // SAFETY: The kernel reads the C string.
    match unsafe { call!(Sysno::mkdirat, CWD.0, path.as_ptr(), MODE) } {
        Err(errno) if errno != Errno::EEXIST => Err(errno),
        _ => Ok(()),
    }
}

/// `_IOWR('f', 17, struct procmap_query)` in include/uapi/linux/fs.h.
pub(crate) const PROCMAP_QUERY: u64 = 0xc068_6611;

/// `ioctl(PROCMAP_QUERY)`: asks the maps file `maps` for the VMA at `address`. Discards the
/// answer.
pub(crate) fn query_vma(maps: &Fd, address: usize) -> Result {
    // SAFETY: All fields are numbers, for which zero bytes are a value.
    let mut query: procmap_query = unsafe { core::mem::zeroed() };
    query.size = size_of::<procmap_query>() as u64;
    query.query_addr = address as u64;
    // SAFETY: The kernel reads and writes `query`, whose size it is told.
    unsafe { call!(Sysno::ioctl, maps.0, PROCMAP_QUERY, &raw mut query) }.map(drop)
}
