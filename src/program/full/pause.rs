//! Waiting for Enter.

use super::console::Console;
use crate::sys::{self, Result, STDIN};
use vm_anon_name::text::Sink;

/// Reads one Enter at a time, until the input ends.
pub(crate) struct Pause {
    /// The last byte read; [`NOBODY`] once nobody will press Enter any more.
    last: u8,
}

/// No Enter.
const NOBODY: u8 = 0;

impl Pause {
    /// Pauses if `pauses`; else every [`wait`](Pause::wait) returns at once.
    pub(crate) fn new(pauses: bool) -> Self {
        let last = if pauses { b'\n' } else { NOBODY };
        Pause { last }
    }

    /// Shows the prompt that `console` holds, and waits. The prompt's line is
    /// ended in any case: by the terminal's echo of Enter, or else here.
    pub(crate) fn wait(&mut self, console: &mut Console) -> Result {
        let mut result = Ok(());
        if self.last != NOBODY {
            console.flush();
            result = self.read_line();
        }
        if self.last != b'\n' || !sys::echoes(STDIN) {
            console.put(b"\n");
        }
        result
    }

    /// Reads to the end of a line, which both Enter's newline and a carriage return
    /// are. A newline right behind a carriage return belongs to it.
    fn read_line(&mut self) -> Result {
        loop {
            let mut byte = [NOBODY];
            let before = core::mem::replace(&mut self.last, NOBODY);
            if sys::read(STDIN, &mut byte)? == 0 {
                return Ok(());
            }
            [self.last] = byte;
            if self.last == b'\r' || self.last == b'\n' && before != b'\r' {
                return Ok(());
            }
        }
    }
}
