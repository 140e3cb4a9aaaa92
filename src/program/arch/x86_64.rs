//! x86_64: the entry point, functions in assembly, constants.
//!
//! # Safety
//!
//! Unsafe, because the kernel does not enter a program by Rust's rules: there is only a stack
//! pointer.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use syscalls::Sysno;

/// The entry point. `rsp` points to the argument count and is 16-byte aligned; all other
/// registers are zero, so debuggers stop unwinding here (`ELF_PLAT_INIT` in the kernel's
/// `arch/x86/include/asm/elf.h`).
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn begin() -> ! {
    naked_asm!(
        "mov rdi, rsp", // The initial stack, before Rust moves rsp.
        "call {enter}",
        "mov edi, eax",
        "mov eax, {exit_group}",
        "syscall",
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
        "push rbp",
        "mov rbp, rsp",
        "sub rsp, rdi",
        "and rsp, -4096",
        "sub rsp, 2048",
        "mov rdi, rdx",
        "mov rax, rsi",
        "mov rsi, rsp",
        "call rax",
        "mov rsp, rbp",
        "pop rbp",
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
        "mov r9, rdi",
        "mov edi, esi",
        "xor esi, esi", // The same stack.
        "mov eax, {clone}",
        "syscall",
        "test rax, rax",
        "jnz 2f",
        "mov rdi, [r9]",
        "mov rsi, [r9 + 8]",
        "mov rdx, [r9 + 16]",
        "mov r10, [r9 + 24]",
        "mov r8, [r9 + 32]",
        "mov eax, {prctl}",
        "syscall",
        "mov [r9 + 40], rax",
        "xor edi, edi",
        "mov eax, {exit}", // Of this thread.
        "syscall",
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

/// As in `aarch64.rs`.
#[cfg(feature = "full")]
pub(crate) const LOW: usize = 1 << 36;
