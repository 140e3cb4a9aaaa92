//! Waiting for Enter.

use crate::{
    console::Console,
    sys::{Result, STDIN, io, terminal},
};
use vm_anon_name::put;

/// Reads lines from standard input, one for each pause, until the input ends.
pub(crate) struct Prompt {
    /// Whether there is input to wait for.
    waits: bool,
    /// Whether the last line ended in a carriage return, which can be the first
    /// half of a CR LF.
    after_return: bool,
}

impl Prompt {
    /// With `waits` false, every [`Prompt::wait`] returns at once.
    pub(crate) fn new(waits: bool) -> Self {
        Prompt {
            waits,
            after_return: false,
        }
    }

    /// Prints the prompt that `console` has collected and waits for the end of a
    /// line. If the terminal echoes Enter, the echo ends the line of the prompt;
    /// otherwise this function ends it.
    ///
    /// # Errors
    ///
    /// Standard input cannot be read. From then on there are no pauses.
    pub(crate) fn wait(&mut self, console: &mut Console) -> Result {
        let mut result = Ok(Line::None);
        if self.waits {
            console.flush();
            result = self.read_line();
            self.waits = matches!(result, Ok(Line::Newline | Line::Return));
        }
        if !matches!(result, Ok(Line::Newline)) || !terminal::echoes(&STDIN) {
            put!(console, "\n");
        }
        result.map(drop)
    }

    fn read_line(&mut self) -> Result<Line> {
        loop {
            let byte = io::read_byte(&STDIN)?;
            let after_return = core::mem::replace(&mut self.after_return, byte == Some(b'\r'));
            match byte {
                None => return Ok(Line::None),
                Some(b'\r') => return Ok(Line::Return),
                Some(b'\n') if !after_return => return Ok(Line::Newline),
                Some(_) => {}
            }
        }
    }
}

/// How a line of input ended.
enum Line {
    /// With the end of the input.
    None,
    Newline,
    Return,
}
