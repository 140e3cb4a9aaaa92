//! Standard output, a buffer of it at a time, and complaints on standard error.

use crate::sys::{self, Descriptor, Errno, STDERR, STDOUT};
use heapless::Vec;
use vm_anon_name::text::{Sink, Value};

/// Collects what is printed until [`Console::flush`], in one write if it fits.
pub(crate) struct Console {
    waiting: Vec<u8, 512>,
    to: Descriptor,
    /// The first failure to write standard output; nothing is written after it.
    failure: Option<Errno>,
}

impl Console {
    pub(crate) fn new() -> Self {
        Console {
            waiting: Vec::new(),
            to: STDOUT,
            failure: None,
        }
    }

    /// Prints `text`, with `values` in it: see [`print`](Sink#method.print).
    pub(crate) fn print(&mut self, text: &[u8], values: &[Value]) {
        (self as &mut dyn Sink).print(text, values);
    }

    /// Writes out what has been collected.
    pub(crate) fn flush(&mut self) {
        if self.to == STDERR || self.failure.is_none() {
            let result = sys::write_all(self.to, &self.waiting);
            if self.to == STDOUT {
                self.failure = result.err();
            }
        }
        self.waiting.clear();
    }

    /// Prints a line on standard error, in its place among the output.
    pub(crate) fn complain(&mut self, text: &[u8], values: &[Value]) {
        self.begin_complaint();
        self.print(text, values);
        self.end_complaint();
    }

    /// From now on, what is printed goes to standard error.
    pub(crate) fn begin_complaint(&mut self) {
        self.flush();
        self.to = STDERR;
        self.put(b"vm_anon_name: ");
    }

    /// Ends the line, and what is printed goes to standard output again.
    pub(crate) fn end_complaint(&mut self) {
        self.put(b"\n");
        self.flush();
        self.to = STDOUT;
    }

    /// Flushes, and gives the first failure to write since the last time.
    pub(crate) fn close(&mut self) -> Option<Errno> {
        self.flush();
        self.failure.take()
    }
}

impl Sink for Console {
    fn put(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        loop {
            let room = self.waiting.capacity() - self.waiting.len();
            let (fits, others) = rest.split_at_checked(room).unwrap_or((rest, b""));
            // It fits: there is room for as much.
            let _ = self.waiting.extend_from_slice(fits);
            if others.is_empty() {
                return;
            }
            self.flush();
            rest = others;
        }
    }
}
