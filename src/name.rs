//! The names that the kernel accepts for anonymous memory.
//!
//! `prctl_set_vma()` in `kernel/sys.c` (in Linux 7.3 `set_anon_vma_name()` in
//! `mm/madvise.c`) copies at most 80 bytes including the final NUL and refuses
//! every byte outside printable ASCII, and `` \ ` $ [ ] ``.

/// The length of the longest name in bytes, without its NUL:
/// `ANON_VMA_NAME_MAX_LEN` - 1.
pub const MAX_LENGTH: usize = 79;

/// Why the kernel answers EINVAL to a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is longer than [`MAX_LENGTH`].
    TooLong,
    /// It contains this byte.
    Byte(u8),
}

/// The first reason to refuse `name`, in the order of the kernel's checks;
/// `None` if the kernel accepts it.
pub fn fault(name: &[u8]) -> Option<Fault> {
    if name.len() > MAX_LENGTH {
        return Some(Fault::TooLong);
    }
    name.iter()
        .find(|byte| !is_allowed(**byte))
        .map(|byte| Fault::Byte(*byte))
}

/// Whether a name may contain `byte`.
pub fn is_allowed(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'\\' | b'`' | b'$' | b'[' | b']')
}
