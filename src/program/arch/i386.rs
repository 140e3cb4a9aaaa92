//! i386, 32-bit x86: the entry point, and calls that need another stack.
//!
//! # Safety
//!
//! Unsafe, because the kernel does not enter a program by Rust's rules: there is only a stack
//! pointer.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use syscalls::Sysno;

/// The entry point. `esp` points to the argument count and is 16-byte aligned; all other
/// registers are zero, so debuggers stop unwinding here (`ELF_PLAT_INIT` in the kernel's
/// `arch/x86/include/asm/elf.h`). At a call, `esp` is aligned, and the arguments are there.
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn begin() -> ! {
    naked_asm!(
        "mov eax, esp", // The initial stack, before Rust moves esp.
        "sub esp, 12",
        "push eax",
        "call {enter}",
        "mov ebx, eax",
        "mov eax, {exit_group}",
        "int 0x80",
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
        "push ebp",
        "mov ebp, esp",
        "sub esp, [ebp + 8]",
        "and esp, -4096",
        "sub esp, 2048",
        "mov eax, esp",
        "sub esp, 8",
        "push eax",
        "push [ebp + 16]",
        "call [ebp + 12]",
        "mov esp, ebp",
        "pop ebp",
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
        "push ebx",
        "push esi",
        "push edi",
        "push ebp",
        "mov ebp, [esp + 20]",
        "mov ebx, [esp + 24]",
        "xor ecx, ecx", // The same stack.
        "mov eax, {clone}",
        "int 0x80",
        "test eax, eax",
        "jnz 2f",
        "mov ebx, [ebp]",
        "mov ecx, [ebp + 4]",
        "mov edx, [ebp + 8]",
        "mov esi, [ebp + 12]",
        "mov edi, [ebp + 16]",
        "mov eax, {prctl}",
        "int 0x80",
        "mov [ebp + 20], eax",
        "xor ebx, ebx",
        "mov eax, {exit}", // Of this thread.
        "int 0x80",
        "2: pop ebp",
        "pop edi",
        "pop esi",
        "pop ebx",
        "ret",
        clone = const Sysno::clone as u32,
        prctl = const Sysno::prctl as u32,
        exit = const Sysno::exit as u32,
    )
}

/// As in `aarch64.rs`.
///
/// The calls with 64-bit times, because a kernel may leave out the others
/// (`CONFIG_COMPAT_32BIT_TIME`), and with user ids of 32 bits.
#[allow(non_upper_case_globals)]
pub(crate) mod call {
    pub(crate) use syscalls::Sysno::*;

    pub(crate) const mmap: syscalls::Sysno = mmap2;
    pub(crate) const ppoll: syscalls::Sysno = ppoll_time64;
    #[cfg(feature = "full")]
    pub(crate) const setresuid: syscalls::Sysno = setresuid32;
}

/// As in `aarch64.rs`.
#[cfg(feature = "full")]
pub(crate) const OFFSET_UNIT: u64 = 4096;

/// As in `aarch64.rs`. It leaves room for the mappings of the suite even where the address space
/// ends at `1 << 31`.
#[cfg(feature = "full")]
pub(crate) const LOW: usize = 1 << 28;
