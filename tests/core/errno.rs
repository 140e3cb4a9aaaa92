//! Error numbers: their names and meanings.

use vm_anon_name::errno;

#[track_caller]
fn check(number: i32, name: &str) {
    assert_eq!(errno::name(number), name.as_bytes(), "{number}");
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
        assert_eq!(errno::meaning(number), b"");
    }
}

#[test]
fn meanings_are_clauses() {
    for number in 1..=40 {
        let meaning = std::str::from_utf8(errno::meaning(number)).unwrap();
        assert!(
            !meaning.contains(['\n', '%']) && !meaning.ends_with('.'),
            "{meaning}"
        );
        assert_eq!(meaning, meaning.trim());
    }
    for number in [1, 2, 5, 9, 11, 12, 13, 20, 23, 24, 27, 28, 30, 32, 38] {
        assert_ne!(errno::meaning(number), b"", "{number}");
    }
}
