//! The pure library, on the host: a module of tests for each module of its own.
//!
//! What it is compared with was written by others: `/proc/PID/maps` as real
//! kernels print it (the directory [`fixtures`]), the crate procfs, GNU diff.
//! Where a rule can be stated, it is tried on generated input (proptest); what
//! such a run finds is kept as a seed in `tests/proptest-regressions`, and tried
//! first from then on.

mod diagram;
mod diff;
mod errno;
mod fixtures;
mod fuzz;
mod kernel;
mod maps;
mod name;
mod options;
mod suite;
mod text;

use vm_anon_name::{messages::Message, say::Say, text::Sink};

/// Collects what is written to it.
#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    rest: &'static [u8],
}

impl Sink for Collected {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

impl Say for Collected {
    fn rest(&mut self) -> &mut &'static [u8] {
        &mut self.rest
    }
}

/// What `write` writes.
fn written(write: impl FnOnce(&mut dyn Sink)) -> Vec<u8> {
    let mut collected = Collected::default();
    write(&mut collected);
    collected.bytes
}

/// What is said.
#[track_caller]
fn said(say: impl FnOnce(&mut Collected)) -> String {
    let mut collected = Collected::default();
    say(&mut collected);
    String::from_utf8(collected.bytes).expect("text")
}

/// What `message` says.
fn message(message: Message) -> String {
    said(|out| {
        out.say(message);
    })
}

/// What `write` writes, which is text.
#[track_caller]
fn written_text(write: impl FnOnce(&mut dyn Sink)) -> String {
    String::from_utf8(written(write)).expect("text")
}

/// Bytes as an assertion shows them.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
