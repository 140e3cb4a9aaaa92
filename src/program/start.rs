//! What the kernel hands to a new program: words, environment, auxiliary vector.
//!
//! ```text
//! sp -> argc
//!       argv[0] .. argv[argc - 1], NULL      pointers to NUL-terminated words
//!       envp[0] .., NULL
//!       (AT_tag, value) .., (AT_NULL, 0)     the auxiliary vector
//!       ... the words themselves ...         up to the stack's top
//! ```
//!
//! # Safety
//!
//! Unsafe, because it follows the kernel's pointers. It relies on nothing but
//! the picture above (`create_elf_tables` in the kernel's `fs/binfmt_elf.c`),
//! and nobody writes there while the program runs.
#![allow(unsafe_code)]

use core::{
    ffi::{CStr, c_char},
    slice,
};
use linux_raw_sys::auxvec::{AT_NULL, AT_PAGESZ};

/// The initial stack, taken apart.
pub(crate) struct Process {
    /// Without the program's own name.
    words: &'static [*const c_char],
    /// What [`crate::sys::files::exec`] passes on.
    #[cfg_attr(not(feature = "explain"), expect(dead_code))]
    // The minimal build has no use for it.
    pub(crate) environment: *const *const c_char,
    auxiliary: *const [usize; 2],
}

/// Called by `_start` with the initial stack pointer.
pub(crate) extern "C" fn enter(stack: *const usize) -> ! {
    // SAFETY: `_start` passes the stack pointer that the kernel set.
    let process = unsafe { Process::from_stack(stack) };
    crate::main(&process)
}

impl Process {
    /// # Safety
    ///
    /// `stack` is the stack pointer with which the kernel entered the program.
    #[inline(always)] // It is called once.
    unsafe fn from_stack(stack: *const usize) -> Self {
        // SAFETY: The argument count lies at the initial stack pointer.
        let count = unsafe { *stack };
        // SAFETY: The words' pointers follow it.
        let words: *const *const c_char = unsafe { stack.add(1) }.cast();
        // SAFETY: The environment follows the words and the NULL behind them.
        let environment = unsafe { words.add(count + 1) };
        let mut end = environment;
        // SAFETY: The environment goes on to its NULL.
        while !unsafe { *end }.is_null() {
            // SAFETY: As above: that was not the NULL yet.
            end = unsafe { end.add(1) };
        }
        Process {
            // SAFETY: Behind the program's name there are so many, and they stay. With
            // a count of 0 there is not even a name, and none of them is read.
            words: unsafe { slice::from_raw_parts(words.wrapping_add(1), count.saturating_sub(1)) },
            environment,
            // SAFETY: The auxiliary vector follows the NULL.
            auxiliary: unsafe { end.add(1) }.cast(),
        }
    }

    /// The words of the command line, without the program's own name.
    pub(crate) fn words(&self) -> impl Iterator<Item = Word> {
        self.words.iter().map(|word| Word(*word))
    }

    /// The auxiliary vector's value for `tag`, such as `AT_PAGESZ`; 0 if it has none.
    pub(crate) fn auxiliary(&self, tag: u32) -> usize {
        let mut next = self.auxiliary;
        loop {
            // SAFETY: `next` has not gone beyond AT_NULL, which ends the loop.
            let [found, value] = unsafe { *next };
            if found == tag as usize || found == AT_NULL as usize {
                return value; // That of AT_NULL is 0, as all behind it.
            }
            // SAFETY: AT_NULL, the last entry, is inside the same vector.
            next = unsafe { next.add(1) };
        }
    }

    /// The size of a page of memory, in bytes.
    pub(crate) fn page_size(&self) -> usize {
        self.auxiliary(AT_PAGESZ)
    }
}

/// A word of the command line: its bytes, one after the other.
pub(crate) struct Word(*const c_char);

impl Iterator for Word {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        // SAFETY: The word goes on to its NUL, and stays.
        let byte = unsafe { *self.0.cast() };
        if byte == 0 {
            return None;
        }
        // SAFETY: As above: that was not the NUL yet.
        self.0 = unsafe { self.0.add(1) };
        Some(byte)
    }
}

impl From<Word> for &CStr {
    /// What is left of the word.
    fn from(word: Word) -> Self {
        // SAFETY: The word is NUL-terminated, and stays.
        unsafe { CStr::from_ptr(word.0) }
    }
}
