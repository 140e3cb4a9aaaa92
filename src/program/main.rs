//! The program: a thin shell around the core, from the kernel's entry to the end.
//!
//! ```text
//! arch/      the entry, in assembly      start    words, environment, auxiliary vector
//! sys        every system call           mem      memcpy and its kind
//! console    what is printed             pause    Enter
//! init       being PID 1                 stages   the four stages
//!
//! full       the whole program           minimal  the stages alone
//! ```
//!
//! Calls go down this list only: `full` or `minimal` (one of them is built) walks
//! the `stages`, which print to the `console`, and all end in `sys`.
#![no_std]
#![no_main]

#[cfg_attr(target_arch = "aarch64", path = "arch/aarch64.rs")]
#[cfg_attr(not(target_arch = "aarch64"), path = "arch/missing.rs")]
mod arch;
mod console;
mod init;
mod mem;
mod pause;
mod stages;
mod start;
mod sys;

#[cfg(feature = "explain")]
mod full;
#[cfg(not(feature = "explain"))]
mod minimal;

use core::panic::PanicInfo;
#[cfg(feature = "explain")]
use full::run;
#[cfg(not(feature = "explain"))]
use minimal::run;
use vm_anon_name::text::Sink;

/// Where Rust begins.
#[inline(always)] // It is called once. That it never returns counts against it.
fn main(process: &start::Process) -> ! {
    run(process, sys::getpid())
}

/// A defect in the program: says where, and ends it as PID 1 must end.
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let mut console = console::Console::new();
    console.begin_complaint();
    console.put(b"panic at ");
    if let Some(place) = info.location() {
        console.put(place.file().as_bytes());
        console.put(b":");
        console.decimal(place.line() as usize);
    }
    console.end_complaint();
    init::end(sys::getpid(), 101, sys::Reboot::PowerOff, &mut console)
}
