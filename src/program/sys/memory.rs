//! Memory: mmap(2), munmap(2) and the prctl(2) that names it.
//!
//! # Safety
//!
//! As in [`sys`](super).
#![allow(unsafe_code)]

use super::Result;
use crate::arch::call;
use core::ffi::CStr;
use linux_raw_sys::{
    general::*,
    prctl::{PR_SET_VMA, PR_SET_VMA_ANON_NAME},
};
use syscalls::Sysno;

/// A range of mapped memory that [`mmap`] returned, by its addresses. No reference
/// to it ever exists, so it can be unmapped safely, once.
pub(crate) struct Mapping {
    start: usize,
    length: usize,
}

impl Mapping {
    /// The first address.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// The address after the last one.
    pub(crate) fn end(&self) -> usize {
        self.start + self.length
    }

    /// The length in bytes, as given to [`mmap`].
    #[cfg_attr(not(feature = "full"), allow(dead_code))]
    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

/// `mmap(2)`: maps `length` bytes of anonymous memory, readable and writable, at
/// `hint` if that is free, and otherwise where the kernel chooses.
pub(crate) fn mmap(hint: usize, length: usize, shared: bool) -> Result<Mapping> {
    let sharing = if shared { MAP_SHARED } else { MAP_PRIVATE };
    let (protection, flags) = (PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS);
    // SAFETY: Without MAP_FIXED the kernel uses no memory that is mapped already.
    let start = unsafe { call!(call::mmap, hint, length, protection, flags, -1isize, 0) }?;
    Ok(Mapping { start, length })
}

/// `munmap(2)`.
pub(crate) fn munmap(mapping: Mapping) -> Result {
    // SAFETY: No reference points there, and only this `Mapping` has the range.
    unsafe { call!(Sysno::munmap, mapping.start, mapping.length) }.map(drop)
}

/// `madvise(MADV_RANDOM)` for the range. The kernel splits the mapping of which it is a part.
#[cfg(feature = "full")]
pub(crate) fn advise_random(start: usize, length: usize) -> Result {
    // SAFETY: The advice changes no memory.
    unsafe { call!(Sysno::madvise, start, length, MADV_RANDOM) }.map(drop)
}

/// `prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME)`: names `mapping`.
pub(crate) fn set_name(mapping: &Mapping, name: &CStr) -> Result {
    set_anon_vma_name(mapping.start, mapping.length, name.as_ptr())
}

/// The probe call: the same prctl(2) for an empty range without a name, which changes
/// nothing. It succeeds if and only if the kernel has the feature.
#[cfg(feature = "full")]
pub(crate) fn name_nothing() -> Result {
    set_anon_vma_name(0, 0, core::ptr::null())
}

fn set_anon_vma_name(start: usize, length: usize, name: *const core::ffi::c_char) -> Result {
    let (option, attribute) = (PR_SET_VMA, PR_SET_VMA_ANON_NAME);
    // SAFETY: `name` is NULL or a C string, which the kernel reads. A name changes
    // no memory.
    unsafe { call!(Sysno::prctl, option, attribute, start, length, name) }.map(drop)
}
