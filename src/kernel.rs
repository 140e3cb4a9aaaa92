//! Why a kernel does not name memory: told apart, though every error looks alike.
//!
//! A kernel without the feature answers EINVAL to every `PR_SET_VMA`, as one
//! with it does to a bad name. The difference shows in a call that names
//! nothing, `prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0, 0, NULL)`: it gives 0
//! exactly where the feature is (`madvise_set_anon_name` returns early for an
//! empty range). Here this is called the probe.

use crate::{
    messages::Message,
    name::{self, Fault},
    say::Say,
    text::number,
};
use linux_raw_sys::errno::{EAGAIN, EBADF, EINVAL, ENOMEM};

/// The first Linux that names private anonymous memory.
pub const NAMES: Version = Version::new(5, 17);

/// A kernel's version: the major number in the upper byte, the minor one in the lower.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub struct Version(pub u16);

impl Version {
    /// What stands for a kernel that does not tell its version: nothing is called too
    /// old on no evidence. 255.255 is later still.
    pub const NEWEST: Version = Version::new(255, 254);

    /// Of these numbers, each taken for 255 if it is higher.
    pub const fn new(major: u64, minor: u64) -> Self {
        let major = if major > 255 { 255 } else { major };
        let minor = if minor > 255 { 255 } else { minor };
        Version((major << 8 | minor) as u16)
    }

    /// Reads the head of a release such as `6.1.0-50-cloud-arm64`; [`NEWEST`] without
    /// a version there.
    ///
    /// [`NEWEST`]: Version::NEWEST
    pub fn of(release: &[u8]) -> Self {
        let mut rest = release;
        let major = number(&mut rest);
        rest = rest.split_first().map_or(b"", |(_, behind)| behind);
        match (major, number(&mut rest)) {
            (Some(major @ 1..), Some(minor)) => Version::new(major, minor),
            _ => Version::NEWEST,
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
    /// What it means on a kernel of this `release` that the probe ends with this error
    /// number; 0 stands for success.
    pub fn of(probe: i32, release: &[u8]) -> Option<Self> {
        if probe == 0 {
            return None;
        }
        Some(if probe != EINVAL as i32 {
            Absence::Blocked
        } else if Version::of(release) < NAMES {
            Absence::TooOld
        } else {
            Absence::BuiltWithout
        })
    }

    /// Writes the reason as a clause.
    pub fn explain(self, release: &[u8], out: &mut impl Say) {
        let message = match self {
            Absence::TooOld => Message::IS_OLD,
            Absence::BuiltWithout => Message::LACKS,
            Absence::Blocked => Message::FILTERED,
        };
        out.say(message).foreign(release);
    }
}

/// One attempt to name a mapping, which failed.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// What the kernel answered.
    pub errno: i32,
    /// What it answers to the probe; 0 for success.
    pub probe: i32,
    /// The kernel's release.
    pub release: &'a [u8],
    /// The name that was to be given.
    pub name: &'a [u8],
    /// Whether to shared memory.
    pub shared: bool,
}

impl Attempt<'_> {
    /// Writes why it failed, a clause after a colon; nothing if the errno is all
    /// that is known. Tells whether it is the kernel that lacks something, rather
    /// than a step that failed.
    pub fn explain(self, out: &mut impl Say) -> bool {
        if let Some(absence) = Absence::of(self.probe, self.release) {
            out.say(Message::COLON);
            absence.explain(self.release, out);
            return absence != Absence::Blocked;
        }
        match (self.errno as u32, name::fault(self.name)) {
            (EINVAL, Some(Fault::Long)) => {
                out.say(Message::LONG_NAME);
            }
            (EINVAL, Some(Fault::Byte(byte))) => {
                out.say(Message::BAD_BYTE).foreign(&[byte]);
            }
            (EBADF, _) if self.shared => {
                out.say(Message::NO_SHARED);
                return true;
            }
            (EAGAIN | ENOMEM, _) => {
                out.say(Message::TOO_MANY);
            }
            _ => {}
        }
        false
    }
}
