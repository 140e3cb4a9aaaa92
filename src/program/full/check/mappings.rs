//! The kinds of memory that `map` maps.

use crate::sys::{
    Descriptor, Errno, Result, files,
    memory::{self, Arena},
};
use core::ffi::CStr;
use linux_raw_sys::{errno, general::*};
use vm_anon_name::words;

const EDOM: Errno = Errno::new(errno::EDOM);
const ENOENT: Errno = Errno::new(errno::ENOENT);

/// A kind of memory: with what flags and protection it is mapped, and from what.
#[derive(Clone, Copy)]
struct Kind(u32, Protection, Source);

#[derive(Clone, Copy)]
enum Protection {
    NoAccess = PROT_NONE as isize,
    Read = PROT_READ as isize,
    ReadWrite = (PROT_READ | PROT_WRITE) as isize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Nothing,
    Executable,
    Zero,
    Memfd,
    HugeMemfd,
    Secret,
    /// System V shared memory.
    SysV,
    /// A tmpfs file that keeps its link until the case ends.
    Linked,
    /// A tmpfs file that lost its link before it was mapped.
    Unlinked,
    /// A tmpfs file that loses its link when it has been mapped.
    UnlinkedLate,
}

use Protection::*;
use Source::*;

words! {
    /// The kind of memory that a word stands for.
    fn kind() -> Kind {
        // No word: private anonymous memory, as most cases want it.
        "" => Kind(MAP_PRIVATE, ReadWrite, Nothing),
        "shared" => Kind(MAP_SHARED, ReadWrite, Nothing),
        "none" => Kind(MAP_PRIVATE, NoAccess, Nothing),
        "ro" => Kind(MAP_PRIVATE, Read, Nothing),
        "noreserve" => Kind(MAP_PRIVATE | MAP_NORESERVE, ReadWrite, Nothing),
        "stack" => Kind(MAP_PRIVATE | MAP_STACK, ReadWrite, Nothing),
        "grows" => Kind(MAP_PRIVATE | MAP_GROWSDOWN, ReadWrite, Nothing),
        "droppable" => Kind(MAP_DROPPABLE, ReadWrite, Nothing),
        // Unreserved, because there may be no huge page, and none is touched.
        "huge" => Kind(MAP_PRIVATE | MAP_HUGETLB | MAP_NORESERVE, ReadWrite, Nothing),
        "hugeshared" => Kind(MAP_SHARED | MAP_HUGETLB | MAP_NORESERVE, ReadWrite, Nothing),
        "hugememfd" => Kind(MAP_SHARED | MAP_NORESERVE, ReadWrite, HugeMemfd),
        "exe" => Kind(MAP_PRIVATE, ReadWrite, Executable),
        "exeshared" => Kind(MAP_SHARED, Read, Executable),
        "zero" => Kind(MAP_PRIVATE, ReadWrite, Zero),
        "zeroshared" => Kind(MAP_SHARED, ReadWrite, Zero),
        "memfd" => Kind(MAP_SHARED, ReadWrite, Memfd),
        "memfdprivate" => Kind(MAP_PRIVATE, ReadWrite, Memfd),
        "secret" => Kind(MAP_SHARED, ReadWrite, Secret),
        "sysv" => Kind(MAP_SHARED, ReadWrite, SysV),
        "linked" => Kind(MAP_SHARED, ReadWrite, Linked),
        "linkedprivate" => Kind(MAP_PRIVATE, ReadWrite, Linked),
        "unlinked" => Kind(MAP_SHARED, ReadWrite, Unlinked),
        "late" => Kind(MAP_SHARED, ReadWrite, UnlinkedLate),
    }
}

impl Source {
    /// The file to map, `length` bytes long where it is a new one.
    fn open(self, length: u64) -> Result<Option<Descriptor>> {
        let file = match self {
            Nothing | SysV => return Ok(None),
            Executable => return files::open(None, c"/proc/self/exe", O_RDONLY).map(Some),
            Zero => return files::open(None, c"/dev/zero", O_RDWR).map(Some),
            Memfd => memory::memfd(Some(0))?,
            HugeMemfd => memory::memfd(Some(MFD_HUGETLB))?,
            Secret => memory::memfd(None)?,
            Linked | Unlinked | UnlinkedLate => create_in_tmpfs()?,
        };
        memory::set_length(file, length)?;
        Ok(Some(file))
    }
}

/// Where a tmpfs may be. The last is the root of an initramfs.
const TMPFS_FILES: [&CStr; 3] = [
    c"/dev/shm/.vm_anon_name",
    c"/tmp/.vm_anon_name",
    c"/.vm_anon_name",
];

/// Maps memory of the `kind` so called at `address`, or anywhere.
pub(super) fn map(arena: &Arena, kind: &[u8], address: Option<u64>, length: u64) -> Result<u64> {
    let Kind(flags, protection, source) = self::kind(kind).ok_or(EDOM)?;
    if source == SysV {
        return arena.attach(address.unwrap_or(0), length);
    }
    let file = source.open(length)?;
    if source == Unlinked {
        unlink_in_tmpfs();
    }
    let mapped = arena.map(address, length, protection as u32, flags, file);
    if source == UnlinkedLate {
        unlink_in_tmpfs();
    }
    if let Some(file) = file {
        files::close(file)?;
    }
    mapped
}

/// A new file in the first tmpfs found; `ENOENT` without one.
fn create_in_tmpfs() -> Result<Descriptor> {
    unlink_in_tmpfs(); // What a killed case has left behind.
    for path in TMPFS_FILES {
        let Ok(file) = files::open(None, path, O_RDWR | O_CREAT | O_EXCL) else {
            continue;
        };
        if memory::is_in_tmpfs(file) {
            return Ok(file);
        }
        unlink_in_tmpfs();
        files::close(file)?;
    }
    Err(ENOENT)
}

/// Removes what [`create_in_tmpfs`] has made, if it is there.
pub(super) fn unlink_in_tmpfs() {
    for path in TMPFS_FILES {
        let _ = files::unlink(None, path);
    }
}
