//! Buffered standard output, and error messages on standard error.

use crate::sys::{
    Errno, Fd, Result, STDERR, STDOUT,
    file::{self, CWD},
    io,
};
use core::ffi::CStr;
use heapless::Vec;
use linux_raw_sys::general::O_WRONLY;
use vm_anon_name::{
    errno,
    format::{Sink, Value, put_values},
    put,
};

/// The kernel's log.
pub(crate) const LOG: &CStr = c"/dev/kmsg";

/// Collects output and writes it in one piece, if it fits, at [`Console::flush`].
///
/// Error messages go the same way to standard error, in order with the output.
pub(crate) struct Console {
    buffer: Vec<u8, 512>,
    /// The descriptor that the buffer goes to.
    target: Fd,
    /// Whether the standard descriptors are the kernel's log.
    pub(crate) is_log: bool,
    /// The first failure to write standard output, which ends all output to it.
    failure: Option<Errno>,
}

/// Prints one line on standard error: the program's name, then a text with values,
/// as for [`put!`](vm_anon_name::put).
macro_rules! error {
    ($console:expr, $text:literal $(, $value:expr)* $(,)?) => {
        $crate::console::Console::error(
            $console,
            vm_anon_name::checked!($text $(, $value)*),
            &[$(vm_anon_name::format::Value::from($value)),*],
        )
    };
}
pub(crate) use error;

impl Console {
    pub(crate) fn new() -> Self {
        Console {
            buffer: Vec::new(),
            target: STDOUT,
            is_log: false,
            failure: None,
        }
    }

    /// Writes what has been collected.
    pub(crate) fn flush(&mut self) {
        write(self.is_log, &self.target, &self.buffer, &mut self.failure);
        self.buffer.clear();
    }

    /// Drops what has been collected.
    pub(crate) fn discard(&mut self) {
        self.buffer.clear();
    }

    /// Prints an error message, see [`error!`].
    pub(crate) fn error(&mut self, text: &str, values: &[Value]) {
        self.begin_error();
        put_values(self, text, values);
        self.end_error();
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
        self.put_failure(what, errno);
        self.end_error();
    }

    /// Appends that `what` failed with `errno`, and what the error means.
    pub(crate) fn put_failure(&mut self, what: &[u8], errno: Errno) {
        put!(self, "{}: {errno}", what, errno);
        let meaning = errno::meaning(errno.number());
        if !meaning.is_empty() {
            put!(self, ":{}", meaning);
        }
    }

    /// Appends `bytes` that do not fit in the buffer, or that go to the kernel's log.
    #[inline(never)] // Inlined, its frame would take 14 instructions for each piece of text.
    fn put_slowly(&mut self, bytes: &[u8]) {
        if !io::append(&mut self.buffer, bytes) {
            self.flush();
            if !io::append(&mut self.buffer, bytes) {
                write(self.is_log, &self.target, bytes, &mut self.failure);
            }
        }
        // Each write to the log makes a record, so each must be a whole line.
        if self.is_log && bytes.ends_with(b"\n") {
            self.flush();
        }
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
        if self.is_log || !io::append(&mut self.buffer, bytes) {
            self.put_slowly(bytes);
        }
    }
}

fn write(is_log: bool, target: &Fd, bytes: &[u8], failure: &mut Option<Errno>) {
    let result = if failure.is_some() && *target != STDERR {
        return;
    } else if is_log {
        log(bytes)
    } else {
        io::write_all(target, bytes)
    };
    // There is no other place to report a failure of standard error.
    if *target != STDERR {
        *failure = result.err();
    }
}

/// Writes lines to the kernel's log, and opens it anew for each: the kernel takes only 10
/// records in 5 seconds from one open file (`devkmsg_write()` in kernel/printk/printk.c).
fn log(text: &[u8]) -> Result {
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let file = file::open(&CWD, LOG, O_WRONLY)?;
        let result = io::write_all(&file, line);
        file::close(file).and(result)?;
    }
    Ok(())
}
