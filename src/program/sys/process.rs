//! Processes: their ids, children, signals, limits, and the programs they execute.
//!
//! # Safety
//!
//! As in [`sys`](super).
#![allow(unsafe_code)]
#![cfg_attr(not(feature = "full"), allow(dead_code, unused_imports))]

use super::{Errno, Fd, Result};
use crate::arch::call;
use core::{
    ffi::{CStr, c_char},
    ptr,
};
use linux_raw_sys::{
    general::*,
    prctl::{PR_GET_SECCOMP, PR_SET_MEMORY_MERGE, PR_SET_PDEATHSIG},
};
use syscalls::{Sysno, raw_syscall};

/// `getpid(2)`.
pub(crate) fn getpid() -> u32 {
    // SAFETY: No memory is involved. The call cannot fail.
    unsafe { raw_syscall!(Sysno::getpid) as u32 }
}

/// `exit_group(2)`.
pub(crate) fn exit(status: u8) -> ! {
    loop {
        // SAFETY: No memory is involved.
        unsafe { raw_syscall!(Sysno::exit_group, status) };
    }
}

/// How a child ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChildEnd {
    /// It exited with this status.
    Exited(u8),
    /// This signal killed it.
    Killed(u8),
    /// It did not end in time and was killed.
    TimedOut,
}

/// `clone(2)`: runs `work` in a child with a copy of this process's memory, and
/// waits at most `seconds` for its end. The child exits with the result of `work`,
/// and dies when this process dies.
///
/// # Errors
///
/// The child cannot be created, or the kernel does not report how it ended.
#[cfg(feature = "full")]
pub(crate) fn run_in_child(seconds: i64, work: &mut dyn FnMut() -> u8) -> Result<ChildEnd> {
    // Kernels before 5.2 ignore CLONE_PIDFD and leave this value. No descriptor has this number.
    let mut pidfd = i32::MAX;
    let flags = CLONE_PIDFD | SIGCHLD;
    // SAFETY: Without CLONE_VM the child has its own copy of all memory. The kernel
    // writes `pidfd`.
    let pid = unsafe { call!(Sysno::clone, flags, 0, &raw mut pidfd, 0, 0) }?;
    if pid == 0 {
        // SAFETY: No memory is involved.
        let _ = unsafe { call!(Sysno::prctl, PR_SET_PDEATHSIG, SIGKILL) };
        exit(work());
    }
    if !ends_within(pidfd, seconds) {
        // SAFETY: No memory of this process is involved.
        let _ = unsafe { call!(Sysno::kill, pid, SIGKILL) };
        // A child in an uninterruptible system call does not end even then. So nothing waits for
        // it, and its descriptor stays open until this process ends.
        ends_within(pidfd, 1);
        return Ok(ChildEnd::TimedOut);
    }
    let _ = super::file::close(Fd(pidfd as isize)); // Nothing was written to it.
    wait(pid)
}

/// `clone(2)` without a shared resource, as fork(2). Returns whether this is the child.
#[cfg(feature = "full")]
pub(crate) fn fork() -> Result<bool> {
    // SAFETY: Without CLONE_VM the child has its own copy of all memory.
    let pid = unsafe { call!(Sysno::clone, SIGCHLD, 0, 0, 0, 0) }?;
    Ok(pid == 0)
}

/// `ppoll(2)`: whether the process of `pidfd` ends within `seconds`. True at once if
/// the call fails, or if the kernel cannot wait for pidfds, which is so before 5.3.
#[cfg(feature = "full")]
fn ends_within(pidfd: i32, seconds: i64) -> bool {
    let mut entry = pollfd {
        fd: pidfd,
        events: POLLIN as i16,
        revents: 0,
    };
    let (mut timeout, no_mask) = ([seconds, 0], ptr::null::<u8>());
    // SAFETY: The kernel reads and writes `entry` and `timeout`.
    let result = unsafe {
        call!(
            call::ppoll,
            &raw mut entry,
            1,
            &raw mut timeout,
            no_mask,
            size_of::<u64>()
        )
    };
    result != Ok(0)
}

/// `wait4(2)`: waits for child `pid` and returns how it ended.
#[cfg(feature = "full")]
pub(crate) fn wait(pid: usize) -> Result<ChildEnd> {
    let mut status = 0u32;
    let mut retries = super::io::MAX_RETRIES;
    loop {
        let no_usage = ptr::null::<u8>();
        // SAFETY: The kernel writes `status`.
        match unsafe { call!(Sysno::wait4, pid, &raw mut status, 0, no_usage) } {
            Err(Errno::EINTR) if retries > 0 => retries -= 1,
            Err(errno) => return Err(errno),
            Ok(_) => break,
        }
    }
    // Decodes the status as WIFEXITED and WTERMSIG do, see wait(2).
    Ok(match status & 0x7f {
        0 => ChildEnd::Exited((status >> 8) as u8),
        signal => ChildEnd::Killed(signal as u8),
    })
}

/// `execve(2)`: runs `path`, with `path` as the only argument. Returns only on failure.
pub(crate) fn exec(path: &CStr, environment: *const *const c_char) -> Errno {
    let words = [path.as_ptr(), ptr::null()];
    // SAFETY: The kernel reads `path` and `words`, which end with NUL and NULL, and
    // `environment`, which the kernel itself passed to this program.
    let result = unsafe { call!(Sysno::execve, path.as_ptr(), words.as_ptr(), environment) };
    result.err().unwrap_or(Errno::EIO)
}

/// `prlimit64(2)`: the soft limit on the size of the stack in bytes; `u64::MAX` if
/// there is none or the kernel does not tell.
pub(crate) fn stack_limit() -> u64 {
    let mut limit = [u64::MAX; 2]; // A `struct rlimit64`: soft, hard.
    let (resource, no_new) = (RLIMIT_STACK, ptr::null::<u8>());
    // SAFETY: The kernel writes `limit`.
    let _ = unsafe { call!(Sysno::prlimit64, 0, resource, no_new, limit.as_mut_ptr()) };
    limit[0]
}

/// `rt_sigprocmask(2)`: blocks SIGPIPE and SIGXFSZ, so that a write to a closed pipe
/// or beyond the file size limit fails instead of killing the program.
pub(crate) fn block_write_signals() {
    let set = 1_u64 << (SIGPIPE - 1) | 1 << (SIGXFSZ - 1);
    let (start, no_old) = (&raw const set, ptr::null::<u8>());
    let size = size_of_val(&set);
    // Only a filter can make the call fail; such a write then ends the program.
    // SAFETY: The kernel reads `set`.
    let _ = unsafe { call!(Sysno::rt_sigprocmask, SIG_BLOCK, start, no_old, size) };
}

/// `rt_sigaction(2)`: SIGINT and SIGTERM end this process with the status 128 + N, the
/// one that a shell reports for signal N. The kernel does not deliver signals without a
/// handler to PID 1 of a namespace, except SIGKILL and SIGSTOP from outside.
#[cfg(feature = "full")]
pub(crate) fn end_on_signals() {
    extern "C" fn end(signal: u32) {
        exit(128 + signal as u8);
    }
    set_handler(SIGINT, end as *const () as usize);
    set_handler(SIGTERM, end as *const () as usize);
}

/// Resets inherited settings that would change results. `rt_sigaction(2)`: if SIGCHLD is
/// ignored, the status of a child is lost. `personality(2)`: UNAME26 changes the release,
/// and READ_IMPLIES_EXEC the protections.
#[cfg(feature = "full")]
pub(crate) fn reset_inherited() {
    set_handler(SIGCHLD, 0);
    // If the call is refused, the personality stays as it is.
    // SAFETY: No memory is involved.
    let _ = unsafe { call!(Sysno::personality, 0) };
}

/// `prctl(PR_SET_MEMORY_MERGE)`: turns off KSM for all mappings, if a parent turned it on.
/// Older kernels mark a new mapping for KSM only after they have tried to merge it, so it does
/// not merge with its neighbours (`mmap_region()` in 6.12).
#[cfg(feature = "full")]
pub(crate) fn reset_memory_merge() {
    // A kernel without this option has no KSM for a whole process.
    // SAFETY: No memory is involved.
    let _ = unsafe { call!(Sysno::prctl, PR_SET_MEMORY_MERGE, 0, 0, 0, 0) };
}

/// `prctl(PR_GET_SECCOMP)`: whether a filter decides which system calls this process may make.
/// False also if the filter refuses this call.
#[cfg(feature = "full")]
pub(crate) fn is_filtered() -> bool {
    const SECCOMP_MODE_FILTER: usize = 2;
    // SAFETY: No memory is involved.
    unsafe { call!(Sysno::prctl, PR_GET_SECCOMP, 0, 0, 0, 0) == Ok(SECCOMP_MODE_FILTER) }
}

/// `rt_sigaction(2)`: sets the handler of `signal`, an address, `SIG_DFL` or `SIG_IGN`.
#[cfg(feature = "full")]
fn set_handler(signal: u32, handler: usize) {
    // A `struct sigaction` of the kernel: handler, flags, restorer, mask. No handler returns, so
    // none needs a restorer, but x86_64 demands SA_RESTORER. The struct of riscv64 has no such
    // field. The mask takes two words on 32-bit machines.
    const SA_RESTORER: usize = 0x0400_0000;
    let action = [handler, SA_RESTORER, 0, 0, 0];
    let (start, no_old) = (action.as_ptr(), ptr::null::<u8>());
    // Only a filter can make the call fail; the signal then keeps its action.
    // SAFETY: The kernel reads `action`. The handler is SIG_DFL, or a function that exits.
    let _ = unsafe { call!(Sysno::rt_sigaction, signal, start, no_old, size_of::<u64>()) };
}
