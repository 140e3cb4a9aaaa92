//! Stack memory for large buffers. Only the pages that are used take memory.
//!
//! # Safety
//!
//! Unsafe, because an assembly function passes the memory as an untyped pointer. The
//! memory is valid during one call, and the reference to it cannot outlive that call.
#![allow(unsafe_code)]

use crate::sys::process::stack_limit;
use heapless::{Vec, VecView};

/// The smallest limit on the stack that the program accepts, in bytes. The kernel
/// puts up to 128 KiB of command line and environment there, or up to a quarter of the
/// limit if that is more.
const LIMIT: u64 = 256 << 10;

/// The size of the buffer in bytes.
pub(crate) const SPACE: usize = 64 << 10;

/// Proof that the stack can grow as large as the program needs.
pub(crate) struct Stack(());

impl Stack {
    /// `None` if the limit on the stack (`ulimit -s`) is below 256 KiB.
    pub(crate) fn check() -> Option<Self> {
        (stack_limit() >= LIMIT).then_some(Stack(()))
    }

    /// Calls `work` with an empty buffer for [`SPACE`] bytes on the stack. Only pages
    /// that `work` fills take memory.
    pub(crate) fn with_buffer(&self, mut work: &mut dyn FnMut(&mut VecView<u8>)) {
        type Buffer = Vec<u8, SPACE>;
        extern "C" fn start(work: *mut u8, memory: *mut u8) {
            let buffer = memory.cast::<Buffer>();
            // SAFETY: The memory has this size and is aligned to 16.
            unsafe { buffer.write(Vec::new()) };
            // SAFETY: It has been written, and nothing else refers to it.
            let buffer = unsafe { &mut *buffer };
            // SAFETY: This is the pointer to `work` below, the only reference to it.
            let work = unsafe { &mut *work.cast::<&mut dyn FnMut(&mut VecView<u8>)>() };
            work(buffer);
        }
        let (length, work) = (size_of::<Buffer>(), (&raw mut work).cast());
        // SAFETY: The limit is 256 KiB or more, and the kernel has used half of it at most for
        // arguments and environment. 128 KiB are enough for the buffer and the frames.
        unsafe { crate::arch::call_with_stack_memory(length, start, work) };
    }
}
