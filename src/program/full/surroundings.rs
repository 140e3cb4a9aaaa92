//! What the program needs around it: a console, `/proc`, and some stack.

use super::{report, snapshot};
use crate::{
    console::Console,
    start::Process,
    sys::{Descriptor, files},
};
use core::ffi::CStr;
use linux_raw_sys::general::{O_NOCTTY, O_RDWR};
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
    open_standard();
    if let Err(errno) = files::mount(c"proc", c"/proc") {
        report::failure(console, errno, b"mount proc on /proc", &[]);
    }
}

/// Opens what is closed of descriptors 0, 1 and 2 on a console.
fn open_standard() {
    if !files::STANDARD.into_iter().any(files::is_closed) {
        return;
    }
    // Without a node for the console, a devtmpfs has one.
    let Some(terminal) = open_console().or_else(|| {
        let _ = files::mount(c"devtmpfs", c"/dev");
        open_console()
    }) else {
        return; // There is nowhere to say so.
    };
    for file in files::STANDARD {
        if files::is_closed(file) {
            let _ = files::duplicate_to(terminal, file);
        }
    }
    let _ = files::close(terminal);
}

fn open_console() -> Option<Descriptor> {
    CONSOLES
        .iter()
        .find_map(|path| files::open(None, path, O_RDWR | O_NOCTTY).ok())
}

/// What the program may need of the stack, in bytes: the four snapshots, and as
/// much again for everything else.
const STACK: u64 = 2 * 4 * snapshot::ROOM as u64;

/// Whether there is as much stack as may be needed; complains if not.
pub(crate) fn stack_suffices(process: &Process, console: &mut Console) -> bool {
    let limit = files::stack_limit().unwrap_or(u64::MAX);
    let left = limit.saturating_sub(process.stack_used() as u64);
    if left < STACK {
        let values = [Number(left / 1024), Number(STACK / 1024)];
        console.complain(
            b"the stack limit leaves % KiB, % are needed: see ulimit -s",
            &values,
        );
    }
    left >= STACK
}
