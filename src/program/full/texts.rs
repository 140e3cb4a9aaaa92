//! The help and the suite, which the program carries packed.

use super::{console::Console, report, status};
use crate::sys::{Result, files};
use heapless::Vec;
use vm_anon_name::{
    packing::{Counts, Unpacker},
    text::Sink,
};

/// As the build script left them.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/texts"));

/// Writes what `--help` prints to `console`, and gives the exit status.
pub(super) fn help(console: &mut Console) -> u8 {
    let unpacked = unpack(console, &mut nowhere());
    report(unpacked, console)
}

/// Writes the suite to `out`, and gives the exit status.
#[cfg(feature = "check")]
pub(super) fn suite(out: &mut dyn Sink, console: &mut Console) -> u8 {
    report(unpack(&mut nowhere(), out), console)
}

fn unpack(help: &mut dyn Sink, suite: &mut dyn Sink) -> Result {
    files::lend(size_of::<Counts>(), &mut |memory| {
        let (pairs, _) = memory.as_chunks_mut();
        if let Ok(counts) = <&mut Counts>::try_from(pairs) {
            let mut texts = Unpacker::new(PACKED, counts);
            texts.next(help);
            texts.next(suite);
        }
    })
}

fn report(unpacked: Result, console: &mut Console) -> u8 {
    let Err(errno) = unpacked else {
        return status::FINE;
    };
    report::failure(console, errno, b"mmap");
    status::FAILED
}

/// Takes nothing.
fn nowhere() -> Vec<u8, 0> {
    Vec::new()
}
