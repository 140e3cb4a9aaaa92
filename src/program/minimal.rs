//! The minimal build: the four stages, their pauses, and PID 1.
//!
//! It ends at the first call that fails, and says which one that was.

mod text;

use crate::{
    init,
    start::Process,
    sys::{
        self, Descriptor, Errno, Memory, Reboot, STDERR, STDIN, STDOUT,
        bare::{self, Piece},
    },
};
use core::ffi::CStr;
use text::text;
use vm_anon_name::text::digits;

/// The name to give, which stands in a text, too.
const NAME: &CStr = c"/secret/mem/area";

/// Pages of the neighbour, as many as the anonymous region above the mapping has
/// in the description.
const NEIGHBOUR_PAGES: usize = 6;

/// What the texts of the stages have in common, and the numbers in them.
type Values<'a> = [&'a [u8]; 8];

// Where in the texts the values stand, in their order.
const NEWLINE: &str = "\0";
const PRESS_ENTER_TO: &str = "\x01";
const CAT: &str = "\x02";
const PID: &str = "\x03";
const MAPS: &str = "\x04";
const SIZE: &str = "\x05";
const START: &str = "\x06";
const END: &str = "\x07";

/// Runs the program, from the words of the command line to its end.
#[inline(always)] // It is called once. That it never returns counts against it.
pub(crate) fn run(process: &Process, pid: u32) -> ! {
    // Nobody is waited for where the newline is printed with the prompt.
    let (nothing, newline) = b"\n".split_at(0);
    let mut behind_prompt = nothing;
    for mut word in process.words() {
        let known = word.next() == Some(b'-')
            && word.all(|letter| {
                if letter == b'y' {
                    behind_prompt = newline;
                }
                matches!(letter, b'q' | b'y')
            });
        if !known && pid != init::PID {
            print(text!("usage: vm_anon_name [-qy]\n"), &[], STDERR);
            finish(2);
        }
    }

    let page = process.page_size();
    let mut rooms = ROOMS;
    let [pid_room, size_room, start_room, end_room] = &mut rooms;
    let mut values: Values = [
        behind_prompt,
        b"\nPress enter to ",
        b" - cat /proc/",
        digits(pid.into(), 10, 1, pid_room),
        b"/maps > maps_",
        digits(page as u64, 10, 1, size_room),
        nothing,
        nothing,
    ];
    // The new memory shall join anonymous memory that is there, as it does in a
    // program with a libc. It is asked for right below, so that it joins even
    // where large mappings are aligned to huge pages.
    let neighbour = map(0, NEIGHBOUR_PAGES * page);
    reached(
        text!(
            "Memory map a region and print vm_area_struct\nPID: " PID "\n"
            PRESS_ENTER_TO "mmap" CAT PID MAPS "1_start.txt" NEWLINE
        ),
        &values,
    );

    let memory = map(neighbour.start - page, page);
    let [.., start, end] = &mut values;
    *start = digits(memory.start as u64, 16, 1, start_room);
    *end = digits(memory.end() as u64, 16, 1, end_room);
    reached(
        text!(
            "\nmmap addr: 0x" START " size: " SIZE "\n"
            PRESS_ENTER_TO "set vm_area_struct's name" CAT PID MAPS "2_mmap.txt" NEWLINE
        ),
        &values,
    );

    if let Err(errno) = sys::set_anon_name(memory, Some(NAME)) {
        fail(errno, "prctl");
    }
    reached(
        text!(
            "\nSet [0x" START ", 0x" END "] = /secret/mem/area\n"
            PRESS_ENTER_TO "unmmap the region" CAT PID MAPS "3_set_vm_name.txt" NEWLINE
        ),
        &values,
    );

    if let Err(errno) = sys::munmap(memory) {
        fail(errno, "munmap");
    }
    reached(
        text!(PRESS_ENTER_TO "exit" CAT PID MAPS "4_ummap.txt" NEWLINE),
        &values,
    );
    finish(0)
}

/// Room for the digits of four numbers.
const ROOMS: [[u8; 16]; 4] = [[0; _]; _];

fn map(hint: usize, length: usize) -> Memory {
    match sys::mmap(hint, length, false) {
        Ok(memory) => memory,
        Err(errno) => fail(errno, "mmap"),
    }
}

/// Says that a stage is reached, and waits for Enter or the end of the input. The
/// prompt's line is ended by the terminal's echo, or else here; in `text` already if
/// nobody is waited for.
#[inline(never)] // It is called four times.
fn reached(text: &[u8], values: &Values) {
    print(text, values, STDOUT);
    let [newline, ..] = values;
    if !newline.is_empty() {
        return;
    }
    let end = loop {
        match bare::read_byte(STDIN) {
            Ok(Some(b'\n')) if sys::echoes(STDIN) => return,
            Ok(Some(b'\n' | b'\r') | None) => break Ok(()),
            Ok(Some(_)) => {}
            Err(errno) => break Err(errno),
        }
    };
    print(text!("\n"), values, STDOUT);
    if let Err(errno) = end {
        fail(errno, "read");
    }
}

/// Writes `text` with `values` in it, all of it.
#[inline(never)] // It is called five times.
fn print(text: &[u8], values: &[&[u8]], to: Descriptor) {
    let mut done = 0;
    loop {
        let mut pieces = heapless::Vec::<_, { text::MOST_PIECES }>::new();
        let mut left = 0;
        let mut skip = done;
        for piece in text::pieces(text, values) {
            match piece.get(skip..) {
                Some(piece) => {
                    // It fits, as the texts' packing has made sure.
                    let _ = pieces.push(Piece::new(piece));
                    left += piece.len();
                    skip = 0;
                }
                None => skip -= piece.len(),
            }
        }
        match bare::write(to, &pieces) {
            Ok(written) if written == left => return,
            Ok(written @ 1..) => done += written,
            // There is no other place to say that this failed.
            _ if to == STDERR => return,
            result => fail(result.err().unwrap_or(Errno::EIO), "write"),
        }
    }
}

#[inline(never)] // It is called five times.
fn fail(errno: Errno, call: &str) -> ! {
    complain(errno, call);
    finish(1)
}

#[inline(never)] // It is called twice.
fn complain(errno: Errno, call: &str) {
    const CALL: &str = "\0";
    const NUMBER: &str = "\x01";
    let mut room = [0; 16];
    let number = digits(errno.number() as u32 as u64, 10, 1, &mut room);
    print(
        text!("vm_anon_name: " CALL ": errno " NUMBER "\n"),
        &[call.as_bytes(), number],
        STDERR,
    );
}

#[inline(never)] // It is called three times.
fn finish(status: u8) -> ! {
    if let Err(errno) = init::end(sys::getpid(), status, Reboot::PowerOff) {
        complain(errno, "reboot");
    }
    init::sleep()
}

/// Says where the defect is, and ends the program.
pub(crate) fn panicked(file: &str, line: u32) -> ! {
    const FILE: &str = "\0";
    const LINE: &str = "\x01";
    let mut room = [0; 16];
    let line = digits(line.into(), 10, 1, &mut room);
    print(
        text!("vm_anon_name: panic at " FILE ":" LINE "\n"),
        &[file.as_bytes(), line],
        STDERR,
    );
    finish(101)
}
