//! Numbers and bytes as text.

use proptest::prelude::*;
use vm_anon_name::text::{Shown, Sink};

use crate::{written, written_text};

#[test]
fn numbers_in_decimal() {
    let check = |value, expected| assert_eq!(written_text(|out| out.decimal(value)), expected);
    check(0, "0");
    check(9, "9");
    check(10, "10");
    check(4096, "4096");
    check(1 << 63, "9223372036854775808");
    check(u64::MAX, "18446744073709551615");
}

#[test]
fn numbers_in_hexadecimal() {
    let check = |value, width, expected| {
        assert_eq!(written_text(|out| out.hex(value, width)), expected);
    };
    check(0, 1, "0");
    check(0, 8, "00000000");
    check(0xa, 1, "a");
    check(0x1f, 1, "1f");
    check(0x1f, 2, "1f");
    check(0x1f, 3, "01f");
    check(0xffff_adaf_5000, 8, "ffffadaf5000");
    check(0xffff_adaf_5000, 16, "0000ffffadaf5000");
    check(u64::MAX, 1, "ffffffffffffffff");
    check(u64::MAX, 16, "ffffffffffffffff");
}

#[test]
fn bytes_are_shown_unless_they_are_plain() {
    let check = |bytes: &[u8], expected| {
        assert_eq!(written_text(|out| out.shown(bytes)), expected);
        assert_eq!(written_text(|out| Shown(out).put(bytes)), expected);
    };
    check(b"", "");
    check(b" plain\n~", " plain\n~");
    check(b"\x1b]0;title\x07", "\\x1b]0;title\\x07");
    check(b"\0\t\r\x7f\x80\xff", "\\x00\\x09\\x0d\\x7f\\x80\\xff");
    check(b"caf\xc3\xa9.", "caf\\xc3\\xa9.");
    check(b"\\x1b", "\\x1b");
    // The one-byte form of the escape sequence's introducer.
    check(b"\x9b31m", "\\x9b31m");
}

#[test]
fn a_full_buffer_takes_what_fits() {
    let mut buffer = heapless::Vec::<u8, 6>::new();
    buffer.put(b"abc");
    buffer.put(b"defgh");
    assert_eq!(buffer.as_slice(), b"abcdef");
    buffer.put(b"i");
    buffer.put(b"");
    assert_eq!(buffer.as_slice(), b"abcdef");
}

proptest! {
    #[test]
    fn numbers_are_printed_as_everybody_prints_them(value: u64, width in 1..=16_usize) {
        prop_assert_eq!(written_text(|out| out.decimal(value)), value.to_string());
        prop_assert_eq!(written_text(|out| out.hex(value, width)), format!("{value:0width$x}"));
    }

    #[test]
    fn nothing_shown_can_drive_a_terminal(bytes: Vec<u8>) {
        let shown = written(|out| out.shown(&bytes));
        prop_assert!(shown.iter().all(|byte| matches!(byte, b'\n' | b' '..=b'~')));
        // And nothing is left out.
        let expected = bytes.iter().map(|byte| match byte {
            b'\n' | b' '..=b'~' => char::from(*byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        });
        prop_assert_eq!(shown, expected.collect::<String>().into_bytes());
    }

    #[test]
    fn cutting_what_is_shown_changes_nothing(bytes: Vec<u8>, pieces in 1..9_usize) {
        let whole = written(|out| out.shown(&bytes));
        let cut = written(|out| bytes.chunks(pieces).for_each(|piece| Shown(out).put(piece)));
        prop_assert_eq!(whole, cut);
    }
}
