//! The minimal build: the four stages, their pauses, and PID 1.
//!
//! `-y` leaves out the pauses. Other words are ignored, because PID 1 also gets
//! words of the kernel's command line that are meant for others. The first system
//! call that fails ends the program with a message.

use crate::{
    start::Process,
    sys::{
        Result, STDERR, STDIN, STDOUT,
        memory::{Mapping, mmap, munmap, set_name},
        minimal::{read_byte, write},
        process::{exit, getpid},
        system::{self, Reboot, reboot},
        terminal::echoes,
    },
};
use vm_anon_name::digits::{Buffer, decimal, hexadecimal};

/// The process id of the first process.
const PID_1: u32 = 1;

/// Pages of anonymous memory above the page that is named.
const NEIGHBOUR_PAGES: usize = 6;

/// Runs the four stages and returns the exit status.
pub(crate) fn run(process: &Process) -> u8 {
    let pauses = !process.words().any(|word| word.to_bytes() == b"-y");
    let page = process.page_size();
    let pid = getpid();
    let is_init = pid == PID_1;
    let buffer = &mut Buffer::default();
    let pid = decimal(pid, buffer);

    // The new page has to join anonymous memory, as in a program with a libc. So six pages
    // are mapped first, and the new page is requested directly below them.
    let neighbour = map(0, NEIGHBOUR_PAGES * page);
    prompt(
        &[
            b"Memory map a region and print vm_area_struct\nPID: ",
            pid,
            b"\n\nPress enter to mmap - cat /proc/",
            pid,
            b"/maps > maps_1_start.txt",
        ],
        pauses,
    );

    let region = map(neighbour.start() - page, page);
    let buffer = &mut Buffer::default();
    let size = decimal(page as u32, buffer);
    let buffer = &mut Buffer::default();
    let start = hexadecimal(region.start(), buffer);
    prompt(
        &[
            b"\nmmap addr: 0x",
            start,
            b" size: ",
            size,
            b"\n\nPress enter to set vm_area_struct's name - cat /proc/",
            pid,
            b"/maps > maps_2_mmap.txt",
        ],
        pauses,
    );

    check("prctl", set_name(&region, c"/secret/mem/area"));
    let buffer = &mut Buffer::default();
    let end = hexadecimal(region.end(), buffer);
    prompt(
        &[
            b"\nSet [0x",
            start,
            b", 0x",
            end,
            b"] = /secret/mem/area\n\nPress enter to unmmap the region - cat /proc/",
            pid,
            b"/maps > maps_3_set_vm_name.txt",
        ],
        pauses,
    );

    check("munmap", munmap(region));
    prompt(
        &[
            b"\nPress enter to exit - cat /proc/",
            pid,
            b"/maps > maps_4_ummap.txt",
        ],
        pauses,
    );
    if is_init {
        check("reboot", reboot(Reboot::PowerOff));
    }
    0
}

fn map(hint: usize, length: usize) -> Mapping {
    check("mmap", mmap(hint, length, false))
}

fn print(pieces: &[&[u8]]) {
    check("write", write(&STDOUT, pieces));
}

/// Prints a prompt, and waits for Enter if the program `pauses`. Then ends the line unless the
/// terminal has done so.
fn prompt(pieces: &[&[u8]], pauses: bool) {
    print(pieces);
    if !(pauses && wait_for_enter()) {
        print(&[b"\n"]);
    }
}

/// Waits for Enter or the end of the input. Returns whether the terminal has ended
/// the line by its echo.
fn wait_for_enter() -> bool {
    loop {
        match check("read", read_byte(&STDIN)) {
            Some(b'\n') => return echoes(&STDIN),
            Some(b'\r') | None => return false,
            Some(_) => {}
        }
    }
}

/// The value of `result`. An error ends the program.
fn check<T>(call: &str, result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(errno) => fail(1, call, ": errno ", errno.number() as u32),
    }
}

/// Reports a panic and ends the program.
pub(crate) fn panicked(file: &str, line: u32) -> ! {
    fail(101, file, ": panic at line ", line)
}

/// Prints a message and ends the program. PID 1 must not exit, because the kernel would
/// panic: it powers off, or sleeps for ever if that is refused.
fn fail(status: u8, subject: &str, problem: &str, number: u32) -> ! {
    let buffer = &mut Buffer::default();
    let number = decimal(number, buffer);
    // There is nowhere to report a failure of this write.
    let _ = write(
        &STDERR,
        &[
            b"vm_anon_name: ",
            subject.as_bytes(),
            problem.as_bytes(),
            number,
            b"\n",
        ],
    );
    if getpid() != PID_1 {
        exit(status);
    }
    let _ = reboot(Reboot::PowerOff);
    loop {
        system::pause();
    }
}
