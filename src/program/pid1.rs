//! Being PID 1: the console, `/proc`, and the end of the machine.

use crate::{
    console::Console,
    start::Process,
    sys::{
        Fd, STDERR, STDIN, STDOUT, file,
        process::exec,
        system::{self, Reboot, mount, reboot},
    },
};
use core::ffi::CStr;
use vm_anon_name::{format::Escaped, put, scan::look_up};

/// The process id of the first process.
pub(crate) const PID: u32 = 1;

/// Where a console may be, in order: the kernel's own choice, common first serial
/// lines, and the kernel log, which is not a terminal but takes output.
const CONSOLES: [&CStr; 4] = [
    c"/dev/console",
    c"/dev/ttyAMA0",
    c"/dev/ttyS0",
    c"/dev/kmsg",
];

/// The values of `--then` that are not the path of the next init.
const WAYS: &[(&str, Reboot)] = &[
    ("poweroff", Reboot::PowerOff),
    ("reboot", Reboot::Restart),
    ("halt", Reboot::Halt),
];

/// Sets up what an empty initramfs lacks: standard descriptors and `/proc`.
pub(crate) fn prepare(console: &mut Console) {
    let mut terminal = None;
    for standard in [STDIN, STDOUT, STDERR] {
        if file::is_closed(&standard) {
            // Both calls return the lowest free descriptor, which is this one.
            terminal = match &terminal {
                None => open_console(),
                Some(terminal) => file::duplicate(terminal).ok(),
            };
        }
    }
    if let Err(errno) = mount_at(c"proc", c"/proc") {
        console.report(b"mount of /proc", errno);
    }
}

/// Opens the first console that exists. Without one there is nowhere to say so.
fn open_console() -> Option<Fd> {
    let find = || {
        CONSOLES
            .iter()
            .find_map(|path| file::open_terminal(path).ok())
    };
    find().or_else(|| {
        // An image without device nodes gets them from a devtmpfs.
        let _ = mount_at(c"devtmpfs", c"/dev");
        find()
    })
}

fn mount_at(kind: &CStr, place: &CStr) -> crate::sys::Result {
    let made = file::make_directory(place);
    mount(kind, place).map_err(|errno| made.err().unwrap_or(errno))
}

/// Ends PID 1, which must not exit, because the kernel would panic: announces
/// `status`, then does what `then` says, and powers off without it.
pub(crate) fn finish(
    process: &Process,
    then: Option<&CStr>,
    status: u8,
    console: &mut Console,
) -> ! {
    let then = then.unwrap_or(c"poweroff");
    put!(
        console,
        "\nvm_anon_name: status {}, then {}\n",
        status,
        Escaped(then.to_bytes())
    );
    console.close();
    let how = look_up(WAYS, then.to_bytes()).unwrap_or_else(|| {
        let errno = exec(then, process.environment);
        console.report(then.to_bytes(), errno);
        Reboot::PowerOff
    });
    leave(how, console)
}

/// Leaves the machine. Sleeps for ever if that is refused.
pub(crate) fn leave(how: Reboot, console: &mut Console) -> ! {
    if let Err(errno) = reboot(how) {
        console.report(b"reboot", errno);
    }
    loop {
        system::pause();
    }
}
