//! Standard output, a buffer of it at a time, and complaints on standard error.

use crate::sys::{self, Buffer, Descriptor, Errno, STDERR, STDOUT};
use vm_anon_name::{
    messages::Message,
    text::{Sink, Value},
};

/// Collects what is printed until [`Console::flush`], in one write if it fits.
pub(crate) struct Console {
    waiting: Buffer<512>,
    to: Descriptor,
    /// The first failure to write standard output; nothing is written after it.
    failure: Option<Errno>,
}

impl Console {
    pub(crate) fn new() -> Self {
        Console {
            waiting: Buffer::new(),
            to: STDOUT,
            failure: None,
        }
    }

    /// Prints `message`, with `values` in it: see [`print`](Sink#method.print).
    pub(crate) fn print(&mut self, message: Message, values: &[Value]) {
        (self as &mut dyn Sink).print(message, values);
    }

    /// Prints `message`, which has no values in it.
    #[inline(never)] // A call takes 8 bytes, with the values that are not there 16.
    pub(crate) fn say(&mut self, message: Message) {
        self.print(message, &[]);
    }

    /// Prints `bytes`, and then whatever is called of what it gives: the console again,
    /// which need not be named to each call.
    #[inline(never)] // Or else there would be no such call.
    pub(crate) fn then(&mut self, bytes: &[u8]) -> &mut Self {
        if !self.waiting.append(bytes) {
            self.write_through(bytes);
        }
        self
    }

    /// Prints `number` in decimal.
    pub(crate) fn decimal(&mut self, number: usize) -> &mut Self {
        (self as &mut dyn Sink).decimal(number as u64);
        self
    }

    /// Prints `address` in hexadecimal.
    #[inline(never)] // It is called three times.
    pub(crate) fn address(&mut self, address: usize) -> &mut Self {
        (self.then(b"0x") as &mut dyn Sink).hex(address as u64, 1);
        self
    }

    /// Writes out what has been collected.
    pub(crate) fn flush(&mut self) {
        write(self.to, self.waiting.take(), &mut self.failure);
    }

    /// Prints `bytes` past the buffer, which has no room for them.
    #[inline(never)] // Or else what is done mostly would have to prepare for it.
    fn write_through(&mut self, bytes: &[u8]) {
        self.flush();
        write(self.to, bytes, &mut self.failure);
    }

    /// Prints a line on standard error, in its place among the output.
    pub(crate) fn complain(&mut self, message: Message, values: &[Value]) {
        self.begin_complaint();
        self.print(message, values);
        self.end_complaint();
    }

    /// From now on, what is printed goes to standard error.
    pub(crate) fn begin_complaint(&mut self) {
        self.flush();
        self.to = STDERR;
        self.say(Message::PROGRAM);
    }

    /// Ends the line, and what is printed goes to standard output again.
    pub(crate) fn end_complaint(&mut self) {
        self.say(Message::NEWLINE);
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
        self.then(bytes);
    }
}

/// Writes `bytes`, unless standard output has failed before.
fn write(to: Descriptor, bytes: &[u8], failure: &mut Option<Errno>) {
    if to == STDERR || failure.is_none() {
        let result = sys::write_all(to, bytes);
        if to == STDOUT {
            *failure = result.err();
        }
    }
}
