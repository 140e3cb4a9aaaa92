//! How a failed system call is put into words.

use super::console::Console;
use crate::sys::Errno;
use vm_anon_name::{errno, messages::Message, say::Say};

/// Complains that `what`, a call or what it was to be done to, failed with `errno`.
pub(crate) fn failure(console: &mut Console, errno: Errno, what: &[u8]) {
    number(console.complain(Message::ARGUMENT).foreign(what), errno);
    console.say(errno::meaning(errno.number())).end();
}

/// Writes out what `console` has collected, and tells whether it could be written, all
/// of it since the last time; complains if not.
#[inline(never)] // It is called twice.
pub(crate) fn close(console: &mut Console) -> bool {
    let failed = console.close();
    if let Some(errno) = failed {
        failure(console, errno, b"standard output");
    }
    failed.is_none()
}

/// Appends `: EINVAL (22)`.
pub(crate) fn number(out: &mut impl Say, errno: Errno) {
    let number = errno.number();
    let message = out.say(Message::ERRNO);
    message.word(errno::name(number)).number(number as u64);
}
