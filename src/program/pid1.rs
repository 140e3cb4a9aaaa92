//! PID 1: the console, `/proc`, and powering off.

use crate::{
    console::{Console, LOG},
    start::Process,
    sys::{
        Errno, Fd, Result, STDERR, STDIN, STDOUT, file, io,
        process::{end_on_signals, exec},
        system::{self, Reboot, mount, reboot, unmount},
        terminal,
    },
};
use core::ffi::CStr;
use vm_anon_name::{put, scan::look_up};

/// The process id of the first process.
pub(crate) const PID: u32 = 1;

/// Devices that may be a console, in order: the kernel's own choice, then the first
/// serial lines of common boards.
const CONSOLES: [&CStr; 9] = [
    c"/dev/console",
    c"/dev/hvc0",
    c"/dev/ttyAMA0",
    c"/dev/ttyS0",
    c"/dev/ttyMSM0",
    c"/dev/ttyLP0",
    c"/dev/ttySC0",
    c"/dev/ttyPS0",
    c"/dev/ttyTHS0",
];

/// The values of `--then` that are not the path of the next init.
const WAYS: &[(&str, Reboot)] = &[
    ("poweroff", Reboot::PowerOff),
    ("reboot", Reboot::Restart),
    ("halt", Reboot::Halt),
];

/// How long PID 1 waits for a terminal that sends nothing, in steps of 10 ms: 10 seconds.
const STALLED: u32 = 1000;

/// If this process, with the id `pid`, is the first of the machine, sets up what an empty
/// initramfs lacks: standard descriptors and `/proc`. Returns whether it is.
///
/// The first process of a container is PID 1 of another PID namespace. It runs like any
/// other process, but needs handlers for the signals that should end it.
pub(crate) fn take_over(pid: u32, console: &mut Console) -> bool {
    if pid != PID {
        return false;
    }
    let mut mounted = Ok(());
    let is_first = in_first_namespace().unwrap_or_else(|| {
        mounted = mount_at(c"proc", c"/proc");
        let is_first = in_first_namespace().unwrap_or_else(may_reboot);
        if !is_first && mounted.is_ok() {
            // The mount may be visible outside the container.
            let _ = unmount(c"/proc");
        }
        is_first
    });
    if !is_first {
        end_on_signals();
        return false;
    }
    open_standard(console);
    if let Err(errno) = mounted {
        console.report(b"mount of /proc", errno);
    }
    true
}

/// Whether this process is in the PID namespace that the kernel started with; `None`
/// without a readable `/proc`.
fn in_first_namespace() -> Option<bool> {
    let mut target = [0; 32];
    // The inode number is `PROC_PID_INIT_INO` in include/linux/proc_ns.h.
    match file::read_link(c"/proc/self/ns/pid", &mut target) {
        Ok(length) => Some(target.get(..length) == Some(b"pid:[4026531836]")),
        // A kernel without PID namespaces does not have the link.
        Err(Errno::ENOENT) => file::read_link(c"/proc/self", &mut target)
            .is_ok()
            .then_some(true),
        Err(_) => None,
    }
}

/// Whether this process, PID 1, may reboot the machine. PID 1 of a container may not: the kernel
/// refuses the call (`reboot_pid_ns()` in kernel/pid_namespace.c). The call enables Ctrl-Alt-Del. That
/// is the default, so it changes nothing on the machine itself.
fn may_reboot() -> bool {
    reboot(Reboot::CtrlAltDel).is_ok()
}

/// Opens the standard descriptors that are closed, or all if the console's device fails.
fn open_standard(console: &mut Console) {
    let is_file = is_file_console();
    if is_file || is_dead(&STDOUT) {
        let _ = [STDIN, STDOUT, STDERR].map(file::close);
    }
    if is_file {
        let _ = mount_devices();
    }
    let mut terminal = None;
    for standard in &[STDIN, STDOUT, STDERR] {
        if file::is_closed(standard) {
            // Both calls return the lowest free descriptor, which is this one.
            terminal = match &terminal {
                None => open_console(console),
                Some(terminal) => file::duplicate(terminal).ok(),
            };
        }
    }
}

/// Opens the first console that can be written, or else the kernel's log. `None` if neither
/// can be opened.
fn open_console(console: &mut Console) -> Option<Fd> {
    find_console().or_else(|| {
        let _ = mount_devices();
        find_console().or_else(|| {
            console.is_log = true;
            file::open_terminal(LOG).ok()
        })
    })
}

fn find_console() -> Option<Fd> {
    CONSOLES.iter().find_map(|path| {
        let file = file::open_terminal(path).ok()?;
        if !is_dead(&file) {
            return Some(file);
        }
        let _ = file::close(file);
        None
    })
}

/// Whether `file` is a serial line without hardware. It can be opened, but each write fails.
fn is_dead(file: &Fd) -> bool {
    io::probe_write(file) == Err(Errno::EIO)
}

/// Whether the standard output is `/dev/console`, but a regular file instead of a terminal. Images of
/// containers have such a file.
fn is_file_console() -> bool {
    let mut path = [0; 16];
    let length = file::read_link(c"/proc/self/fd/1", &mut path).unwrap_or(0);
    path.get(..length) == Some(b"/dev/console") && !terminal::is_terminal(&STDOUT)
}

/// Mounts a devtmpfs, from which an image without device nodes gets them.
fn mount_devices() -> Result {
    mount_at(c"devtmpfs", c"/dev")
}

fn mount_at(kind: &CStr, place: &CStr) -> Result {
    let made = file::make_directory(place);
    mount(kind, place).map_err(|errno| made.err().unwrap_or(errno))
}

/// Whether `then` is the path of the next init.
pub(crate) fn is_path(then: &CStr) -> bool {
    look_up(WAYS, then.to_bytes()).is_none()
}

/// Ends PID 1, which must not exit, because the kernel would panic: prints
/// `status`, then does what `then` says, or powers off if it is `None`.
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
        then.to_bytes()
    );
    console.close();
    let how = look_up(WAYS, then.to_bytes()).unwrap_or_else(|| {
        // The next init may end the machine at once.
        drain(&STDOUT);
        drain(&STDERR);
        let errno = exec(then, process.environment);
        console.report(then.to_bytes(), errno);
        Reboot::PowerOff
    });
    leave(how, console)
}

/// Powers off, reboots or halts. If the kernel refuses, sleeps for ever.
pub(crate) fn leave(how: Reboot, console: &mut Console) -> ! {
    drain(&STDOUT);
    drain(&STDERR);
    if let Err(errno) = reboot(how) {
        console.report(b"reboot", errno);
    }
    loop {
        system::pause();
    }
}

/// Waits until the terminal `file` has sent all output, because the end of the machine
/// discards the rest. Gives up after [`STALLED`] if nothing is sent, for example
/// because flow control stops the line.
fn drain(file: &Fd) {
    let (mut before, mut rest) = (0, STALLED);
    while rest > 0 {
        let unsent = terminal::unsent(file);
        if unsent == 0 {
            // tcdrain(3) waits for the bytes that are still in the hardware.
            return terminal::drain(file);
        }
        rest = if unsent == before { rest - 1 } else { STALLED };
        before = unsent;
        system::sleep_10_ms();
    }
}
