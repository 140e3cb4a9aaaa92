//! The minimal build: the stages, their pauses, and PID 1.

use crate::{
    console::Console,
    init,
    stages::{self, Plan, Stage, Watch},
    start::Process,
    sys::{self, Errno, Memory, Reboot},
};
use core::ffi::CStr;
use vm_anon_name::text::Sink;

/// Runs the program, from the words of the command line to its end.
pub(crate) fn run(process: &Process, pid: u32) -> ! {
    let mut console = Console::new();
    let mut pauses = true;
    for word in process.words() {
        let known = match word.to_bytes() {
            [b'-', letters @ ..] => letters.iter().all(|letter| {
                pauses &= *letter != b'y';
                matches!(letter, b'q' | b'y')
            }),
            _ => false,
        };
        if !known && pid != init::PID {
            console.begin_complaint();
            console.put(b"usage: vm_anon_name [-q] [-y]");
            console.end_complaint();
            sys::exit(2);
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
    init::end(pid, status.0, Reboot::PowerOff, &mut console)
}

/// Watches for failures alone.
struct Status(u8);

impl Status {
    #[inline(never)] // It is called five times.
    fn fail(&mut self, call: &str, errno: Errno, console: &mut Console) {
        self.0 = 1;
        console.begin_complaint();
        console.put(call.as_bytes());
        console.put(b": errno ");
        console.decimal(errno.number() as usize);
        console.end_complaint();
    }
}

impl Watch for Status {
    fn reached(&mut self, _: Stage, _: &CStr, _: Memory, _: &mut Console) {}

    fn mmap_failed(&mut self, _: usize, errno: Errno, console: &mut Console) {
        self.fail("mmap", errno, console);
    }

    fn name_failed(&mut self, _: Memory, errno: Errno, console: &mut Console) {
        self.fail("prctl", errno, console);
    }

    fn munmap_failed(&mut self, _: Memory, errno: Errno, console: &mut Console) {
        self.fail("munmap", errno, console);
    }

    fn read_failed(&mut self, errno: Errno, console: &mut Console) {
        self.fail("read", errno, console);
    }
}
