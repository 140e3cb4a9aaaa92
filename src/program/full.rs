//! The whole program: options in, one command, and an exit status out.

#[cfg(feature = "check")]
mod check;
mod console;
mod output;
mod pause;
#[cfg(feature = "check")]
mod probe;
mod report;
mod snapshot;
mod stages;
mod surroundings;
mod texts;
mod watch;

use crate::{
    init,
    start::Process,
    sys::{self, Reboot, files},
};
use console::Console;
use core::ffi::CStr;
use heapless::Vec;
use vm_anon_name::{
    messages::Message,
    options::{Command, Flag, Options},
    say::Say,
    text::{Sink, split},
    words,
};

/// What the program says of itself.
const VERSION: &str = concat!(
    "vm_anon_name ",
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("VM_ANON_NAME_REVISION"),
    ")\n"
);

words! {
    /// How PID 1 leaves the machine by itself.
    fn way(word) -> Option<Reboot> {
        "poweroff" => Reboot::PowerOff,
        "reboot" => Reboot::Restart,
        "halt" => Reboot::Halt,
    }
}

/// The exit statuses. `probe` has more of them, in its own file.
pub(crate) mod status {
    pub(crate) const FINE: u8 = 0;
    pub(crate) const FAILED: u8 = 1;
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const LACKING: u8 = 4;
    pub(crate) const PANICKED: u8 = 101;
}

/// Runs the program, from the words of the command line to its end.
pub(crate) fn run(process: &Process, pid: u32) -> ! {
    let is_init = pid == init::PID;
    let mut console = Console::new();
    if is_init {
        surroundings::prepare(&mut console);
    } else {
        files::block_signals_of_writing();
    }
    let mut usable = true;
    let mut refuse = |word: &CStr, reason: Message| {
        usable = false;
        let complaint = console.complain(Message::REFUSED);
        complaint.foreign(word.to_bytes()).word(reason).end();
    };
    let mut options = Options::new();
    options.read(&mut process.words().map(Into::into), &mut refuse);
    if options.then().is_some() && !is_init {
        refuse(c"--then", Message::NO_INIT);
    }
    let mut exit = if !usable && !is_init {
        status::USAGE
    } else if !surroundings::stack_suffices(&mut console) {
        status::FAILED
    } else {
        command(process, pid, &mut options, &mut console)
    };
    if !report::close(&mut console) {
        exit = status::FAILED;
    }
    if is_init {
        become_next(process, options.then(), exit, &mut console);
    }
    sys::exit(exit)
}

// Not inlined, as the commands are not: what one of them has on the stack must not
// be there, nor be paid for, with another.
#[inline(never)]
fn command(process: &Process, pid: u32, options: &mut Options, console: &mut Console) -> u8 {
    match options.command {
        Command::Help => texts::help(console),
        Command::Version => {
            console.put(VERSION.as_bytes());
            status::FINE
        }
        Command::Stages => walk_stages(process, pid, options, console),
        #[cfg(feature = "check")]
        Command::Probe => probe::run(options.has(Flag::Quiet), console),
        #[cfg(feature = "check")]
        Command::Check => check::run(process, pid, options, console),
        #[cfg(not(feature = "check"))]
        Command::Probe | Command::Check => {
            console.complain(Message::NO_SUITE).end();
            status::USAGE
        }
    }
}

fn walk_stages(process: &Process, pid: u32, options: &Options, console: &mut Console) -> u8 {
    if options.has(Flag::Quiet) && options.output().is_none() {
        return stages::walk(process, pid, options, &mut Vec::<u8, 0>::new(), console);
    }
    let mut exit = status::FAILED;
    files::with_buffer::<{ stages::COUNT * snapshot::ROOM }, _>(|copies| {
        exit = stages::walk(process, pid, options, copies, console);
    });
    exit
}

/// What PID 1 does in the end. It does not exit: the kernel would panic.
#[inline(always)] // It is called once.
fn become_next(process: &Process, then: Option<&CStr>, exit: u8, console: &mut Console) -> ! {
    let then = then.unwrap_or(c"poweroff");
    let message = console.say(Message::END);
    message.number(exit.into()).foreign(then.to_bytes());
    report::close(console);
    let how = way(then.to_bytes()).unwrap_or_else(|| {
        let errno = files::exec(then, process.environment);
        report::failure(console, errno, then.to_bytes());
        Reboot::PowerOff
    });
    end(init::PID, exit, how, console)
}

/// Ends the program, or with it the machine.
#[inline(always)] // It is called once, but for panics.
fn end(pid: u32, exit: u8, how: Reboot, console: &mut Console) -> ! {
    if let Err(errno) = init::end(pid, exit, how) {
        report::failure(console, errno, b"reboot");
    }
    init::sleep()
}

/// Says where the defect is, and ends the program.
pub(crate) fn panicked(file: &str, line: u32) -> ! {
    let mut console = Console::new();
    let complaint = console.complain(Message::PANIC);
    complaint.foreign(file.as_bytes()).number(line.into()).end();
    end(
        sys::getpid(),
        status::PANICKED,
        Reboot::PowerOff,
        &mut console,
    )
}

/// The text in a field that a NUL ends.
fn up_to_nul(field: &[u8]) -> &[u8] {
    split(field, b'\0').0
}
