//! From the command line to the exit status.

use crate::{
    check, cold,
    console::{Console, error},
    listing, names, pid1, probe,
    scratch::Stack,
    stages,
    start::Process,
    sys::{
        process::{block_write_signals, exit, fork, getpid},
        system::Reboot,
    },
};
use vm_anon_name::{
    format::Sink,
    options::{Command, Flag, Options},
    put,
};

/// The exit statuses of more than one command; `probe` has more of its own.
pub(crate) mod status {
    pub(crate) const SUCCESS: u8 = 0;
    pub(crate) const FAILED: u8 = 1;
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const LACKING: u8 = 4;
    pub(crate) const NO_PROC: u8 = 8;
    pub(crate) const PANICKED: u8 = 101;
}

/// What `--version` prints, and `check`, too.
pub(crate) const VERSION: &str = concat!(
    "vm_anon_name ",
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("VM_ANON_NAME_REVISION"),
    ")"
);

/// Runs the program from its command line to its end.
pub(crate) fn run(process: &Process) -> u8 {
    let mut console = Console::new();
    let pid = getpid();
    let mut is_init = pid1::take_over(pid, &mut console);
    if !is_init {
        block_write_signals();
    }
    let mut options = Options::default();
    options.parse(&mut process.words(), is_init, &mut |word, reason| {
        error!(&mut console, "'{}': {}", word, reason.text());
    });
    if is_init && options.usable && goes_to_background(&options) {
        match fork() {
            Ok(is_child) if is_child => is_init = false,
            Ok(_) => pid1::finish(process, options.then, status::SUCCESS, &mut console),
            Err(errno) => console.report(b"clone", errno),
        }
    }
    let mut status = if !options.usable {
        status::USAGE
    } else if let Some(stack) = Stack::check() {
        command(process, &options, pid, is_init, &stack, &mut console)
    } else {
        error!(
            &mut console,
            "the stack limit is below 256 KiB, see ulimit -s"
        );
        status::FAILED
    };
    if !console.close() {
        status = status::FAILED;
    }
    if is_init {
        pid1::finish(process, options.then, status, &mut console);
    }
    status
}

/// Whether PID 1 leaves the command to a child, because it goes on while the next init runs.
fn goes_to_background(options: &Options) -> bool {
    options.every.is_some() && options.then.is_some_and(pid1::is_path)
}

fn command(
    process: &Process,
    options: &Options,
    pid: u32,
    is_init: bool,
    stack: &Stack,
    console: &mut Console,
) -> u8 {
    match options.command {
        Command::Stages => stages::run(process, options, pid, stack, console),
        Command::Probe => probe::run(options.has(Flag::Quiet), is_init, stack, console),
        Command::Check => check::run(process, options, is_init, console),
        Command::Maps => {
            cold::split();
            listing::run(options, pid, console)
        }
        Command::Names => {
            cold::split();
            names::run(options, process.page_size(), console)
        }
        Command::Help => {
            console.put(&cold::HELP);
            status::SUCCESS
        }
        Command::Version => {
            put!(console, "{}\n", VERSION);
            status::SUCCESS
        }
    }
}

/// Reports a panic and ends the program.
pub(crate) fn panicked(file: &str, line: u32) -> ! {
    let mut console = Console::new();
    error!(&mut console, "panic at {}:{}", file, line);
    if pid1::take_over(getpid(), &mut console) {
        pid1::leave(Reboot::PowerOff, &mut console);
    }
    exit(status::PANICKED)
}
