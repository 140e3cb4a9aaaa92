//! How a failed system call is put into words.

use super::console::Console;
use crate::sys::Errno;
use vm_anon_name::{
    errno,
    messages::Message,
    text::{
        Sink,
        Value::{Number, Said},
    },
};

/// Complains that `what`, a call or what it was to be done to, failed with `errno`.
pub(crate) fn failure(console: &mut Console, errno: Errno, what: &[u8]) {
    console.begin_complaint();
    (console as &mut dyn Sink).shown(what);
    number(console, errno);
    console.say(errno::meaning(errno.number()));
    console.end_complaint();
}

/// Appends `: EINVAL (22)`.
pub(crate) fn number(out: &mut dyn Sink, errno: Errno) {
    let number = errno.number();
    let values = [Said(errno::name(number)), Number(number as u64)];
    out.print(Message::ERRNO, &values);
}
