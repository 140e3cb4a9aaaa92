//! Numbers and bytes as text.

use proptest::prelude::*;
use vm_anon_name::format::{self, Escaping, MAX_DIGITS, Sink, digits, put_decimal};
use vm_anon_name::put;

use crate::{written, written_text};

#[test]
fn put_replaces_placeholders_in_order() {
    let text = written_text(|out| {
        put!(out, "");
        put!(out, "no value\n");
        put!(out, "{}{}", 1u8, "a");
        put!(out, " {hex} and {}, ", 0x1fu8, b"bytes".as_slice());
        put!(out, "{}.", c"C string",);
    });
    assert_eq!(text, "no value\n1a 0x1f and bytes, C string.");
}

#[test]
fn put_evaluates_each_value_once() {
    let mut count = 0u32;
    let mut next = || {
        count += 1;
        count
    };
    let text = written_text(|out| put!(out, "{} {} {}", next(), next(), next()));
    assert_eq!(text, "1 2 3");
}

#[test]
fn values_may_contain_placeholders() {
    let text = written_text(|out| put!(out, "{} {}", "{}", "{hex"));
    assert_eq!(text, "{} {hex");
}

#[test]
fn integers_of_every_width_are_decimal() {
    let text = written_text(|out| {
        put!(out, "{} {} {} {}", u8::MAX, u32::MAX, u64::MAX, usize::MAX);
    });
    assert_eq!(
        text,
        format!("255 4294967295 18446744073709551615 {}", usize::MAX)
    );
}

#[test]
fn error_numbers_are_printed_with_their_names() {
    let check = |number, expected| {
        assert_eq!(written_text(|out| put!(out, "{errno}", number)), expected);
    };
    check(22u32, "EINVAL (22)");
    check(4095, "errno (4095)");
    check(0, "errno (0)");
}

#[test]
fn placeholders_are_counted() {
    assert_eq!(format::placeholders(""), 0);
    assert_eq!(format::placeholders("a } b\n"), 0);
    assert_eq!(format::placeholders("{}{hex}, {errno}"), 3);
    for text in [
        "{", "{ }", "a{:x}", "{{}}", "{hexe}", "{err}", "\t", "\r", "\x1b", "\x7f", "\u{e9}",
    ] {
        let result = std::panic::catch_unwind(|| format::placeholders(text));
        assert!(result.is_err(), "{text:?}");
    }
}

#[test]
fn decimal_numbers() {
    let check = |value, expected| {
        assert_eq!(written_text(|out| put_decimal(value, out)), expected);
    };
    check(0, "0");
    check(9, "9");
    check(10, "10");
    check(4096, "4096");
    check(1 << 63, "9223372036854775808");
    check(u64::MAX, "18446744073709551615");
}

#[test]
fn hexadecimal_numbers_have_a_prefix() {
    let check = |value, expected| {
        assert_eq!(written_text(|out| put!(out, "{hex}", value)), expected);
    };
    check(0u64, "0x0");
    check(0xa, "0xa");
    check(0xffff_adaf_5000, "0xffffadaf5000");
    check(u64::MAX, "0xffffffffffffffff");
}

#[test]
fn digits_have_a_minimum_width() {
    let check = |value, base, width, expected: &str| {
        let mut buffer = [b'?'; MAX_DIGITS];
        assert_eq!(digits(value, base, width, &mut buffer), expected.as_bytes());
    };
    check(0, 16, 0, "0");
    check(0, 16, 1, "0");
    check(0, 16, 8, "00000000");
    check(0x1f, 16, 1, "1f");
    check(0x1f, 16, 2, "1f");
    check(0x1f, 16, 3, "01f");
    check(0xffff_adaf_5000, 16, 16, "0000ffffadaf5000");
    check(u64::MAX, 16, MAX_DIGITS, "0000ffffffffffffffff");
    check(7, 10, MAX_DIGITS, "00000000000000000007");
    check(u64::MAX, 10, MAX_DIGITS, "18446744073709551615");
}

#[test]
fn bytes_of_unknown_origin_are_escaped() {
    let check = |bytes: &[u8], expected| {
        assert_eq!(written_text(|out| put!(out, "{}", bytes)), expected);
        assert_eq!(written_text(|out| Escaping(out).put(bytes)), expected);
    };
    check(b"", "");
    check(b" plain~", " plain~");
    check(b"\x1b]0;title\x07", "\\x1b]0;title\\x07");
    check(b"\0\t\r\x7f\x80\xff", "\\x00\\x09\\x0d\\x7f\\x80\\xff");
    check(b"caf\xc3\xa9.", "caf\\xc3\\xa9.");
    check(b"\\x1b", "\\x1b");
    // The C1 control character CSI, which some terminals accept as ESC [.
    check(b"\x9b31m", "\\x9b31m");
}

#[test]
fn only_a_sink_for_lines_keeps_newlines() {
    let text = b"a\nb\n";
    let value = written_text(|out| put!(out, "{}", text.as_slice()));
    assert_eq!(value, "a\\x0ab\\x0a");
    assert_eq!(written(|out| Escaping(out).put(text)), text);
}

#[test]
fn an_escaping_sink_takes_formatted_text() {
    let text = written_text(|out| put!(&mut Escaping(out), "a: {}\n", 10u8));
    assert_eq!(text, "a: 10\n");
}

#[test]
fn a_full_vector_drops_the_rest() {
    let mut vector = heapless::Vec::<u8, 6>::new();
    vector.put(b"abc");
    vector.put(b"defgh");
    assert_eq!(vector.as_slice(), b"abcdef");
    vector.put(b"i");
    vector.put(b"");
    assert_eq!(vector.as_slice(), b"abcdef");
}

proptest! {
    #[test]
    fn numbers_equal_those_of_std(value: u64, width in 0..=MAX_DIGITS) {
        let in_base = |base| {
            let mut buffer = [0; MAX_DIGITS];
            String::from_utf8(digits(value, base, width, &mut buffer).to_vec()).unwrap()
        };
        prop_assert_eq!(in_base(10), format!("{value:0width$}"));
        prop_assert_eq!(in_base(16), format!("{value:0width$x}"));
        prop_assert_eq!(written_text(|out| put_decimal(value, out)), value.to_string());
        let hex = written_text(|out| put!(out, "{hex}", value));
        prop_assert_eq!(hex, format!("{value:#x}"));
    }

    #[test]
    fn escaped_bytes_are_printable_and_complete(bytes: Vec<u8>) {
        let escaped = written(|out| put!(out, "{}", bytes.as_slice()));
        prop_assert!(escaped.iter().all(|byte| matches!(byte, b' '..=b'~')));
        let expected = bytes.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        });
        prop_assert_eq!(escaped, expected.collect::<String>().into_bytes());
    }

    #[test]
    fn escaping_in_pieces_makes_no_difference(bytes: Vec<u8>, length in 1..9_usize) {
        let whole = written(|out| Escaping(out).put(&bytes));
        let pieces = written(|out| {
            let mut escaping = Escaping(out);
            bytes.chunks(length).for_each(|piece| escaping.put(piece));
        });
        prop_assert_eq!(whole, pieces);
    }
}
