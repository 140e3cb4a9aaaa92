//! The names that the kernel accepts, byte by byte.

use vm_anon_name::name::{self, Fault, MAX_LENGTH};

/// The printable ASCII characters that the kernel refuses: the macro
/// `ANON_VMA_NAME_INVALID_CHARS` in `kernel/sys.c`.
const FORBIDDEN: &str = r"\`$[]";

#[track_caller]
fn check(name: &[u8], expected: Option<Fault>) {
    assert_eq!(name::fault(name), expected, "{}", name.escape_ascii());
}

#[test]
fn printable_ascii_is_allowed_except_five_characters() {
    let mut allowed = 0;
    for byte in 0..=u8::MAX {
        let is_printable = (0x20..0x7f).contains(&byte);
        let expected = is_printable && !FORBIDDEN.as_bytes().contains(&byte);
        assert_eq!(name::is_allowed(byte), expected, "{byte:#04x}");
        let fault = (!expected).then_some(Fault::Byte(byte));
        check(&[byte], fault);
        check(&[b'a', byte, b'\\'], fault.or(Some(Fault::Byte(b'\\'))));
        allowed += u32::from(expected);
    }
    // The number of one-byte names that every tested kernel accepts.
    assert_eq!(allowed, 90);
}

#[test]
fn a_name_has_at_most_79_bytes() {
    assert_eq!(MAX_LENGTH, 79);
    check(b"", None);
    check(b"a", None);
    check(&[b'a'; 79], None);
    check(&[b'a'; 80], Some(Fault::TooLong));
    check(&[b'a'; 5000], Some(Fault::TooLong));
}

#[test]
fn the_length_is_checked_before_the_bytes() {
    check(&[b'['; 79], Some(Fault::Byte(b'[')));
    check(&[b'['; 80], Some(Fault::TooLong));
}
