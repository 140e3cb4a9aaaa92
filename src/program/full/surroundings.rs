//! What the program needs around it: a console, `/proc`, and some stack.

use super::{console::Console, report};
use crate::sys::{Descriptor, STDERR, STDIN, STDOUT, files};
use core::ffi::CStr;
use vm_anon_name::messages::Message;

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
    let mut terminal = None;
    for standard in [STDIN, STDOUT, STDERR] {
        if files::is_closed(standard) {
            // It is the lowest number that is free, which either call gives.
            terminal = match terminal {
                None => open_console(),
                Some(terminal) => files::duplicate(terminal).ok(),
            };
        }
    }
    if let Err(errno) = files::mount(c"proc", c"/proc") {
        report::failure(console, errno, b"mount of /proc");
    }
}

/// Opens the best console. If there is none, there is nowhere to say so.
fn open_console() -> Option<Descriptor> {
    for _ in 0..2 {
        let mut paths = CONSOLES.iter();
        let found = paths.find_map(|path| files::open_terminal(path).ok());
        if found.is_some() {
            return found;
        }
        // Without a node for the console, a devtmpfs has one.
        let _ = files::mount(c"devtmpfs", c"/dev");
    }
    None
}

/// What the program may need of the stack, in bytes: 128 KiB for the words of the command
/// line, of which the kernel allows so much, or a quarter of a limit that is higher; and
/// enough for the copies of the maps, which take 32 KiB, or the suite, which takes 21.
const STACK: u64 = 256 << 10;

/// Whether the stack may grow as large as that; complains if not.
pub(crate) fn stack_suffices(console: &mut Console) -> bool {
    let suffices = files::stack_limit() >= STACK;
    if !suffices {
        console.complain(Message::STACK).end();
    }
    suffices
}
