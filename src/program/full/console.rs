//! Standard output, a buffer of it at a time, and complaints on standard error.

use crate::sys::{self, Buffer, Descriptor, Errno, STDERR, STDOUT};
use vm_anon_name::{messages::Message, say::Say, text::Sink};

/// Collects what is printed until [`Console::flush`], in one write if it fits.
pub(crate) struct Console {
    waiting: Buffer<512>,
    to: Descriptor,
    /// The first failure to write standard output; nothing is written after it.
    failure: Option<Errno>,
    /// What is left to say of a message.
    rest: &'static [u8],
}

impl Console {
    pub(crate) fn new() -> Self {
        Console {
            waiting: Buffer::new(),
            to: STDOUT,
            failure: None,
            rest: b"",
        }
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

    /// Writes out what has been collected.
    pub(crate) fn flush(&mut self) {
        write(self.to, self.waiting.take(), &mut self.failure);
    }

    /// Gives up what has been collected.
    #[cfg_attr(not(feature = "check"), expect(dead_code))] // `probe` alone does.
    pub(crate) fn forget(&mut self) {
        self.waiting.take();
    }

    /// Prints `bytes` past the buffer, which has no room for them.
    #[inline(never)] // Or else what is done mostly would have to prepare for it.
    fn write_through(&mut self, bytes: &[u8]) {
        self.flush();
        write(self.to, bytes, &mut self.failure);
    }

    /// From now on, what is printed goes to standard error, in its place among the output:
    /// first `message`.
    #[inline(never)] // A copy takes more than a call.
    pub(crate) fn complain(&mut self, message: Message) -> &mut Self {
        self.flush();
        self.to = STDERR;
        self.say(Message::PROGRAM).say(message)
    }

    /// Ends the complaint's line, and what is printed goes to standard output again.
    pub(crate) fn end(&mut self) {
        self.say(Message::NEWLINE).flush();
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

impl Say for Console {
    fn rest(&mut self) -> &mut &'static [u8] {
        &mut self.rest
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
