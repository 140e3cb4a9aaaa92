//! How a failed system call is put into words.

use crate::{console::Console, sys::Errno};
use vm_anon_name::{errno, text::Sink};

/// Complains that `what` failed with `errno`: its name, number and meaning.
pub(crate) fn failure(console: &mut Console, errno: Errno, what: impl FnOnce(&mut dyn Sink)) {
    console.complain(|out| {
        what(out);
        number(errno, out);
        let meaning = errno::meaning(errno.into_raw());
        if !meaning.is_empty() {
            out.put(b": ");
            out.put(meaning);
        }
    });
}

/// Appends `: EINVAL (22)`.
pub(crate) fn number(errno: Errno, out: &mut dyn Sink) {
    out.put(b": ");
    out.put(errno::name(errno.into_raw()));
    out.put(b" (");
    out.decimal(errno.into_raw() as u64);
    out.put(b")");
}
