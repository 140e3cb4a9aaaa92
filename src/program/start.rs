//! The initial stack: command line, environment, auxiliary vector.
//!
//! ```text
//! sp -> argc
//!       argv[0] .. argv[argc - 1], NULL      pointers to NUL-terminated words
//!       envp[0] .., NULL
//!       (AT_tag, value) .., (AT_NULL, 0)     the auxiliary vector
//!       ... the words themselves ...         up to the top of the stack
//! ```
//!
//! # Safety
//!
//! Unsafe, because it follows the kernel's pointers. It relies only on the layout
//! above (`create_elf_tables()` in the kernel's `fs/binfmt_elf.c`). The program
//! never writes there.
#![allow(unsafe_code)]

use core::{
    ffi::{CStr, c_char},
    slice,
};
use linux_raw_sys::auxvec::{AT_NULL, AT_PAGESZ};

/// What the kernel passes to a new program.
pub(crate) struct Process {
    /// The command line without the program's own name.
    words: &'static [*const c_char],
    /// The environment, for [`crate::sys::process::exec`].
    #[cfg_attr(not(feature = "full"), expect(dead_code))]
    pub(crate) environment: *const *const c_char,
    auxiliary: *const [usize; 2],
}

/// The first Rust function, which `begin` calls with the initial stack pointer.
/// Returns the exit status.
pub(crate) extern "C" fn enter(stack: *const usize) -> usize {
    // SAFETY: `begin` passes the stack pointer that the kernel set.
    let process = unsafe { Process::from_stack(stack) };
    crate::run(&process).into()
}

impl Process {
    /// Reads the initial stack.
    ///
    /// # Safety
    ///
    /// `stack` is the stack pointer with which the kernel entered the program.
    unsafe fn from_stack(stack: *const usize) -> Self {
        // SAFETY: The initial stack pointer points to the argument count.
        let count = unsafe { *stack };
        // SAFETY: The pointers to the words follow the count.
        let words: *const *const c_char = unsafe { stack.add(1) }.cast();
        // SAFETY: The environment follows the words and their NULL.
        let environment = unsafe { words.add(count + 1) };
        let mut end = environment;
        // SAFETY: `end` has not passed the NULL that ends the environment.
        while !unsafe { *end }.is_null() {
            // SAFETY: That was not the NULL, so another pointer follows.
            end = unsafe { end.add(1) };
        }
        // Before Linux 5.18, a caller of execve(2) can leave out even the program's name.
        let others = count.saturating_sub(1);
        Process {
            // SAFETY: `others` pointers follow the program's name and are never
            // written. If there is no name, the slice is empty.
            words: unsafe { slice::from_raw_parts(words.wrapping_add(1), others) },
            environment,
            // SAFETY: The auxiliary vector follows the NULL of the environment.
            auxiliary: unsafe { end.add(1) }.cast(),
        }
    }

    /// The command line without the program's own name.
    pub(crate) fn words(&self) -> impl Iterator<Item = &'static CStr> {
        self.words.iter().map(|word| {
            // SAFETY: The kernel terminates the words with a NUL, and nothing writes to them.
            unsafe { CStr::from_ptr(*word) }
        })
    }

    /// The size of a page of memory in bytes.
    pub(crate) fn page_size(&self) -> usize {
        self.auxiliary(AT_PAGESZ)
    }

    /// Half of the 16 random bytes at AT_RANDOM. Each execve(2) gets new ones; children of
    /// fork(2) have those of their parent.
    #[cfg_attr(not(feature = "full"), expect(dead_code))]
    pub(crate) fn random(&self) -> u64 {
        let bytes = core::ptr::with_exposed_provenance::<u64>(
            self.auxiliary(linux_raw_sys::auxvec::AT_RANDOM),
        );
        // SAFETY: Linux has put these bytes on the stack of every program since 2.6.29, and nothing
        // writes to them.
        unsafe { bytes.read_unaligned() }
    }

    /// The value of `AT_PAGESZ` or another tag; 0 if there is none.
    fn auxiliary(&self, wanted: u32) -> usize {
        let mut next = self.auxiliary;
        loop {
            // SAFETY: `next` has not passed AT_NULL, which ends the vector.
            let [tag, value] = unsafe { *next };
            if tag == wanted as usize || tag == AT_NULL as usize {
                return value; // The value of AT_NULL is 0.
            }
            // SAFETY: That was not AT_NULL, so another entry follows.
            next = unsafe { next.add(1) };
        }
    }
}
