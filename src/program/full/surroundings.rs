//! What the program needs around it: a console, `/proc`, and some stack.

use super::report;
use crate::{
    console::Console,
    sys::{STDERR, STDIN, STDOUT, files},
};
use core::ffi::CStr;
use vm_anon_name::text::Value::Number;

/// Where a console may be, best first: the kernel's own choice, arm64's first
/// serial lines, and the kernel log, which takes what is written at least.
const CONSOLES: [&CStr; 4] = [
    c"/dev/console",
    c"/dev/ttyAMA0",
    c"/dev/ttyS0",
    c"/dev/kmsg",
];

/// Makes and mounts what an empty initramfs does not have. For PID 1.
pub(crate) fn prepare(console: &mut Console) {
    for standard in [STDIN, STDOUT, STDERR] {
        // A file gets the lowest number that is free: this one, now that those
        // below it are open.
        if files::is_closed(standard) && !open_console() {
            // Without a node for the console, a devtmpfs has one.
            let _ = files::mount(c"devtmpfs", c"/dev");
            open_console(); // If that fails, there is nowhere to say so.
        }
    }
    if let Err(errno) = files::mount(c"proc", c"/proc") {
        report::failure(console, errno, b"mount proc on /proc", &[]);
    }
}

fn open_console() -> bool {
    CONSOLES
        .iter()
        .any(|path| files::open_terminal(path).is_ok())
}

/// What the program may need of the stack, in bytes: the copies of the maps take 32 KiB
/// of it, the suite 20. As much is left for the words of the command line, of which the
/// kernel allows 128 KiB, or a quarter of a limit that is higher.
const STACK: u64 = 256 << 10;

/// Whether the stack may grow as large as that; complains if not.
pub(crate) fn stack_suffices(console: &mut Console) -> bool {
    let limit = files::stack_limit();
    if limit < STACK {
        let values = [Number(limit >> 10), Number(STACK >> 10)];
        let text = b"the stack limit is % KiB, % are needed: see ulimit -s";
        console.complain(text, &values);
    }
    limit >= STACK
}
