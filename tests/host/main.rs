//! Tests of the pure core on the host. Most modules have the name of the core module they test.
//!
//! Where possible, the expected results are independent: `/proc/PID/maps` as real
//! kernels printed it ([`fixtures`]), the crate procfs, GNU diff. General rules are
//! checked on generated input by proptest, which stores a seed for each failure in
//! `tests/proptest-regressions` and tries these seeds first.
//!
//! `PROPTEST_CASES=N` changes the number of generated inputs (256 by default), and in
//! proportion that of mutated inputs in [`fuzz`].

mod diagnosis;
mod diagram;
mod diff;
mod digits;
mod directory;
mod errno;
mod examples;
mod fixtures;
mod format;
mod fuzz;
mod lines;
mod listing;
mod maps;
mod name;
mod options;
mod picture;
mod saved;
mod scan;
mod suite;
mod totals;

use vm_anon_name::format::Sink;

/// A sink without a limit.
#[derive(Default)]
struct Collected(Vec<u8>);

impl Sink for Collected {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// Returns the bytes that `write` appends to a sink.
fn written(write: impl FnOnce(&mut Collected)) -> Vec<u8> {
    let mut collected = Collected::default();
    write(&mut collected);
    collected.0
}

/// Returns the text that `write` appends to a sink.
#[track_caller]
fn written_text(write: impl FnOnce(&mut Collected)) -> String {
    String::from_utf8(written(write)).expect("the output is UTF-8")
}

/// Formats bytes for assertion messages.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Asserts that a message consists of printable ASCII characters.
#[track_caller]
fn assert_printable(message: &str) {
    let is_printable = message.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    assert!(is_printable, "{message:?}");
}
