//! The system calls of `probe` and `check`: processes, and memory by its address.
//!
//! # Safety
//!
//! As in [`sys`](super). Beyond that, the suite makes calls, and writes to memory,
//! that it gives by number: see [`call`].
#![allow(unsafe_code)]

use super::{Descriptor, Errno, Result};
use core::{
    ffi::{CStr, c_char},
    ptr,
};
use heapless::VecView;
use linux_raw_sys::{errno, general::*};
use syscalls::{Sysno, raw_syscall};

const E2BIG: Errno = Errno::new(errno::E2BIG);

/// What became of a child.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Exited(u8),
    Killed(u8),
    /// It did not end in time, and was killed.
    Hung,
}

/// `clone(2)`: runs `work` in a child with a copy of everything, in a process group
/// of its own, and waits for its end, at most `seconds`.
pub(crate) fn in_child(seconds: i64, work: &mut dyn FnMut() -> u8) -> Result<End> {
    let mut child = -1i32;
    let flags = CLONE_PIDFD | SIGCHLD;
    // SAFETY: Without CLONE_VM the child has its own copy of all memory. The kernel
    // writes a descriptor.
    let pid = unsafe { call!(Sysno::clone, flags, 0, &raw mut child, 0, 0) }?;
    if pid == 0 {
        // SAFETY: No memory is involved.
        let _ = unsafe { call!(Sysno::setpgid, 0, 0) };
        super::exit(work());
    }
    let ended = ends_within(child, seconds);
    if !ended {
        // Its group, with the children it has, and itself if it has none yet.
        for target in [(pid as isize).wrapping_neg(), pid as isize] {
            // SAFETY: No memory of this process is involved.
            let _ = unsafe { call!(Sysno::kill, target, SIGKILL) };
        }
        // Not for ever: there may be no end to what it does in the kernel.
        ends_within(child, 1);
    }
    let end = wait4(pid, if ended { 0 } else { WNOHANG });
    super::files::close(Descriptor(child as isize))?;
    if ended { end } else { Ok(End::Hung) }
}

/// `ppoll(2)`: whether the `child` ends within so many `seconds`. A kernel that knows
/// no descriptors of processes says at once that it does.
fn ends_within(child: i32, seconds: i64) -> bool {
    let mut entry = pollfd {
        fd: child,
        events: POLLIN as i16,
        revents: 0,
    };
    let (time, no_mask) = ([seconds, 0], ptr::null::<u8>());
    // SAFETY: The kernel reads and writes `entry` and reads `time`.
    let result = unsafe { call!(Sysno::ppoll, &raw mut entry, 1, time.as_ptr(), no_mask) };
    result != Ok(0)
}

/// `wait4(2)`: how child `pid` ended.
fn wait4(pid: usize, options: u32) -> Result<End> {
    let mut status = 0u32;
    let mut patience = super::PATIENCE;
    loop {
        let no_usage = ptr::null::<u8>();
        // SAFETY: The kernel writes `status`.
        let ended = unsafe { call!(Sysno::wait4, pid, &raw mut status, options, no_usage) };
        match ended {
            Err(Errno::EINTR) if patience > 0 => patience -= 1,
            Err(errno) => return Err(errno),
            Ok(_) => break,
        }
    }
    Ok(match status & 0x7f {
        0 => End::Exited((status >> 8) as u8),
        signal => End::Killed(signal as u8),
    })
}

/// `clone(2)` with `CLONE_VM` and `CLONE_VFORK`: as [`in_child`], but the child has
/// this process's memory itself, with a stack of its own, and all the time it wants.
pub(crate) fn in_sharing_child(work: &mut dyn FnMut() -> u8) -> Result<End> {
    extern "C" fn start(work: *mut u8) -> ! {
        let work = work.cast::<&mut dyn FnMut() -> u8>();
        // SAFETY: It is the pointer given below. Until the child ends its parent
        // stands still, so nobody else uses what it points to.
        super::exit(unsafe { (*work)() })
    }
    const STACK: usize = 1 << 16;
    let stack = super::mmap(0, STACK, false)?;
    let flags = u64::from(CLONE_VM | CLONE_VFORK | SIGCHLD);
    let mut work = work;
    let argument = (&raw mut work).cast();
    let pid = crate::arch::clone_on(flags, stack.end() as u64, start, argument);
    match usize::try_from(pid) {
        Ok(pid) => wait4(pid, 0),
        Err(_) => Err(Errno::new(-pid as u32)),
    }
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

/// The number by which steps know a file.
pub(crate) fn number(file: Descriptor) -> u64 {
    file.0 as u64
}

/// `lseek(2)` and `read(2)`: reads the `file` of that number from its beginning, as far
/// as there is room in `buffer`.
pub(crate) fn read_from_start(file: u64, buffer: &mut VecView<u8>) -> Result {
    buffer.clear();
    // SAFETY: No memory is involved.
    unsafe { call!(Sysno::lseek, file, 0, SEEK_SET) }?;
    let file = Descriptor(file as isize);
    while !buffer.is_full() && super::files::read(file, buffer)? > 0 {}
    Ok(())
}

/// `pwrite64(2)`: writes `bytes` to the beginning of `file`, in one piece.
pub(crate) fn write_to_start(file: Descriptor, bytes: &[u8]) -> Result {
    let (start, length) = (bytes.as_ptr(), bytes.len());
    // SAFETY: The kernel reads `bytes`.
    unsafe { call!(Sysno::pwrite64, file.0, start, length, 0) }.map(drop)
}

/// Reserves `length` bytes of addresses, leaves them unmapped, and gives the first.
/// They lie below what the kernel chooses by itself, so that nothing else comes there,
/// and whoever reads the maps up to here has little to read.
pub(crate) fn reserve(length: u64) -> Result<u64> {
    const LOW: u64 = 1 << 36;
    let start = map_nothing(LOW, length)?;
    // SAFETY: Nothing refers to it.
    unsafe { call!(Sysno::munmap, start, length) }?;
    Ok(start)
}

/// `mmap(2)`: memory that can neither be used nor costs anything, at `hint` if that is
/// free.
fn map_nothing(hint: u64, length: u64) -> Result<u64> {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    // SAFETY: Without MAP_FIXED the kernel takes memory that nobody uses.
    let start = unsafe { call!(Sysno::mmap, hint, length, PROT_NONE, flags, -1isize, 0) }?;
    Ok(start as u64)
}

/// Maps, by pages of `page` bytes that nobody uses, until no more than `left` more
/// mappings are allowed. `E2BIG` if 2^17 are not enough for that.
pub(crate) fn crowd(left: u64, page: u64) -> Result {
    const MOST: u64 = 1 << 17;
    let start = map_nothing(0, MOST * page)?;
    // SAFETY: Nobody refers to that memory.
    let protect = |index: u64, protection: u32| unsafe {
        call!(Sysno::mprotect, start + index * page, page, protection)
    };
    // Each page parts from those behind it, and from the one before.
    let mut made = 0;
    while protect(made, PROT_READ | if made & 1 == 0 { 0 } else { PROT_EXEC }).is_ok() {
        made += 1;
        if made == MOST {
            return Err(E2BIG);
        }
    }
    // The last ones join those behind them again.
    for index in 1..=left {
        protect(made.saturating_sub(index), PROT_NONE)?;
    }
    Ok(())
}

/// `execve(2)` of the program itself, to check `case`. Returns only on failure.
pub(crate) fn exec_self(case: &CStr) -> Errno {
    let words: [*const c_char; 4] = [
        c"vm_anon_name".as_ptr(),
        c"check".as_ptr(),
        case.as_ptr(),
        ptr::null(),
    ];
    let path = c"/proc/self/exe".as_ptr();
    // SAFETY: The kernel reads `path` and `words`, which end in NUL and NULL.
    let result = unsafe { call!(Sysno::execve, path, words.as_ptr(), ptr::null::<u8>()) };
    result.err().unwrap_or(Errno::EIO)
}

/// `fcntl(2)`: whether `file` is in a tmpfs, whose files alone have seals.
pub(crate) fn is_in_memory(file: Descriptor) -> bool {
    const F_GET_SEALS: u32 = 1034;
    // SAFETY: No memory is involved.
    unsafe { call!(Sysno::fcntl, file.0, F_GET_SEALS) }.is_ok()
}

/// `PROCMAP_QUERY` on `maps`: writes what the VMA at `address` is called to `name`,
/// and gives the length with its NUL; 0 if it has no name.
pub(crate) fn query(maps: u64, address: u64, name: &mut [u8]) -> Result<usize> {
    // `_IOWR('f', 17, struct procmap_query)`, in include/uapi/linux/fs.h.
    const PROCMAP_QUERY: u64 = 0xc068_6611;
    // SAFETY: All of it are numbers, and 0 is one.
    let mut query: procmap_query = unsafe { core::mem::zeroed() };
    query.size = size_of::<procmap_query>() as u64;
    query.query_addr = address;
    query.vma_name_size = name.len() as u32;
    query.vma_name_addr = name.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: The kernel reads and writes `query`, and writes `name`.
    unsafe { call!(Sysno::ioctl, maps, PROCMAP_QUERY, &raw mut query) }?;
    Ok(query.vma_name_size as usize)
}
