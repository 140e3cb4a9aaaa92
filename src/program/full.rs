//! The whole program: options in, one command, and an exit status out.

mod output;
mod report;
mod snapshot;
mod surroundings;
mod watch;

use crate::{
    console::Console,
    init,
    stages::{self, Plan},
    start::Process,
    sys::{self, Errno, Reboot, files},
};
use vm_anon_name::{
    options::{Command, HELP, Options, Then},
    text::Sink,
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
}

/// Runs the program, from the words of the command line to its end.
pub(crate) fn run(process: &Process, pid: u32) -> ! {
    let is_init = pid == init::PID;
    let mut console = Console::new();
    if is_init {
        surroundings::prepare(&mut console);
    } else {
        // It cannot fail; if it did, a broken pipe would end the program early.
        let _ = files::ignore_sigpipe();
    }
    let mut faults = 0;
    let mut options = Options::read(&mut process.words(), &mut |fault| {
        faults += 1;
        console.complain(|out| fault.explain(out));
    });
    if options.then.is_some() && !is_init {
        faults += 1;
        console.complain(|out| out.put(b"'--then': only PID 1 decides what follows"));
    }
    let mut exit = if faults > 0 && !is_init {
        status::USAGE
    } else if !surroundings::stack_suffices(process, &mut console) {
        status::FAILED
    } else {
        command(process, pid, &mut options, &mut console)
    };
    if let Some(errno) = console.close() {
        report::failure(&mut console, errno, |out| out.put(b"standard output"));
        exit = status::FAILED;
    }
    if is_init {
        become_next(
            process,
            options.then.unwrap_or_default(),
            exit,
            &mut console,
        );
    }
    sys::exit(exit)
}

fn command(process: &Process, pid: u32, options: &mut Options, console: &mut Console) -> u8 {
    match options.command {
        Command::Help => {
            console.put(HELP.as_bytes());
            status::FINE
        }
        Command::Version => {
            console.put(VERSION.as_bytes());
            status::FINE
        }
        _ => walk_stages(process, pid, options, console),
    }
}

fn walk_stages(process: &Process, pid: u32, options: &Options, console: &mut Console) -> u8 {
    let page = process.page_size();
    let length = options.size.unwrap_or(1).next_multiple_of(page as u64) as usize;
    let plan = Plan {
        pid,
        page,
        length,
        shared: options.shared,
        name: options.name,
        pauses: !options.yes,
    };
    let mut watcher = Watcher::new(&plan, options, console);
    stages::walk(&plan, console, &mut watcher);
    watcher.finish(console)
}

/// What PID 1 does in the end. It does not exit: the kernel would panic.
fn become_next(process: &Process, then: Then, exit: u8, console: &mut Console) -> ! {
    let (word, how): (&[u8], _) = match then {
        Then::PowerOff | Then::Exec(_) => (b"powering off", Reboot::PowerOff),
        Then::Reboot => (b"rebooting", Reboot::Restart),
        Then::Halt => (b"halting", Reboot::Halt),
    };
    console.put(b"\nvm_anon_name: status ");
    (console as &mut dyn Sink).decimal(exit.into());
    if let Then::Exec(path) = then {
        console.put(b", executing ");
        (console as &mut dyn Sink).shown(path.to_bytes());
        console.put(b"\n");
        console.flush();
        let errno = files::exec(path, process.environment);
        report::failure(console, errno, |out| out.shown(path.to_bytes()));
        console.put(b"vm_anon_name: ");
    } else {
        console.put(b", ");
    }
    console.put(word);
    console.put(b"\n");
    console.flush();
    init::end(init::PID, exit, how)
}

/// The release that `uname` gives, as bytes.
fn release(names: &Result<linux_raw_sys::system::new_utsname, Errno>) -> &[u8] {
    let Ok(names) = names else { return b"" };
    let bytes = core::ffi::CStr::from_bytes_until_nul(&names.release);
    bytes.map_or(b"", core::ffi::CStr::to_bytes)
}
