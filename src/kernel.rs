//! Why a kernel does not name memory: told apart, though every error looks alike.
//!
//! A kernel without the feature answers EINVAL to every `PR_SET_VMA`, as one
//! with it does to a bad name. The difference shows in a call that names
//! nothing, `prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0, 0, NULL)`: it gives 0
//! exactly where the feature is (`madvise_set_anon_name` returns early for an
//! empty range). Here this is called the probe.

use crate::{
    name,
    text::{Sink, Value::*, number},
};
use linux_raw_sys::errno::{EAGAIN, EBADF, EINVAL, ENOMEM};

/// The first Linux that names private anonymous memory.
pub const NAMES: Version = Version(5, 17);
/// The first Linux that names shared anonymous memory, memfd included.
pub const NAMES_SHARED: Version = Version(6, 2);

/// A kernel's major and minor version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub struct Version(pub u32, pub u32);

impl Version {
    /// Reads the head of a release such as `6.1.0-50-cloud-arm64`. What has
    /// no version at its head is taken for the newest kernel: nothing is called
    /// too old on no evidence.
    pub fn of(release: &[u8]) -> Self {
        const MOST: u64 = u32::MAX as u64;
        let mut rest = release;
        let major = number(&mut rest);
        rest = rest.split_first().map_or(b"", |(_, behind)| behind);
        match (major, number(&mut rest)) {
            (Some(major @ 1..=MOST), Some(minor @ ..=MOST)) => Version(major as u32, minor as u32),
            _ => Version(u32::MAX, 0),
        }
    }
}

/// Why a kernel names nothing at all.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub enum Absence {
    /// It is older than [`NAMES`].
    TooOld,
    /// It is new enough, but `CONFIG_ANON_VMA_NAME` is off.
    BuiltWithout,
    /// Something before the kernel's own code answers, such as a seccomp filter.
    Blocked,
}

impl Absence {
    /// What the probe's answer means on a kernel of this `release`.
    pub fn of(probe: Result<(), i32>, release: &[u8]) -> Option<Self> {
        match probe {
            Ok(()) => None,
            Err(errno) if errno != EINVAL as i32 => Some(Absence::Blocked),
            Err(_) if Version::of(release) < NAMES => Some(Absence::TooOld),
            Err(_) => Some(Absence::BuiltWithout),
        }
    }

    /// Writes the reason as a clause.
    pub fn explain(self, release: &[u8], out: &mut dyn Sink) {
        let text: &[u8] = match self {
            Absence::TooOld => b"Linux % is older than 5.17, the first to name anonymous memory",
            Absence::BuiltWithout => b"Linux % was built without CONFIG_ANON_VMA_NAME",
            Absence::Blocked => b"blocked before Linux % saw it, as by a seccomp filter",
        };
        out.print(text, &[Foreign(release)]);
    }
}

/// Why one attempt to name a mapping failed.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub enum Refusal {
    /// No attempt can succeed here.
    Absent(Absence),
    /// The name is not allowed.
    Name(name::Fault),
    /// Shared memory cannot be named before [`NAMES_SHARED`].
    Shared,
    /// Naming a part would take one mapping more than `vm.max_map_count`.
    Limit,
    /// Nothing more than the errno is known.
    Other,
}

impl Refusal {
    /// What `errno` from naming a mapping `name` means, given the probe's answer.
    pub fn of(
        errno: i32,
        probe: Result<(), i32>,
        release: &[u8],
        name: &[u8],
        shared: bool,
    ) -> Self {
        if let Some(absence) = Absence::of(probe, release) {
            return Refusal::Absent(absence);
        }
        match (errno as u32, name::fault(name)) {
            (EINVAL, Some(fault)) => Refusal::Name(fault),
            (EBADF, _) if shared => Refusal::Shared,
            (EAGAIN | ENOMEM, _) => Refusal::Limit,
            _ => Refusal::Other,
        }
    }

    /// Whether it is the kernel that lacks something, rather than a step that failed.
    pub fn is_lack(self) -> bool {
        matches!(
            self,
            Refusal::Shared | Refusal::Absent(Absence::TooOld | Absence::BuiltWithout)
        )
    }

    /// Writes the reason as a clause; nothing for [`Refusal::Other`].
    pub fn explain(self, release: &[u8], name: &[u8], out: &mut dyn Sink) {
        match self {
            Refusal::Absent(absence) => absence.explain(release, out),
            Refusal::Name(name::Fault::Long) => {
                let length = Number(name.len() as u64);
                out.print(
                    b"this name has % bytes, the kernel takes 79 at most",
                    &[length],
                );
            }
            Refusal::Name(name::Fault::Byte(byte)) => {
                let byte = Foreign(&[byte]);
                out.print(
                    b"this name has a character the kernel refuses: '%'",
                    &[byte],
                );
            }
            Refusal::Shared => out.put(b"shared mappings can be named since 6.2"),
            Refusal::Limit => out.put(b"no room for a further mapping (vm.max_map_count)"),
            Refusal::Other => {}
        }
    }
}
