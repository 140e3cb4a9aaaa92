//! The rule for names, byte by byte.

use vm_anon_name::name::{self, Fault, LONGEST};

/// What Linux refuses among the printable ASCII characters, from the macro
/// `ANON_VMA_NAME_INVALID_CHARS`.
const FORBIDDEN: &str = r"\`$[]";

#[track_caller]
fn check(name: &[u8], expected: Option<Fault>) {
    assert!(name::fault(name) == expected, "{}", name.escape_ascii());
}

#[test]
fn every_byte_is_judged_as_the_kernel_does() {
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
    // As many one-byte names were counted on every kernel tried.
    assert_eq!(allowed, 90);
}

#[test]
fn names_have_79_bytes_at_most() {
    assert_eq!(LONGEST, 79);
    check(b"", None);
    check(b"a", None);
    check(&[b'a'; 79], None);
    check(&[b'a'; 80], Some(Fault::Long));
    check(&[b'a'; 5000], Some(Fault::Long));
}

#[test]
fn length_counts_before_bytes() {
    check(&[b'['; 79], Some(Fault::Byte(b'[')));
    check(&[b'['; 80], Some(Fault::Long));
}
