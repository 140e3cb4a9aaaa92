//! The kinds of memory that `map` maps.

use crate::sys::{
    Descriptor, Errno, Result, files,
    memory::{self, Arena},
};
use core::ffi::CStr;
use linux_raw_sys::general::*;
use vm_anon_name::words;

words! {
    /// What memory is made from, how it is protected, and with whom it is shared.
    enum Kind {
        /// No word: private anonymous memory, as most cases want it.
        "" => Private,
        "shared" => Shared,
        "none" => None,
        "ro" => ReadOnly,
        "noreserve" => NoReserve,
        "stack" => Stack,
        "grows" => Grows,
        "droppable" => Droppable,
        "huge" => Huge,
        "hugeshared" => HugeShared,
        "hugememfd" => HugeMemfd,
        "exe" => Executable,
        "exeshared" => ExecutableShared,
        "zero" => Zero,
        "zeroshared" => ZeroShared,
        "memfd" => Memfd,
        "memfdprivate" => MemfdPrivate,
        "secret" => Secret,
        "sysv" => SysV,
        /// A tmpfs file that keeps its link until the case ends.
        "linked" => Linked,
        "linkedprivate" => LinkedPrivate,
        /// A tmpfs file that lost its link before it was mapped.
        "unlinked" => Unlinked,
        /// A tmpfs file that loses its link when it has been mapped.
        "late" => UnlinkedLate,
    }
}

impl Kind {
    fn protection(self) -> u32 {
        match self {
            Kind::None => PROT_NONE,
            Kind::ReadOnly | Kind::ExecutableShared => PROT_READ,
            _ => PROT_READ | PROT_WRITE,
        }
    }

    fn flags(self) -> u32 {
        match self {
            Kind::NoReserve => MAP_PRIVATE | MAP_NORESERVE,
            Kind::Stack => MAP_PRIVATE | MAP_STACK,
            Kind::Grows => MAP_PRIVATE | MAP_GROWSDOWN,
            Kind::Droppable => MAP_DROPPABLE,
            // Unreserved, because there may be no huge page, and none is touched.
            Kind::Huge => MAP_PRIVATE | MAP_HUGETLB | MAP_NORESERVE,
            Kind::HugeShared => MAP_SHARED | MAP_HUGETLB | MAP_NORESERVE,
            Kind::HugeMemfd => MAP_SHARED | MAP_NORESERVE,
            Kind::Shared
            | Kind::ExecutableShared
            | Kind::ZeroShared
            | Kind::Memfd
            | Kind::Secret
            | Kind::Linked
            | Kind::Unlinked
            | Kind::UnlinkedLate => MAP_SHARED,
            _ => MAP_PRIVATE,
        }
    }

    /// The file to map, `length` bytes long where it is a new one.
    fn open(self, length: u64) -> Result<Option<Descriptor>> {
        let file = match self {
            Kind::Executable | Kind::ExecutableShared => {
                return files::open(None, c"/proc/self/exe", O_RDONLY).map(Some);
            }
            Kind::Zero | Kind::ZeroShared => {
                return files::open(None, c"/dev/zero", O_RDWR).map(Some);
            }
            Kind::Memfd | Kind::MemfdPrivate => memory::memfd(Some(0))?,
            Kind::HugeMemfd => memory::memfd(Some(MFD_HUGETLB))?,
            Kind::Secret => memory::memfd(None)?,
            Kind::Linked | Kind::LinkedPrivate | Kind::Unlinked | Kind::UnlinkedLate => {
                create_in_tmpfs()?
            }
            _ => return Ok(None),
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
    let kind = Kind::of(kind).ok_or(Errno::EDOM)?;
    if kind == Kind::SysV {
        return arena.attach(address.unwrap_or(0), length);
    }
    let file = kind.open(length)?;
    if kind == Kind::Unlinked {
        unlink_in_tmpfs();
    }
    let mapped = arena.map(address, length, kind.protection(), kind.flags(), file);
    if kind == Kind::UnlinkedLate {
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
    Err(Errno::ENOENT)
}

/// Removes what [`create_in_tmpfs`] has made, if it is there.
pub(super) fn unlink_in_tmpfs() {
    for path in TMPFS_FILES {
        let _ = files::unlink(None, path);
    }
}
