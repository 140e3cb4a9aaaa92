//! arm64: the entry point, functions in assembly, constants.
//!
//! Another architecture is another file like this one with the same items, which `main.rs`
//! chooses by `#[path]`.
//!
//! # Safety
//!
//! Unsafe, because the kernel does not enter a program by Rust's rules: there is
//! only a stack pointer.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use syscalls::Sysno;

/// The entry point. `sp` points to the argument count and is 16-byte aligned; all
/// other registers are zero, so debuggers stop unwinding here (`start_thread()` in
/// the kernel's `arch/arm64/include/asm/processor.h`, `create_elf_tables()` in
/// `fs/binfmt_elf.c`).
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn begin() -> ! {
    naked_asm!(
        "mov x0, sp", // The initial stack, before Rust moves sp.
        "bl {enter}",
        "mov x8, {exit_group}",
        "svc #0",
        enter = sym crate::start::enter,
        exit_group = const Sysno::exit_group as u32,
    )
}

/// Calls `work(argument, memory)`, where `memory` has `length` bytes below the
/// current stack frame, aligned to 16.
///
/// A large local variable would take more memory: Rust touches every page of a
/// large frame in advance. Here only the pages that `work` uses are touched. The
/// memory begins in the middle of a 4 KiB page, so that its first bytes share that
/// page with the frame of `work`.
///
/// # Safety
///
/// The stack can grow by `length` + 7 KiB and what `work` needs.
#[cfg(feature = "full")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn call_with_stack_memory(
    length: usize,
    work: extern "C" fn(argument: *mut u8, memory: *mut u8),
    argument: *mut u8,
) {
    naked_asm!(
        "stp x29, x30, [sp, #-16]!",
        "mov x29, sp",
        "sub x9, sp, x0",
        "and sp, x9, #-4096",
        "sub sp, sp, #2048",
        "mov x0, x2",
        "mov x2, x1",
        "mov x1, sp",
        "blr x2",
        "mov sp, x29",
        "ldp x29, x30, [sp], #16",
        "ret",
    )
}

/// Calls prctl(2) with the first five `arguments` in a child of clone(2) with these
/// `flags`, while this process waits (`CLONE_VFORK`). The child writes the result to the
/// sixth argument, in the memory that it shares (`CLONE_VM`), and ends.
///
/// Returns what clone(2) returns. The child keeps all else in registers, so it can run on
/// the stack of its parent.
///
/// # Safety
///
/// As for [`raw::call`](crate::sys::raw::call). `flags` has both flags named above.
#[cfg(feature = "full")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn prctl_in_sharing_child(
    arguments: &mut [usize; 6],
    flags: u32,
) -> usize {
    naked_asm!(
        "mov x9, x0",
        "mov w0, w1",
        "mov x1, xzr", // The same stack.
        "mov x8, {clone}",
        "svc #0",
        "cbnz x0, 1f",
        "ldp x0, x1, [x9]",
        "ldp x2, x3, [x9, #16]",
        "ldr x4, [x9, #32]",
        "mov x8, {prctl}",
        "svc #0",
        "str x0, [x9, #40]",
        "mov x0, xzr",
        "mov x8, {exit}", // Of this thread.
        "svc #0",
        "1: ret",
        clone = const Sysno::clone as u32,
        prctl = const Sysno::prctl as u32,
        exit = const Sysno::exit as u32,
    )
}

/// The system calls that differ between architectures, and those that the suite names, see
/// `src/suite/calls.rs`. An architecture that lacks one of these names defines a constant of
/// that name here.
pub(crate) mod call {
    pub(crate) use syscalls::Sysno::*;
}

/// The unit of mmap's offset, in bytes.
#[cfg(feature = "full")]
pub(crate) const OFFSET_UNIT: u64 = 1;

/// An address far below those that the kernel chooses by itself, and above the program.
#[cfg(feature = "full")]
pub(crate) const LOW: usize = 1 << 36;
