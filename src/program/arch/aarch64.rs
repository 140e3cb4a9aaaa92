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
/// aligned; all other registers are zero, so debuggers stop unwinding here (`start_thread` in the kernel's
/// `arch/arm64/include/asm/processor.h`, `create_elf_tables` in `fs/binfmt_elf.c`).
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    naked_asm!(
        "mov x0, sp", // The initial stack, before Rust moves sp.
        "b {enter}",
        enter = sym crate::start::enter,
    )
}

/// Calls `work` with `argument` and `length` bytes of the stack, a multiple of 16.
/// Rust, which gives large frames room by the page, would touch each page of them.
#[cfg(feature = "explain")]
#[unsafe(naked)]
pub(crate) extern "C" fn lend_stack(
    length: usize,
    work: extern "C" fn(argument: *mut u8, room: *mut u8),
    argument: *mut u8,
) {
    naked_asm!(
        "stp x29, x30, [sp, #-16]!",
        "mov x29, sp",
        "sub sp, sp, x0",
        "mov x0, x2",
        "mov x2, x1",
        "mov x1, sp",
        "blr x2",
        "mov sp, x29",
        "ldp x29, x30, [sp], #16",
        "ret",
    )
}

/// `clone(2)` for a child that shares this process's memory: it calls `work` with
/// `argument`, on the stack that ends at `stack`. Gives what the call gives.
#[cfg(feature = "check")]
#[unsafe(naked)]
pub(crate) extern "C" fn clone_on(
    flags: u64,
    stack: u64,
    work: extern "C" fn(*mut u8) -> !,
    argument: *mut u8,
) -> isize {
    naked_asm!(
        "mov x9, x2", // The call takes more arguments, and keeps x9 and x10.
        "mov x10, x3",
        "mov x2, xzr",
        "mov x3, xzr",
        "mov x4, xzr",
        "mov x8, #220", // __NR_clone
        "svc #0",
        "cbz x0, 1f",
        "ret",
        "1:", // The child: sp is `stack`, and there is nothing to return to.
        "mov x29, xzr",
        "mov x30, xzr",
        "mov x0, x10",
        "br x9",
    )
}
