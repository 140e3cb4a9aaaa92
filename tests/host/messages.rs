//! What the program says: packed by the build script, unpacked by the library.

use vm_anon_name::{
    messages::{ERRORS, Message, all},
    say::Say,
};

use crate::{message, said};

#[path = "../../linker/pairs.rs"]
mod pairs;

#[test]
fn each_message_is_said_as_it_is_written() {
    let mut count = 0;
    for (message, text) in all() {
        let said = said(|out| {
            out.say(message);
            for _ in 0..text.matches('%').count() {
                out.foreign(b"<value>");
            }
        });
        assert_eq!(said, text.replace('%', "<value>"));
        count += 1;
    }
    assert!(count > 2 * ERRORS.len());
}

/// Without its value, a message ends before it.
#[test]
fn a_message_waits_for_its_values() {
    assert_eq!(message(Message::REFUSED), "'");
    assert_eq!(
        said(|out| _ = out.say(Message::REFUSED).foreign(b"x")),
        "'x': "
    );
    let again = |out: &mut crate::Collected| {
        out.say(Message::REFUSED).say(Message::REFUSED);
    };
    assert_eq!(said(again), "''");
}

#[test]
fn values_stand_in_their_places() {
    let check = |say: fn(&mut crate::Collected) -> &mut crate::Collected, expected| {
        assert_eq!(said(|out| _ = say(out)), expected);
    };
    check(
        |out| out.say(Message::SINCE).number(6).number(12),
        "since Linux 6.12",
    );
    check(|out| out.say(Message::ARGUMENT).address(0), "0x0");
    check(
        |out| out.say(Message::ARGUMENT).address(0xffff_adaf_5000),
        "0xffffadaf5000",
    );
    // A value is no message.
    check(
        |out| out.say(Message::REFUSED).foreign(b"%").word(Message::NO),
        "'%': no",
    );
    check(
        |out| out.say(Message::TEXT).foreign(b"\x1b[m"),
        "\"\\x1b[m\"",
    );
    // Behind the last place, they come as they are.
    check(
        |out| {
            out.say(Message::YES)
                .number(1)
                .word(Message::COLON)
                .number(2)
        },
        "yes1: 2",
    );
}

#[test]
fn no_message_has_what_stands_for_more() {
    for (_, text) in all() {
        assert!(
            text.bytes().all(|byte| matches!(byte, b'\n' | b' '..=b'~')),
            "{text:?}"
        );
    }
    // A place is a byte.
    assert!(all().count() <= 256);
}

#[test]
fn packing_is_worth_it() {
    let texts = || all().map(|(_, text)| text);
    let plain: usize = texts().map(|text| text.len() + 1).sum();
    assert!(pairs::pack(texts()).len() * 5 < plain * 4);
}

#[test]
fn what_comes_seldom_is_no_pair() {
    let check = |texts: &[&str], expected: &[u8]| {
        assert_eq!(pairs::pack(texts.iter().copied()), expected);
    };
    check(&[], b"\0");
    check(&[""], b"\0\0");
    check(&["ab", "ab"], b"\0ab\0ab\0");
    check(&["ab", "ab", "abc"], b"ab\0\xff\0\xff\0\xffc\0");
    check(&["aaaaaaa"], b"aa\0\xff\xff\xffa\0");
    check(&["abababababab"], b"ab\xff\xff\0\xfe\xfe\xfe\0");
    // A value must be found without looking into pairs.
    check(&["%a%a%a"], b"\0%a%a%a\0");
}
