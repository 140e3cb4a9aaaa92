//! What no build of the program can do without, and how far above it one stands.
//!
//! Counted are bytes that must be somewhere in the file: what the kernel wants to
//! see before it starts anything, each word of the transcript once, and for each
//! system call its arguments, its number and the instruction itself. Numbers must
//! be made into text, too, and results looked at; that is the program's business
//! and no floor.

use std::fmt::Write as _;

use super::super::table::grouped;

/// An ELF header, and the headers of the segment and of the stack's flags.
const HEADERS: u64 = 64 + 2 * 56;

/// The transcript without the numbers in it; what repeats is there once.
const WORDS: &[&str] = &[
    "Memory map a region and print vm_area_struct\nPID: ",
    "\n\nPress enter to ",
    " - cat /proc/",
    "/maps > maps_",
    ".txt",
    "mmap",
    "1_start",
    "\nmmap addr: 0x",
    " size: ",
    "set vm_area_struct's name",
    "2_mmap",
    "\nSet [0x",
    ", 0x",
    "] = ",
    "/secret/mem/area\0",
    "unmmap the region",
    "3_set_vm_name",
    "exit",
    "4_ummap",
];

/// The calls, and the instructions each needs.
const CALLS: &[(&str, u64)] = &[
    ("getpid", 2),
    ("mmap, the neighbour", 8),
    ("mmap, the region", 8),
    // The first argument takes two instructions, as do those of reboot.
    ("prctl", 8),
    ("munmap", 4),
    ("write", 5),
    ("read", 5),
    ("exit_group", 3),
    ("sync", 2),
    ("reboot", 8),
];

/// The floor as a table, ended by the file's size.
pub(super) fn table(file_size: u64) -> String {
    let words: usize = WORDS.iter().map(|words| words.len()).sum();
    let calls: u64 = CALLS.iter().map(|(_, instructions)| 4 * instructions).sum();
    let floor = HEADERS + words as u64 + calls;
    let rows = [
        ("ELF header, two program headers", HEADERS),
        ("the words of the transcript", words as u64),
        ("the instructions of ten system calls", calls),
        ("the floor", floor),
        ("above the floor", file_size.saturating_sub(floor)),
    ];
    let mut text = "\n| floor | bytes |\n|---|---:|\n".to_owned();
    for (name, size) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {name} | {} |", grouped(size));
    }
    text
}
