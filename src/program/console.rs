//! Buffered standard output, and error messages on standard error.

use crate::sys::{Errno, Fd, STDERR, STDOUT, io};
use heapless::Vec;
use vm_anon_name::{
    errno,
    format::{Escaped, Sink},
    put,
};

/// Collects output and writes it in one piece, if it fits, at [`Console::flush`].
///
/// Error messages go the same way to standard error, in order with the output.
pub(crate) struct Console {
    buffer: Vec<u8, 512>,
    /// The descriptor that the buffer goes to.
    target: Fd,
    /// The first failure to write standard output, which ends all output to it.
    failure: Option<Errno>,
}

/// Prints one line on standard error: the program's name, then a text with values,
/// as for [`put!`](vm_anon_name::put).
macro_rules! error {
    ($console:expr, $($part:expr),+ $(,)?) => {{
        let console: &mut $crate::console::Console = $console;
        console.begin_error();
        vm_anon_name::put!(&mut *console, $($part),+);
        console.end_error();
    }};
}
pub(crate) use error;

impl Console {
    pub(crate) fn new() -> Self {
        Console {
            buffer: Vec::new(),
            target: STDOUT,
            failure: None,
        }
    }

    /// Writes what has been collected.
    pub(crate) fn flush(&mut self) {
        write(&self.target, &self.buffer, &mut self.failure);
        self.buffer.clear();
    }

    /// Drops what has been collected.
    pub(crate) fn discard(&mut self) {
        self.buffer.clear();
    }

    /// Starts an error message: until [`Console::end_error`], output goes to
    /// standard error.
    pub(crate) fn begin_error(&mut self) {
        self.flush();
        self.target = STDERR;
        put!(self, "vm_anon_name: ");
    }

    /// Ends the line of an error message, and directs output to standard output.
    pub(crate) fn end_error(&mut self) {
        put!(self, "\n");
        self.flush();
        self.target = STDOUT;
    }

    /// Reports that `what`, a call or its object, failed with `errno`.
    pub(crate) fn report(&mut self, what: &[u8], errno: Errno) {
        self.begin_error();
        put!(self, "{}: {}", Escaped(what), errno);
        let meaning = errno::meaning(errno.number());
        if !meaning.is_empty() {
            put!(self, ":{}", meaning);
        }
        self.end_error();
    }

    /// Flushes, and returns whether standard output could be written since the last
    /// call. Reports it if not.
    pub(crate) fn close(&mut self) -> bool {
        self.flush();
        match self.failure.take() {
            Some(errno) => {
                self.report(b"standard output", errno);
                false
            }
            None => true,
        }
    }
}

impl Sink for Console {
    #[inline(never)]
    fn put(&mut self, bytes: &[u8]) {
        if self.buffer.extend_from_slice(bytes).is_err() {
            self.flush();
            if self.buffer.extend_from_slice(bytes).is_err() {
                write(&self.target, bytes, &mut self.failure);
            }
        }
    }
}

fn write(target: &Fd, bytes: &[u8], failure: &mut Option<Errno>) {
    if *target == STDERR {
        // There is no other place to report a failure.
        let _ = io::write_all(target, bytes);
    } else if failure.is_none() {
        *failure = io::write_all(target, bytes).err();
    }
}
