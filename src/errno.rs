//! Names and meanings of error numbers.

use crate::scan::{after, before, split};
use linux_raw_sys::errno::{EOPNOTSUPP, EOVERFLOW};

/// One line for each error number, in numerical order: the name, and a meaning if users of
/// this program need more than the name. Line 0 is the name of numbers that have no line.
///
/// The numbers are those of `include/uapi/asm-generic/errno-base.h` and `errno.h`, which all
/// supported architectures use.
const ERRORS: &[u8] = b"errno
EPERM: not permitted
ENOENT: no such file
ESRCH
EINTR
EIO: input or output error
ENXIO
E2BIG
ENOEXEC: not an executable for this kernel
EBADF: closed, or not open for this
ECHILD
EAGAIN: not ready, or at a limit
ENOMEM: not enough memory, or beyond a limit on it
EACCES: not permitted
EFAULT
ENOTBLK
EBUSY
EEXIST
EXDEV
ENODEV
ENOTDIR: not a directory
EISDIR
EINVAL
ENFILE: too many open files
EMFILE: too many open files (ulimit -n)
ENOTTY
ETXTBSY
EFBIG: file too large (ulimit -f)
ENOSPC: no space left
ESPIPE
EROFS: read-only file system
EMLINK
EPIPE: the reader is gone
EDOM
ERANGE
EDEADLK
ENAMETOOLONG
ENOLCK
ENOSYS: not in this kernel, or blocked
ENOTEMPTY
ELOOP
";

/// The offset of each line in [`ERRORS`], then the length of [`ERRORS`].
#[allow(clippy::indexing_slicing)] // In a constant, an index out of bounds does not compile.
const LINES: [u16; 42] = {
    let mut lines = [0; _];
    let (mut line, mut place) = (1, 0);
    while line < lines.len() {
        if ERRORS[place] == b'\n' {
            lines[line] = place as u16 + 1;
            line += 1;
        }
        place += 1;
    }
    lines
};

/// The name of error `number`, such as `EINVAL` for 22; `errno` if the number is
/// not in the list.
pub fn name(number: i32) -> &'static [u8] {
    split(line(number), b':').0
}

/// What error `number` means, such as ` no such file` for 2 (with the space); empty
/// if the list has no meaning for it.
pub fn meaning(number: i32) -> &'static [u8] {
    split(line(number), b':').1
}

fn line(number: i32) -> &'static [u8] {
    // Of the numbers after the end of the list, the program meets these two.
    match number as u32 {
        EOPNOTSUPP => return b"EOPNOTSUPP: not in this kernel",
        EOVERFLOW => return b"EOVERFLOW: larger than the buffer",
        _ => {}
    }
    match LINES.get(number as usize..) {
        Some([start, end, ..]) => after(before(ERRORS, usize::from(*end) - 1), (*start).into()),
        _ => b"errno",
    }
}
