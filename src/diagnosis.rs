//! Why the kernel did not name memory.
//!
//! A kernel without the feature answers EINVAL to every `PR_SET_VMA`, just as a
//! kernel with the feature answers to a bad name. A call for an empty range tells
//! the two apart: `prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0, 0, NULL)` succeeds
//! exactly where the feature exists, because `madvise_set_anon_name()` returns
//! early for an empty range. This program calls it the *probe call*.

use crate::{
    format::Sink,
    name::{self, Fault},
    put,
    scan::number,
};
use linux_raw_sys::errno::{EAGAIN, EBADF, EINVAL};

/// A kernel version, by major and minor number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version(u16);

impl Version {
    /// The first version that names private anonymous memory.
    pub const NAMES_PRIVATE: Version = Version::new(5, 17);

    /// The first version that names shared anonymous memory.
    pub const NAMES_SHARED: Version = Version::new(6, 2);

    /// The version of a kernel whose release cannot be read. It is later than all real ones, so
    /// that the kernel is not too old, and before 255.255, the bound of unbounded cases.
    pub const UNKNOWN: Version = Version::new(255, 254);

    /// The bound of a case without a first version.
    pub const NONE: Version = Version::new(0, 0);

    /// The version with these numbers.
    pub const fn new(major: u8, minor: u8) -> Self {
        Version(u16::from_be_bytes([major, minor]))
    }

    /// Major and minor number.
    pub const fn numbers(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }

    /// Reads the start of a release such as `6.1.0-50-cloud-arm64`. Numbers
    /// above 255 count as 255; a release without a version is [`UNKNOWN`].
    ///
    /// [`UNKNOWN`]: Version::UNKNOWN
    pub fn of(release: &[u8]) -> Self {
        let mut rest = release;
        let major = number(&mut rest);
        rest = rest.split_first().map_or(b"", |(_, after)| after);
        match (major, number(&mut rest)) {
            (Some(major @ 1..), Some(minor)) => {
                Version::new(major.min(255) as u8, minor.min(255) as u8)
            }
            _ => Version::UNKNOWN,
        }
    }
}

/// Why a kernel names no memory at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absence {
    /// It is older than [`Version::NAMES_PRIVATE`].
    TooOld,
    /// It is new enough, but `CONFIG_ANON_VMA_NAME` is off.
    BuiltWithout,
    /// The call does not reach the kernel's own code: a seccomp filter answers.
    Blocked,
}

impl Absence {
    /// Why a kernel of this `release` names no memory, given the error number of the
    /// probe call. `None` if that is 0, because the call succeeded.
    pub fn of(probe: i32, release: &[u8]) -> Option<Self> {
        if probe == 0 {
            return None;
        }
        Some(if probe != EINVAL as i32 {
            Absence::Blocked
        } else if Version::of(release) < Version::NAMES_PRIVATE {
            Absence::TooOld
        } else {
            Absence::BuiltWithout
        })
    }

    /// Writes the reason as a clause, such as `Linux 6.1 was built without
    /// CONFIG_ANON_VMA_NAME`.
    pub fn explain(self, release: &[u8], out: &mut impl Sink) {
        match self {
            Absence::TooOld => put!(
                out,
                "Linux {} is older than 5.17, the first to name anonymous memory",
                release
            ),
            Absence::BuiltWithout => put!(
                out,
                "Linux {} was built without CONFIG_ANON_VMA_NAME",
                release
            ),
            Absence::Blocked => put!(
                out,
                "blocked before Linux {} saw the call, e.g. by seccomp",
                release
            ),
        }
    }
}

/// A call to name memory that failed.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// The error number of the call.
    pub errno: i32,
    /// The error number of the probe call; 0 for success.
    pub probe: i32,
    /// The kernel's release, as uname(2) returns it.
    pub release: &'a [u8],
    /// The name that the call should have given.
    pub name: &'a [u8],
    /// Whether the memory is shared.
    pub shared: bool,
}

impl Failure<'_> {
    /// Writes `: ` and the reason as a clause, or nothing if the error number alone
    /// gives the reason. Returns whether the kernel lacks the feature.
    pub fn explain(self, out: &mut impl Sink) -> bool {
        if let Some(absence) = Absence::of(self.probe, self.release) {
            put!(out, ": ");
            absence.explain(self.release, out);
            return absence != Absence::Blocked;
        }
        match (self.errno as u32, name::fault(self.name)) {
            (EINVAL, Some(Fault::TooLong)) => put!(out, ": a name has at most 79 bytes"),
            (EINVAL, Some(Fault::Byte(byte))) => {
                put!(out, ": a name cannot contain ");
                put!(out, "'{}'", [byte].as_slice());
            }
            (EBADF, _) if self.shared => {
                if Version::of(self.release) < Version::NAMES_SHARED {
                    put!(out, ": shared memory can be named since Linux 6.2");
                } else {
                    put!(out, ": this kernel was built without CONFIG_SHMEM");
                }
                return true;
            }
            // The kernel also answers so if it lacks memory for a split.
            (EAGAIN, _) => put!(out, ": too many mappings (vm.max_map_count)"),
            _ => {}
        }
        false
    }
}
