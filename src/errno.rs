//! The names of error numbers, and what they mean to the program.

use crate::text::split;

/// A line an error, from 1 on: its name, and what there is to say beyond it. The first
/// 40 are the same on every architecture that uses the generic numbering
/// (`include/uapi/asm-generic/errno-base.h`, `errno.h`).
const ERRORS: &[u8] = b"EPERM not permitted
ENOENT no such file
ESRCH
EINTR
EIO the device failed
ENXIO
E2BIG
ENOEXEC
EBADF closed or not open for this
ECHILD
EAGAIN not ready
ENOMEM no memory left (ulimit -v)
EACCES not permitted
EFAULT
ENOTBLK
EBUSY
EEXIST
EXDEV
ENODEV
ENOTDIR not a directory
EISDIR
EINVAL
ENFILE too many files
EMFILE too many open files (ulimit -n)
ENOTTY
ETXTBSY
EFBIG too large a file (ulimit -f)
ENOSPC no space left
ESPIPE
EROFS read-only
EMLINK
EPIPE nobody reads it
EDOM
ERANGE
EDEADLK
ENAMETOOLONG
ENOLCK
ENOSYS not in this kernel, or blocked
ENOTEMPTY
ELOOP";

/// The name of error `number`, such as `EINVAL` for 22; `errno` for one that no
/// call of the program gives by itself.
pub fn name(number: i32) -> &'static [u8] {
    line(number).0
}

/// What error `number` means wherever the program meets it; empty if its name
/// says all there is.
pub fn meaning(number: i32) -> &'static [u8] {
    line(number).1
}

fn line(number: i32) -> (&'static [u8], &'static [u8]) {
    let (mut line, mut rest): (&[u8], _) = (b"", ERRORS);
    for _ in 0..number.min(99) {
        (line, rest) = split(rest, b'\n');
    }
    match split(line, b' ') {
        (b"", _) => (b"errno", b""),
        known => known,
    }
}
