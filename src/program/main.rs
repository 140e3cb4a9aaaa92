//! The program: a thin shell around the core, from the kernel's entry to the end.
//!
//! ```text
//! arch/      the entry, in assembly      start    words, environment, auxiliary vector
//! sys        every system call           mem      memcpy and its kind
//! init       being PID 1
//!
//! full       the whole program           minimal  the stages alone
//! ```
//!
//! Calls go up this list only: one of `full` and `minimal` is built, and all ends in
//! `sys`. They share no more, because what `full` does around the stages - the diffs,
//! the options, going on behind a failure - would be half of `minimal`.
#![no_std]
#![no_main]

#[cfg_attr(target_arch = "aarch64", path = "arch/aarch64.rs")]
#[cfg_attr(not(target_arch = "aarch64"), path = "arch/missing.rs")]
mod arch;
mod init;
mod mem;
mod start;
mod sys;

#[cfg(feature = "explain")]
mod full;
#[cfg(not(feature = "explain"))]
mod minimal;

use core::panic::PanicInfo;
#[cfg(feature = "explain")]
use full::{panicked, run};
#[cfg(not(feature = "explain"))]
use minimal::{panicked, run};

/// Where Rust begins.
#[inline(always)] // It is called once. That it never returns counts against it.
fn main(process: &start::Process) -> ! {
    run(process, sys::getpid())
}

/// A defect in the program: says where, and ends it as PID 1 must end.
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    match info.location() {
        Some(place) => panicked(place.file(), place.line()),
        None => panicked("?", 0),
    }
}
