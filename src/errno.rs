//! The names of error numbers, and what they mean to the program.

use crate::text::split;

/// `EPERM` (1) to `ELOOP` (40), which are the same on every architecture that
/// uses the generic numbering (`include/uapi/asm-generic/errno-base.h`, `errno.h`).
const NAMES: &[u8] = b"EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN \
ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE \
ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK \
ENOSYS ENOTEMPTY ELOOP";

/// The name of error `number`, such as `EINVAL` for 22; `errno` for one that no
/// call of the program gives by itself.
pub fn name(number: i32) -> &'static [u8] {
    let (mut name, mut rest): (&[u8], _) = (b"errno", NAMES);
    for _ in 0..number.min(99) {
        (name, rest) = split(rest, b' ');
    }
    if name.is_empty() { b"errno" } else { name }
}

/// What errors mean: found by name, because a `match` takes a table of 38 entries
/// of 16 bytes each.
const MEANINGS: &[u8] = b"EPERM not permitted here
EACCES not permitted here
ENOENT no such file or directory
EINTR interrupted again and again
EIO the device failed
EBADF it is closed, or not open for this
EAGAIN not ready, again and again
ENOMEM no memory or address space left (ulimit -v)
EFBIG over the limit on file sizes (ulimit -f)
EMFILE too many open files (ulimit -n)
ENFILE too many open files (ulimit -n)
ENOSPC no space left there
EROFS a read-only file system
EPIPE nobody reads it any more
ENOSYS not in this kernel, or blocked
ENOTDIR not a directory";

/// What error `number` means wherever the program meets it; empty if its name
/// says all there is.
pub fn meaning(number: i32) -> &'static [u8] {
    let mut rest = MEANINGS;
    while !rest.is_empty() {
        let (line, behind) = split(rest, b'\n');
        let (error, text) = split(line, b' ');
        if error == name(number) {
            return text;
        }
        rest = behind;
    }
    b""
}
