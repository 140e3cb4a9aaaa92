//! Splitting, decimal numbers and tables of words.

use proptest::prelude::*;
use vm_anon_name::scan::{after, before, look_up, number, split};

use crate::shown;

#[test]
fn text_is_cut_at_a_place() {
    for (place, expected) in [(0, ("", "ab")), (1, ("a", "b")), (2, ("ab", ""))] {
        let expected = (expected.0.as_bytes(), expected.1.as_bytes());
        assert_eq!((before(b"ab", place), after(b"ab", place)), expected);
    }
}

#[test]
#[should_panic = "`None`"]
fn a_place_beyond_the_end_panics() {
    after(b"ab", 3);
}

#[test]
fn text_is_split_at_the_first_mark() {
    let check = |text: &str, before: &str, after: &str| {
        let expected = (before.as_bytes(), after.as_bytes());
        assert_eq!(split(text.as_bytes(), b'='), expected, "{text}");
    };
    check("", "", "");
    check("a", "a", "");
    check("=", "", "");
    check("a=b", "a", "b");
    check("a=b=c", "a", "b=c");
    check("=a", "", "a");
    check("a=", "a", "");
}

#[test]
fn numbers_are_removed_from_the_start() {
    let check = |text: &str, value: u64, rest: &str| {
        let mut left = text.as_bytes();
        assert_eq!(number(&mut left), Some(value), "{text}");
        assert_eq!(shown(left), rest);
    };
    check("0", 0, "");
    check("007", 7, "");
    check("12 34", 12, " 34");
    check("4K", 4, "K");
    check("18446744073709551615:", u64::MAX, ":");
    check("0000000000000000000000000001", 1, "");
}

#[test]
fn other_texts_are_not_numbers() {
    for text in ["", " 1", "+1", "-1", "a", "/", ":", "\u{661}"] {
        let mut left = text.as_bytes();
        assert_eq!(number(&mut left), None, "{text}");
        assert_eq!(left, text.as_bytes());
    }
    for text in [
        "18446744073709551616",
        "18446744073709551620",
        "99999999999999999999",
    ] {
        assert_eq!(number(&mut text.as_bytes()), None, "{text}");
    }
}

#[test]
fn words_are_looked_up_whole() {
    let table = [("one", 1), ("two", 2), ("", 3)];
    let check = |word: &str, expected| {
        assert_eq!(look_up(&table, word.as_bytes()), expected, "{word}");
    };
    check("one", Some(1));
    check("two", Some(2));
    check("", Some(3));
    check("on", None);
    check("ones", None);
    check("One", None);
}

proptest! {
    #[test]
    fn numbers_equal_those_of_std(value: u64, after in "[^0-9].{0,3}|") {
        let text = format!("{value}{after}");
        let mut left = text.as_bytes();
        prop_assert_eq!(number(&mut left), Some(value));
        prop_assert_eq!(left, after.as_bytes());
    }
}
