//! 32-bit arm, as ARM or Thumb-2 code: the entry point, functions in assembly, constants.
//!
//! # Safety
//!
//! Unsafe, because the kernel does not enter a program by Rust's rules: there is only a stack
//! pointer.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use syscalls::Sysno;

/// The entry point. `sp` points to the argument count and is 8-byte aligned; all other
/// registers are zero, so debuggers stop unwinding here (`start_thread()` in the kernel's
/// `arch/arm/include/asm/processor.h`).
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn begin() -> ! {
    naked_asm!(
        "mov r0, sp", // The initial stack, before Rust moves sp.
        "bl {enter}",
        "mov r7, #{exit_group}",
        "svc #0",
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
        "push {{r7, lr}}",
        "mov r7, sp",
        "sub r0, r7, r0",
        "lsr r0, r0, #12",
        "lsl r0, r0, #12",
        "sub r0, r0, #2048",
        "mov sp, r0",
        "mov r3, r1",
        "mov r1, r0",
        "mov r0, r2",
        "blx r3",
        "mov sp, r7",
        "pop {{r7, pc}}",
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
        "push {{r4, r7}}",
        "mov r12, r0",
        "mov r0, r1",
        "mov r1, #0", // The same stack.
        "mov r7, #{clone}",
        "svc #0",
        "cmp r0, #0",
        "bne 2f",
        "ldm r12, {{r0, r1, r2, r3, r4}}",
        "mov r7, #{prctl}",
        "svc #0",
        "str r0, [r12, #20]",
        "mov r0, #0",
        "mov r7, #{exit}", // Of this thread.
        "svc #0",
        "2: pop {{r4, r7}}",
        "bx lr",
        clone = const Sysno::clone as u32,
        prctl = const Sysno::prctl as u32,
        exit = const Sysno::exit as u32,
    )
}

/// As in `aarch64.rs`.
///
/// Calls with 64-bit times, because a kernel may leave out those with 32 bits
/// (`CONFIG_COMPAT_32BIT_TIME`), and calls with 32-bit user ids.
#[allow(non_upper_case_globals)]
pub(crate) mod call {
    pub(crate) use syscalls::Sysno::*;

    pub(crate) const mmap: syscalls::Sysno = mmap2;
    pub(crate) const ppoll: syscalls::Sysno = ppoll_time64;
    #[cfg(feature = "full")]
    pub(crate) const setresuid: syscalls::Sysno = setresuid32;
    /// The number on other architectures. On arm, the call returns ENOSYS.
    #[cfg(feature = "full")]
    pub(crate) const memfd_secret: u16 = 447;
}

/// As in `aarch64.rs`.
#[cfg(feature = "full")]
pub(crate) const OFFSET_UNIT: u64 = 4096;

/// An address below those that the kernel chooses, with room for the mappings of the suite even
/// where the address space ends at `1 << 31`.
#[cfg(feature = "full")]
pub(crate) const LOW: usize = 1 << 28;
