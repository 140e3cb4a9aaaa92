//! Error numbers: their names and meanings.

use vm_anon_name::errno;

use crate::message;

#[track_caller]
fn check(number: i32, name: &str) {
    assert_eq!(message(errno::name(number)), name, "{number}");
}

/// Numbers from all over the list, as errno(3) and the kernel's headers have them.
#[test]
fn numbers_have_their_names() {
    check(1, "EPERM");
    check(2, "ENOENT");
    check(4, "EINTR");
    check(5, "EIO");
    check(9, "EBADF");
    check(11, "EAGAIN");
    check(12, "ENOMEM");
    check(14, "EFAULT");
    check(20, "ENOTDIR");
    check(22, "EINVAL");
    check(28, "ENOSPC");
    check(30, "EROFS");
    check(34, "ERANGE");
    check(35, "EDEADLK");
    check(36, "ENAMETOOLONG");
    check(38, "ENOSYS");
    check(40, "ELOOP");
}

#[test]
fn other_numbers_have_none() {
    // The kernel gives no error above 4095.
    for number in [i32::MIN, -22, -1, 0, 41, 95, 4095] {
        check(number, "errno");
        assert_eq!(message(errno::meaning(number)), "");
    }
}

#[test]
fn meanings_are_clauses() {
    for number in 1..=40 {
        let meaning = message(errno::meaning(number));
        let clause = meaning.strip_prefix(": ").unwrap_or("nothing");
        assert!(meaning.is_empty() || clause == clause.trim());
        assert!(
            !clause.contains(['\n', '%']) && !clause.ends_with('.'),
            "{meaning}"
        );
    }
    for number in [1, 2, 5, 9, 11, 12, 13, 20, 23, 24, 27, 28, 30, 32, 38] {
        assert_ne!(message(errno::meaning(number)), "", "{number}");
    }
}
