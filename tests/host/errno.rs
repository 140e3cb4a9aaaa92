//! Names and meanings of error numbers.

use vm_anon_name::errno;

use crate::assert_printable;

fn name(number: i32) -> String {
    String::from_utf8(errno::name(number).to_vec()).unwrap()
}

fn meaning(number: i32) -> String {
    String::from_utf8(errno::meaning(number).to_vec()).unwrap()
}

/// The crate linux-raw-sys has the numbers of the kernel's headers.
#[test]
fn numbers_have_the_names_of_the_kernels_headers() {
    macro_rules! check {
        ($($NAME:ident)*) => {
            let names = [$((linux_raw_sys::errno::$NAME, stringify!($NAME))),*];
            for (number, expected) in names {
                assert_eq!(name(number as i32), expected);
            }
            assert_eq!(names.len(), 41);
        };
    }
    check! {
        EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD
        EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR
        EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS
        EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP EOPNOTSUPP
    }
}

#[test]
fn other_numbers_have_no_name() {
    // The kernel returns no error number above 4095.
    for number in [i32::MIN, -22, -1, 0, 41, 42, 94, 96, 4095, i32::MAX] {
        assert_eq!(name(number), "errno", "{number}");
        assert_eq!(meaning(number), "", "{number}");
    }
}

#[test]
fn meanings_are_clauses() {
    for number in 1..=40 {
        let meaning = meaning(number);
        assert_printable(&meaning);
        if let Some(clause) = meaning.strip_prefix(' ') {
            assert_eq!(clause, clause.trim());
            assert!(!clause.ends_with('.'), "{clause}");
        } else {
            assert_eq!(meaning, "");
        }
    }
    // The errors that a user of the program is most likely to see.
    for number in [1, 2, 5, 9, 11, 12, 13, 20, 23, 24, 27, 28, 30, 32, 38, 95] {
        assert_ne!(meaning(number), "", "{number}");
    }
}
