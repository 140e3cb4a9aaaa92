//! Waiting for Enter.

use crate::{
    console::Console,
    sys::{self, Errno, STDIN},
};
use vm_anon_name::text::Sink;

/// Reads one Enter at a time, until the input ends.
pub(crate) struct Pause {
    /// False once nobody will press Enter any more.
    pauses: bool,
    /// The last Enter was a carriage return: a newline right behind belongs to it.
    after_return: bool,
}

impl Pause {
    /// Pauses if `pauses`; else every [`wait`](Pause::wait) returns at once.
    pub(crate) fn new(pauses: bool) -> Self {
        Pause {
            pauses,
            after_return: false,
        }
    }

    /// Shows the prompt that `console` holds, and waits. The prompt's line is
    /// ended in any case: by the terminal's echo of Enter, or else here.
    pub(crate) fn wait(&mut self, console: &mut Console) -> Result<(), Errno> {
        if !self.pauses {
            console.put(b"\n");
            return Ok(());
        }
        console.flush();
        let enter = self.read_line();
        self.pauses = matches!(enter, Ok(Some(_)));
        self.after_return = enter == Ok(Some(b'\r'));
        if enter != Ok(Some(b'\n')) || !sys::echoes(STDIN) {
            console.put(b"\n");
        }
        enter.map(drop)
    }

    /// Reads to the end of a line and tells which byte ended it; `None` at the
    /// end of the input.
    fn read_line(&mut self) -> Result<Option<u8>, Errno> {
        loop {
            let byte = sys::read_byte(STDIN)?;
            let follows_return = core::mem::take(&mut self.after_return);
            match byte {
                Some(b'\n') if follows_return => {}
                None | Some(b'\n' | b'\r') => return Ok(byte),
                Some(_) => {}
            }
        }
    }
}
