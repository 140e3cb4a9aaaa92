//! The executable: a thin shell of system calls around the core.
//!
//! ```text
//! arch/         the entry point, in assembly    start       the initial stack
//! mem           memcpy and the like             sys/        system calls, with types
//!
//! commands      options -> command -> exit status
//!   stages      map, name, unmap                observer    what that changed in the maps
//!   probe       can this kernel name memory?    naming      tries to name a page
//!   check       the suite as KTAP               interpreter runs one case
//!   listing     the mappings of a process       subject     reading a process
//!   names       memory by name                  unreadable  why a process cannot be read
//! pid1          console, /proc, power off, the next init
//! console       output and error messages       prompt      waiting for Enter
//! snapshot      copies of the maps              maps_files  --output
//! scratch       stack memory for the copies      cold        the suite and the help
//!
//! minimal       the whole minimal build: the stages alone
//! ```
//!
//! Except for the code in `arch`, only `sys` makes system calls. The feature `full`
//! chooses between `commands` and `minimal`.
#![no_std]
#![no_main]

#[cfg_attr(target_arch = "aarch64", path = "arch/aarch64.rs")]
#[cfg_attr(target_arch = "arm", path = "arch/arm.rs")]
#[cfg_attr(target_arch = "riscv64", path = "arch/riscv64.rs")]
#[cfg_attr(target_arch = "x86", path = "arch/i386.rs")]
#[cfg_attr(target_arch = "x86_64", path = "arch/x86_64.rs")]
mod arch;
mod mem;
mod start;
mod sys;

#[cfg(feature = "full")]
mod check;
#[cfg(feature = "full")]
mod cold;
#[cfg(feature = "full")]
mod commands;
#[cfg(feature = "full")]
mod console;
#[cfg(feature = "full")]
mod interpreter;
#[cfg(feature = "full")]
mod listing;
#[cfg(feature = "full")]
mod maps_files;
#[cfg(feature = "full")]
mod names;
#[cfg(feature = "full")]
mod naming;
#[cfg(feature = "full")]
mod observer;
#[cfg(feature = "full")]
mod pid1;
#[cfg(feature = "full")]
mod probe;
#[cfg(feature = "full")]
mod prompt;
#[cfg(feature = "full")]
mod scratch;
#[cfg(feature = "full")]
mod snapshot;
#[cfg(feature = "full")]
mod stages;
#[cfg(feature = "full")]
mod subject;
#[cfg(feature = "full")]
mod unreadable;

#[cfg(not(feature = "full"))]
mod minimal;

#[cfg(feature = "full")]
use commands::{panicked, run};
#[cfg(not(feature = "full"))]
use minimal::{panicked, run};

/// Reports a panic and ends the program.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    match info.location() {
        Some(place) => panicked(place.file(), place.line()),
        None => panicked("?", 0),
    }
}
