//! arm64: how the program is entered, and calls on another stack or a longer one.
//!
//! A second architecture is a second file like this one, with the same names,
//! chosen by `#[path]` in `main.rs`; its system calls are in the crate `syscalls`
//! already, and its page size in `linker/build.rs`.
//!
//! # Safety
//!
//! Unsafe, because the kernel does not enter a program by Rust's rules: there
//! is a stack pointer and nothing else.
#![allow(unsafe_code)]

use core::arch::naked_asm;

/// Where the kernel enters the program: `sp` points to the argument count, 16-byte
/// aligned; all other registers are zero, so debuggers stop unwinding here
/// (`start_thread` in the kernel's `arch/arm64/include/asm/processor.h`,
/// `create_elf_tables` in `fs/binfmt_elf.c`).
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    naked_asm!(
        "mov x0, sp", // The initial stack, before Rust moves sp.
        "b {enter}",
        enter = sym crate::start::enter,
    )
}

/// Calls `work` with `argument` and `length` bytes of the stack, or some more. Rust, which
/// gives large frames room by the page, would touch each page of them. The room begins in
/// the middle of a page of 4 KiB, so that `work`'s own frame shares that page with what is
/// first put there.
///
/// # Safety
///
/// The stack may grow by so much.
#[cfg(feature = "explain")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn lend_stack(
    length: usize,
    work: extern "C" fn(argument: *mut u8, room: *mut u8),
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

/// `clone(2)` for a child that shares this process's memory, which stands still until
/// the child ends: the child, which needs no stack for that, calls `prctl(2)` with these
/// arguments, and ends with what comes of it. Gives what `clone(2)` gives.
///
/// # Safety
///
/// As for [`call`](crate::sys::memory::call).
#[cfg(feature = "check")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn prctl_in_sharing_child(arguments: &[u64; 6]) -> usize {
    naked_asm!(
        "mov x9, x0",
        "mov x0, #0x4111", // CLONE_VM | CLONE_VFORK | SIGCHLD
        "mov x1, xzr",     // The same stack.
        "mov x8, #220",    // __NR_clone
        "svc #0",
        "cbnz x0, 1f",
        "ldp x0, x1, [x9]",
        "ldp x2, x3, [x9, #16]",
        "ldr x4, [x9, #32]",
        "mov x8, #167", // __NR_prctl
        "svc #0",
        "mov x8, #94", // __NR_exit_group
        "svc #0",
        "1: ret",
    )
}
