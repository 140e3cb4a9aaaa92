//! riscv64: the entry point, functions in assembly, constants.
//!
//! # Safety
//!
//! Unsafe, because the kernel does not enter a program by Rust's rules: there is only a stack
//! pointer.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use syscalls::Sysno;

/// The entry point. `sp` points to the argument count and is 16-byte aligned. The kernel sets no
/// other general register (`start_thread()` in its `arch/riscv/kernel/process.c`).
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn begin() -> ! {
    naked_asm!(
        "mv a0, sp", // The initial stack, before Rust moves sp.
        "call {enter}",
        "li a7, {exit_group}",
        "ecall",
        enter = sym crate::start::enter,
        exit_group = const Sysno::exit_group as u32,
    )
}

/// As in `aarch64.rs`.
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
        "addi sp, sp, -16",
        "sd ra, 8(sp)",
        "sd s0, 0(sp)",
        "mv s0, sp",
        "sub sp, sp, a0",
        "srli sp, sp, 12",
        "slli sp, sp, 12",
        "addi sp, sp, -2048",
        "mv a0, a2",
        "mv a2, a1",
        "mv a1, sp",
        "jalr a2",
        "mv sp, s0",
        "ld s0, 0(sp)",
        "ld ra, 8(sp)",
        "addi sp, sp, 16",
        "ret",
    )
}

/// As in `aarch64.rs`.
///
/// # Safety
///
/// As for [`raw::call`](crate::sys::raw::call). `flags` has `CLONE_VM` and `CLONE_VFORK`.
#[cfg(feature = "full")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn prctl_in_sharing_child(
    arguments: &mut [usize; 6],
    flags: u32,
) -> usize {
    naked_asm!(
        "mv t0, a0",
        "mv a0, a1",
        "li a1, 0", // The same stack.
        "li a7, {clone}",
        "ecall",
        "bnez a0, 2f",
        "ld a0, 0(t0)",
        "ld a1, 8(t0)",
        "ld a2, 16(t0)",
        "ld a3, 24(t0)",
        "ld a4, 32(t0)",
        "li a7, {prctl}",
        "ecall",
        "sd a0, 40(t0)",
        "li a0, 0",
        "li a7, {exit}", // Of this thread.
        "ecall",
        "2: ret",
        clone = const Sysno::clone as u32,
        prctl = const Sysno::prctl as u32,
        exit = const Sysno::exit as u32,
    )
}

/// As in `aarch64.rs`.
pub(crate) mod call {
    pub(crate) use syscalls::Sysno::*;
}

/// As in `aarch64.rs`.
#[cfg(feature = "full")]
pub(crate) const OFFSET_UNIT: u64 = 1;

/// As in `aarch64.rs`. The address space of a riscv64 kernel may end at `1 << 38`.
#[cfg(feature = "full")]
pub(crate) const LOW: usize = 1 << 36;
