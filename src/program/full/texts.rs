//! The help and the suite, which the program carries packed.

use super::{console::Console, report, status};
use crate::sys::files;
use vm_anon_name::{
    packing::{self, Counts},
    text::{Sink, split},
};

/// As the build script left them.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/texts"));

/// The help, a NUL, and the suite.
pub(super) type Texts = [u8; include!(concat!(env!("OUT_DIR"), "/length"))];

/// Writes what `--help` prints to `console`, and gives the exit status.
#[inline(never)] // So that the texts lie on the stack for no other command.
pub(super) fn help(console: &mut Console) -> u8 {
    let mut texts: Texts = [0; _];
    let status = unpack(&mut texts, console);
    console.put(split(&texts, b'\0').0);
    status
}

/// Unpacks `texts`, and gives the exit status.
pub(super) fn unpack(texts: &mut Texts, console: &mut Console) -> u8 {
    let unpacked = files::lend(size_of::<Counts>(), &mut |memory| {
        let (pairs, _) = memory.as_chunks_mut();
        if let Ok(counts) = pairs.try_into() {
            packing::unpack(PACKED, counts, texts);
        }
    });
    let Err(errno) = unpacked else {
        return status::FINE;
    };
    report::failure(console, errno, b"mmap");
    status::FAILED
}
