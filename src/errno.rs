//! The names of error numbers, and what they mean to the program.

use linux_raw_sys::errno::*;

/// `EPERM` (1) to `ELOOP` (40), which are the same on every architecture that
/// uses the generic numbering (`include/uapi/asm-generic/errno-base.h`, `errno.h`).
const NAMES: &[u8] = b"EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN \
ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE \
ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK \
ENOSYS ENOTEMPTY ELOOP";

/// The name of error `number`, such as `EINVAL` for 22; `errno` for one that no
/// call of the program gives by itself.
pub fn name(number: i32) -> &'static [u8] {
    let mut names = NAMES.split(|b| *b == b' ');
    let index = usize::try_from(number)
        .ok()
        .and_then(|number| number.checked_sub(1));
    index.and_then(|index| names.nth(index)).unwrap_or(b"errno")
}

/// What error `number` means wherever the program meets it; empty if its name
/// says all there is.
pub fn meaning(number: i32) -> &'static [u8] {
    match u32::try_from(number).unwrap_or_default() {
        EPERM | EACCES => b"not permitted here",
        ENOENT => b"no such file or directory",
        EINTR => b"interrupted again and again",
        EIO => b"the device failed",
        EBADF => b"it is closed, or not open for this",
        EAGAIN => b"not ready, again and again",
        ENOMEM => b"no memory or address space left (ulimit -v)",
        EFBIG => b"over the limit on file sizes (ulimit -f)",
        EMFILE | ENFILE => b"too many open files (ulimit -n)",
        ENOSPC => b"no space left there",
        EROFS => b"a read-only file system",
        EPIPE => b"nobody reads it any more",
        ENOSYS => b"not in this kernel, or blocked",
        ENOTDIR => b"not a directory",
        _ => b"",
    }
}
