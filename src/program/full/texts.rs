//! The help and the suite, which the program carries packed.

use heapless::Vec;
use vm_anon_name::{
    packing::{Counts, Unpacker},
    text::Sink,
};

/// As the build script left them.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/texts"));

/// Writes what `--help` prints.
pub(super) fn help(out: &mut dyn Sink) {
    unpack(out, &mut nowhere());
}

/// Writes the suite.
#[cfg(feature = "check")]
pub(super) fn suite(out: &mut dyn Sink) {
    unpack(&mut nowhere(), out);
}

#[inline(never)] // So that the counts leave the stack again.
fn unpack(help: &mut dyn Sink, suite: &mut dyn Sink) {
    let mut counts: Counts = [[0; 2]; _];
    let mut texts = Unpacker::new(PACKED, &mut counts);
    texts.next(help);
    texts.next(suite);
}

/// Takes nothing.
fn nowhere() -> Vec<u8, 0> {
    Vec::new()
}
