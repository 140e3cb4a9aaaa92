//! The names of error numbers, and what they mean to the program.

use crate::messages::{ERRORS, Message};

/// The name of error `number`, such as `EINVAL` for 22; `errno` for one that no
/// call of the program gives by itself.
pub fn name(number: i32) -> Message {
    let known = 0..ERRORS.len() as i32;
    Message::of_error(if known.contains(&number) {
        number as u8
    } else {
        0
    })
}

/// What error `number` means wherever the program meets it, behind a colon; nothing if
/// its name says all there is.
pub fn meaning(number: i32) -> Message {
    name(number).next()
}
