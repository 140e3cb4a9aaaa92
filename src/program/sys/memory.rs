//! The system calls of `probe` and `check`: processes, and memory by its address.
//!
//! # Safety
//!
//! As in [`sys`](super). Beyond that, the suite unmaps, moves and overwrites memory
//! that it gives by number. It may do so in an [`Arena`] alone: addresses that were
//! reserved for it, to which Rust never refers. Names may be given to any memory,
//! for they change no content.
#![allow(unsafe_code)]

use super::{Descriptor, Errno, Result};
use core::{
    ffi::{CStr, c_char},
    ops::Range,
    ptr,
};
use linux_raw_sys::{
    errno,
    general::*,
    prctl::{PR_SET_TAGGED_ADDR_CTRL, PR_SET_VMA, PR_TAGGED_ADDR_ENABLE},
};
use syscalls::{Sysno, raw_syscall};

const EFAULT: Errno = Errno::new(errno::EFAULT);
const EPERM: Errno = Errno::new(errno::EPERM);

/// What became of a child.
pub(crate) enum End {
    Exited(u8),
    Killed(u8),
    /// It did not end in time, and was killed.
    Hung,
}

/// `clone(2)`: runs `work` in a child with a copy of everything, in a process group
/// of its own, and waits for its end, at most `seconds`.
pub(crate) fn in_child(seconds: i64, work: &mut dyn FnMut() -> u8) -> Result<End> {
    let (children, no_old) = (1u64 << (SIGCHLD - 1), ptr::null::<u8>());
    // The signal of the child's end is kept for `wait_for` to take.
    // SAFETY: The kernel reads the 8 bytes of the set.
    unsafe {
        call!(
            Sysno::rt_sigprocmask,
            SIG_BLOCK,
            &raw const children,
            no_old,
            8
        )
    }?;
    // SAFETY: Without CLONE_VM the child has its own copy of all memory.
    let pid = unsafe { call!(Sysno::clone, SIGCHLD, 0, 0, 0, 0) }?;
    if pid == 0 {
        // SAFETY: No memory is involved.
        let _ = unsafe { call!(Sysno::setpgid, 0, 0) };
        super::exit(work());
    }
    wait_for(pid, seconds)
}

/// `clone(2)` with `CLONE_VM` and `CLONE_VFORK`: as [`in_child`], but the child has
/// this process's memory itself, and a stack of `stack` bytes.
pub(crate) fn in_sharing_child(
    seconds: i64,
    stack: u64,
    work: &mut dyn FnMut() -> u8,
) -> Result<End> {
    extern "C" fn start(work: *mut u8) -> ! {
        let work = work.cast::<&mut dyn FnMut() -> u8>();
        // SAFETY: It is the pointer given below. Until the child ends its parent
        // stands still, so nobody else uses what it points to.
        super::exit(unsafe { (*work)() })
    }
    let bottom = Arena(0..0).map(None, stack, PROT_READ | PROT_WRITE, MAP_PRIVATE, None)?;
    let flags = u64::from(CLONE_VM | CLONE_VFORK | SIGCHLD);
    let mut work = work;
    let pid = crate::arch::clone_on(flags, bottom + stack, start, (&raw mut work).cast());
    match usize::try_from(pid) {
        Ok(pid) => wait_for(pid, seconds),
        Err(_) => Err(Errno::new(-pid as u32)),
    }
}

/// The end of child `pid`, which gets `seconds` for it and is killed then.
fn wait_for(pid: usize, seconds: i64) -> Result<End> {
    for _ in 0..super::PATIENCE {
        if let Some(status) = wait4(pid, WNOHANG)? {
            return Ok(match status & 0x7f {
                0 => End::Exited((status >> 8) as u8),
                signal => End::Killed(signal as u8),
            });
        }
        if !is_signalled(seconds) {
            break;
        }
    }
    // Its group, with the children it has, and itself if it has none yet.
    for target in [(pid as isize).wrapping_neg(), pid as isize] {
        // SAFETY: No memory of this process is involved.
        let _ = unsafe { call!(Sysno::kill, target, SIGKILL) };
    }
    for _ in 0..super::PATIENCE {
        if wait4(pid, 0)?.is_some() {
            break;
        }
    }
    Ok(End::Hung)
}

/// `wait4(2)`: the status with which `pid` ended; `None` if it has not.
fn wait4(pid: usize, options: u32) -> Result<Option<u32>> {
    let mut status = 0u32;
    // SAFETY: The kernel writes `status`.
    let ended = unsafe {
        call!(
            Sysno::wait4,
            pid,
            &raw mut status,
            options,
            ptr::null::<u8>()
        )
    };
    match ended {
        Ok(0) | Err(Errno::EINTR) => Ok(None),
        ended => ended.map(|_| Some(status)),
    }
}

/// `rt_sigtimedwait(2)`: whether a child ends within `seconds`.
fn is_signalled(seconds: i64) -> bool {
    let children = 1u64 << (SIGCHLD - 1);
    let time = [seconds, 0];
    // SAFETY: The kernel reads the 8 bytes of the set, and the time.
    let signal = unsafe {
        call!(
            Sysno::rt_sigtimedwait,
            &raw const children,
            ptr::null::<u8>(),
            time.as_ptr(),
            8
        )
    };
    signal != Err(Errno::EAGAIN)
}

/// `prctl(2)` with any numbers: the call under test. `option` and `attribute` are
/// added to `PR_SET_VMA` and `PR_SET_VMA_ANON_NAME`, which is 0.
pub(crate) fn name_raw(
    option: u64,
    attribute: u64,
    address: u64,
    length: u64,
    name: u64,
) -> Result {
    let option = option.wrapping_add(PR_SET_VMA.into());
    // SAFETY: With this option the kernel reads at `name` if it can; whichever
    // memory gets the name keeps its content. No other option is PR_SET_VMA plus
    // a multiple of 2^32, to which the kernel shortens it.
    unsafe { call!(Sysno::prctl, option, attribute, address, length, name) }.map(drop)
}

/// `prctl(2)`: from now on, pointers may have a tag in their top byte.
pub(crate) fn allow_tags() -> Result {
    let option = PR_SET_TAGGED_ADDR_CTRL;
    // SAFETY: It only widens what the kernel accepts.
    unsafe { call!(Sysno::prctl, option, PR_TAGGED_ADDR_ENABLE, 0, 0, 0) }.map(drop)
}

/// `setresuid(2)`: becomes an ordinary user, for good, if it is none yet.
pub(crate) fn drop_privileges() -> Result {
    const USER: u32 = 1000;
    // SAFETY: No memory is involved.
    match unsafe { call!(Sysno::setresuid, USER, USER, USER) } {
        Ok(_) | Err(EPERM) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// `brk(2)`: where the heap ends, after asking for the end to be `end`.
pub(crate) fn brk(end: u64) -> u64 {
    // SAFETY: Nothing in this program is on the heap.
    unsafe { raw_syscall!(Sysno::brk, end) as u64 }
}

/// `execve(2)` of the program itself, with `words`. Returns only on failure.
pub(crate) fn exec_self(words: &[&CStr; 3]) -> Errno {
    let words: [*const c_char; 4] = [
        words[0].as_ptr(),
        words[1].as_ptr(),
        words[2].as_ptr(),
        ptr::null(),
    ];
    let path = c"/proc/self/exe".as_ptr();
    // SAFETY: The kernel reads `path` and `words`, which end in NUL and NULL.
    let result = unsafe { call!(Sysno::execve, path, words.as_ptr(), ptr::null::<u8>()) };
    result.err().unwrap_or(Errno::EIO)
}

/// `memfd_create(2)`, or with `None` `memfd_secret(2)`: a file without a path.
pub(crate) fn memfd(flags: Option<u32>) -> Result<Descriptor> {
    let file = match flags {
        // SAFETY: The kernel reads the name up to its NUL.
        Some(flags) => unsafe { call!(Sysno::memfd_create, c"m".as_ptr(), flags) },
        // SAFETY: No memory is involved.
        None => unsafe { call!(Sysno::memfd_secret, 0) },
    }?;
    Ok(Descriptor(file as isize))
}

/// `ftruncate(2)`.
pub(crate) fn set_length(file: Descriptor, length: u64) -> Result {
    // SAFETY: No memory is involved: the file is not mapped yet.
    unsafe { call!(Sysno::ftruncate, file.0, length) }.map(drop)
}

/// `fstatfs(2)`: whether `file` is in a tmpfs.
pub(crate) fn is_in_tmpfs(file: Descriptor) -> bool {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    let mut status = [0u64; 15]; // A `struct statfs`; its first word is the type.
    // SAFETY: The kernel writes `status`.
    let result = unsafe { call!(Sysno::fstatfs, file.0, status.as_mut_ptr()) };
    result.is_ok() && status[0] == TMPFS_MAGIC
}

/// Addresses that are the suite's own, to map and unmap as it likes.
#[derive(Clone)]
pub(crate) struct Arena(pub(crate) Range<u64>);

impl Arena {
    /// Reserves `length` bytes, and leaves them unmapped. They lie below what the
    /// kernel chooses by itself, so that nothing else comes there, and whoever
    /// reads the maps up to here has little to read.
    pub(crate) fn reserve(length: u64) -> Result<Self> {
        const LOW: u64 = 1 << 36;
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        // SAFETY: Without MAP_FIXED the kernel takes memory that nobody uses.
        let start = unsafe { call!(Sysno::mmap, LOW, length, PROT_NONE, flags, -1isize, 0) }?;
        // SAFETY: Nothing refers to it.
        unsafe { call!(Sysno::munmap, start, length) }?;
        Ok(Arena(start as u64..start as u64 + length))
    }

    /// Whether all of `address..address + length` is the suite's own.
    fn check(&self, address: u64, length: u64) -> Result {
        let end = address.checked_add(length).ok_or(EFAULT)?;
        let inside = self.0.start <= address && end <= self.0.end;
        if inside { Ok(()) } else { Err(EFAULT) }
    }

    /// `mmap(2)` of `file`, or of nothing, at `address`; anywhere, at `None`. What is
    /// there is replaced inside the arena, and in the way outside.
    pub(crate) fn map(
        &self,
        address: Option<u64>,
        length: u64,
        protection: u32,
        flags: u32,
        file: Option<Descriptor>,
    ) -> Result<u64> {
        let fixed = match address {
            None => 0,
            Some(address) if self.check(address, length).is_ok() => MAP_FIXED,
            Some(_) => MAP_FIXED_NOREPLACE,
        };
        let nothing = if file.is_some() { 0 } else { MAP_ANONYMOUS };
        let (flags, file) = (flags | fixed | nothing, file.map_or(-1, |file| file.0));
        let address = address.unwrap_or(0);
        // SAFETY: It replaces what is the suite's own, or nothing.
        unsafe { call!(Sysno::mmap, address, length, protection, flags, file, 0) }
            .map(|value| value as u64)
    }

    /// `shmget(2)` and `shmat(2)`: System V shared memory at `address`.
    pub(crate) fn attach(&self, address: u64, length: u64) -> Result<u64> {
        const IPC_RMID: u32 = 0;
        self.check(address, length)?;
        // SAFETY: No memory is involved yet. The key is IPC_PRIVATE.
        let id = unsafe { call!(Sysno::shmget, 0, length, 0o600) }?;
        // SAFETY: It is attached at what is the suite's own, or not at all.
        let result = unsafe { call!(Sysno::shmat, id, address, 0) };
        // SAFETY: The memory goes when it is detached.
        let _ = unsafe { call!(Sysno::shmctl, id, IPC_RMID, ptr::null::<u8>()) };
        result.map(|value| value as u64)
    }

    /// A call whose first two arguments are an address and a length, and which
    /// changes that memory: `munmap`, `mprotect`, `madvise`, `mlock`, `mremap`.
    pub(crate) fn change(&self, number: Sysno, arguments: [u64; 5]) -> Result {
        let [address, length, c, d, e] = arguments;
        self.check(address, length)?;
        if number == Sysno::mremap {
            let target = if d & u64::from(MREMAP_FIXED) == 0 {
                address
            } else {
                e
            };
            self.check(target, c)?;
        }
        // SAFETY: All of the memory is the suite's own.
        unsafe { call!(number, address, length, c, d, e) }.map(drop)
    }

    /// Writes `bytes` at `address`. A page that cannot be written is a fault, which
    /// kills the process, as it should.
    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> Result {
        self.check(address, bytes.len() as u64)?;
        for (byte, address) in bytes.iter().zip(address..) {
            let place = ptr::with_exposed_provenance_mut::<u8>(address as usize);
            // SAFETY: It is the suite's own, and no part of Rust's memory.
            unsafe { place.write_volatile(*byte) };
        }
        Ok(())
    }
}

/// `mmap(2)` and `mprotect(2)`: makes `count` mappings more than there are, of pages
/// of `page` bytes that nobody uses.
pub(crate) fn crowd(count: u64, page: u64) -> Result {
    let flags = MAP_PRIVATE | MAP_NORESERVE;
    // One mapping is there at once; each readable page inside makes two more.
    let start = Arena(0..0).map(None, (count + 2) * page, PROT_NONE, flags, None)?;
    let mut made = 1;
    while made < count {
        // The last page, at the edge, makes a single one.
        let (index, more) = if made + 1 < count {
            (made, 2)
        } else {
            (count + 1, 1)
        };
        // SAFETY: Nobody refers to that memory, and to read from it is harmless.
        unsafe { call!(Sysno::mprotect, start + index * page, page, PROT_READ) }?;
        made += more;
    }
    Ok(())
}

/// `getppid(2)`.
pub(crate) fn getppid() -> u64 {
    // SAFETY: No memory is involved.
    unsafe { raw_syscall!(Sysno::getppid) as u64 }
}

/// `PROCMAP_QUERY` on `maps`: writes what the VMA at `address` is called to `name`,
/// and gives the length with its NUL; 0 if it has no name.
pub(crate) fn query(maps: Descriptor, address: u64, name: &mut [u8]) -> Result<usize> {
    // `_IOWR('f', 17, struct procmap_query)`, in include/uapi/linux/fs.h.
    const PROCMAP_QUERY: u64 = 0xc068_6611;
    // SAFETY: All of it are numbers, and 0 is one.
    let mut query: procmap_query = unsafe { core::mem::zeroed() };
    query.size = size_of::<procmap_query>() as u64;
    query.query_addr = address;
    query.vma_name_size = name.len() as u32;
    query.vma_name_addr = name.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: The kernel reads and writes `query`, and writes `name`.
    unsafe { call!(Sysno::ioctl, maps.0, PROCMAP_QUERY, &raw mut query) }?;
    Ok(query.vma_name_size as usize)
}
