//! The whole program: options in, one command, and an exit status out.

#[cfg(feature = "check")]
mod check;
mod output;
#[cfg(feature = "check")]
mod probe;
mod report;
mod snapshot;
mod surroundings;
mod texts;
mod watch;

use crate::{
    console::Console,
    init,
    stages::{self, Plan},
    start::Process,
    sys::{self, Reboot, files},
};
use snapshot::Snapshot;
use vm_anon_name::{
    options::{Command, Ending, Options, Then},
    text::{Sink, Value::*, split},
};
use watch::Watcher;

/// What the program says of itself.
const VERSION: &str = concat!(
    "vm_anon_name ",
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("VM_ANON_NAME_REVISION"),
    ")\n"
);

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
        files::ignore_signals_of_writing();
    }
    let mut faults = 0;
    let mut options = Options::read(&mut process.words().map(Into::into), &mut |fault| {
        faults += 1;
        console.begin_complaint();
        fault.explain(&mut console);
        console.end_complaint();
    });
    if options.then.is_some() && !is_init {
        faults += 1;
        console.complain(b"'--then': only PID 1 decides what follows", &[]);
    }
    let mut exit = if faults > 0 && !is_init {
        status::USAGE
    } else if !surroundings::stack_suffices(process, &mut console) {
        status::FAILED
    } else {
        command(process, pid, &mut options, &mut console)
    };
    if let Some(errno) = console.close() {
        report::failure(&mut console, errno, b"standard output", &[]);
        exit = status::FAILED;
    }
    if is_init {
        become_next(
            process,
            options.then.unwrap_or(Then::End(Ending::PowerOff)),
            exit,
            &mut console,
        );
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
        Command::Probe => probe::run(process, options.quiet, console),
        #[cfg(feature = "check")]
        Command::Check if options.is_part() => check::run_part(process, options, console),
        #[cfg(feature = "check")]
        Command::Check => check::run(process, pid, options, console),
        #[cfg(not(feature = "check"))]
        Command::Probe | Command::Check => {
            console.complain(b"this build has no probe and no check", &[]);
            status::USAGE
        }
    }
}

#[inline(never)] // As above.
fn walk_stages(process: &Process, pid: u32, options: &Options, console: &mut Console) -> u8 {
    let page = process.page_size();
    // A size is below 2^63, and a page is a power of two.
    let length = (options.size.unwrap_or(1) as usize + page - 1) & !(page - 1);
    let plan = Plan {
        pid,
        page,
        length,
        shared: options.shared,
        name: options.name,
        pauses: !options.yes,
    };
    // Written out, and lent: neither is 32 KiB copied then, nor a page of it touched.
    let mut snapshots = [
        Snapshot::new(),
        Snapshot::new(),
        Snapshot::new(),
        Snapshot::new(),
    ];
    let mut watcher = Watcher::new(&plan, options, &mut snapshots, console);
    stages::walk(&plan, console, &mut watcher);
    watcher.finish(console)
}

/// What PID 1 does in the end. It does not exit: the kernel would panic.
fn become_next(process: &Process, then: Then, exit: u8, console: &mut Console) -> ! {
    let (word, how): (&[u8], _) = match then {
        Then::End(Ending::Reboot) => (b"rebooting", Reboot::Restart),
        Then::End(Ending::Halt) => (b"halting", Reboot::Halt),
        Then::End(Ending::PowerOff) | Then::Exec(_) => (b"powering off", Reboot::PowerOff),
    };
    console.print(b"\nvm_anon_name: status %, ", &[Number(exit.into())]);
    if let Then::Exec(path) = then {
        let name = Foreign(path.to_bytes());
        console.print(b"executing %\n", &[name]);
        console.flush();
        let errno = files::exec(path, process.environment);
        report::failure(console, errno, b"%", &[name]);
        console.put(b"vm_anon_name: ");
    }
    console.print(b"%\n", &[Text(word)]);
    console.flush();
    end(init::PID, exit, how, console)
}

/// Ends the program, or with it the machine.
fn end(pid: u32, exit: u8, how: Reboot, console: &mut Console) -> ! {
    if let Err(errno) = init::end(pid, exit, how) {
        report::failure(console, errno, b"reboot", &[]);
    }
    init::sleep()
}

/// Says where the defect is, and ends the program.
pub(crate) fn panicked(file: &str, line: u32) -> ! {
    let mut console = Console::new();
    let place = [Text(file.as_bytes()), Number(line.into())];
    console.complain(b"panic at %:%", &place);
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
