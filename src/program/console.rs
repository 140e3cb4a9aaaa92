//! Standard output, a page of it at a time, and complaints on standard error.

use crate::sys::{self, Descriptor, Errno, STDERR, STDOUT};
use heapless::Vec;
use vm_anon_name::text::Sink;

/// Collects what is printed until [`Console::flush`], in one write if it fits.
pub(crate) struct Console {
    to: Descriptor,
    waiting: Vec<u8, 512>,
    /// The first failure to write standard output; nothing is written after it.
    failure: Option<Errno>,
}

impl Console {
    pub(crate) fn new() -> Self {
        Console {
            to: STDOUT,
            waiting: Vec::new(),
            failure: None,
        }
    }

    /// Writes out what has been collected.
    pub(crate) fn flush(&mut self) {
        let result = match self.failure {
            Some(_) if self.to == STDOUT => Ok(()),
            _ => sys::write_all(self.to, &self.waiting),
        };
        if self.to == STDOUT {
            self.failure = self.failure.or(result.err());
        }
        self.waiting.clear();
    }

    /// Writes `message` to standard error, in its place among the output.
    pub(crate) fn complain(&mut self, message: impl FnOnce(&mut dyn Sink)) {
        self.flush();
        self.to = STDERR;
        self.put(b"vm_anon_name: ");
        message(self);
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
        for piece in bytes.chunks(self.waiting.capacity()) {
            if self.waiting.len() + piece.len() > self.waiting.capacity() {
                self.flush();
            }
            // The piece fits: it is no longer than the buffer, which is empty
            // if there was less room.
            let _ = self.waiting.extend_from_slice(piece);
        }
    }
}
