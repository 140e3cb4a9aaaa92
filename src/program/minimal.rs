//! The minimal build: the stages, their pauses, and PID 1.

use crate::{
    console::Console,
    init,
    stages::{self, Call, Plan, Stage, Watch},
    start::Process,
    sys::{self, Errno, Reboot},
};
use core::ops::Range;
use vm_anon_name::text::Value::*;

/// Runs the program, from the words of the command line to its end.
pub(crate) fn run(process: &Process, pid: u32) -> ! {
    let mut console = Console::new();
    let mut pauses = true;
    for word in process.words() {
        match word.to_bytes() {
            b"-q" => {}
            b"-y" | b"-qy" => pauses = false,
            _ if pid == init::PID => {}
            _ => {
                console.complain(b"usage: vm_anon_name [-q] [-y]", &[]);
                sys::exit(2);
            }
        }
    }
    let page = process.page_size();
    let name = c"/secret/mem/area";
    let plan = Plan {
        pid,
        page,
        length: page,
        shared: false,
        name,
        pauses,
    };
    let mut status = Status(0);
    stages::walk(&plan, &mut console, &mut status);
    if console.close().is_some() {
        status.0 = 1;
    }
    init::end(pid, status.0, Reboot::PowerOff)
}

/// Watches for failures alone.
struct Status(u8);

impl Watch for Status {
    fn reached(&mut self, _: Stage, _: Option<&Range<usize>>, _: &mut Console) {}

    fn failed(&mut self, call: Call, errno: Errno, console: &mut Console) {
        self.0 = 1;
        let call: &[u8] = match call {
            Call::Mmap(_) => b"mmap",
            Call::Name(_) => b"prctl",
            Call::Munmap(_) => b"munmap",
            Call::ReadEnter => b"read",
        };
        let errno = Number(errno.into_raw() as u64);
        console.complain(b"%: errno %", &[Text(call), errno]);
    }
}
