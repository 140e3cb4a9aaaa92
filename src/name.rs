//! What the kernel takes for a name.
//!
//! `prctl_set_vma` (`kernel/sys.c`; from 7.x `set_anon_vma_name` in
//! `mm/madvise.c`) copies at most 80 bytes with the closing NUL and refuses any
//! byte that is not printable ASCII or is one of `` \ ` $ [ ] ``.

/// The longest name, in bytes, without its NUL: `ANON_VMA_NAME_MAX_LEN` - 1.
pub const LONGEST: usize = 79;

/// Why the kernel answers EINVAL to a name.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub enum Fault {
    /// It is longer than [`LONGEST`].
    Long,
    /// It holds this byte.
    Byte(u8),
}

/// The first reason to refuse `name`, in the kernel's order; `None` if it is good.
pub fn fault(name: &[u8]) -> Option<Fault> {
    if name.len() > LONGEST {
        return Some(Fault::Long);
    }
    name.iter()
        .find(|byte| !is_allowed(**byte))
        .map(|byte| Fault::Byte(*byte))
}

/// Whether a name may hold `byte`.
#[inline(never)] // A call takes 8 bytes, the test 44.
pub fn is_allowed(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'\\' | b'`' | b'$' | b'[' | b']')
}
