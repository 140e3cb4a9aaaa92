//! Words, and what they stand for.

use vm_anon_name::options::Command;
use vm_anon_name::words;
use vm_anon_name::words::position;

#[test]
fn a_word_has_its_place() {
    let check =
        |word: &[u8], expected: usize| assert_eq!(position(b"one two three", word), expected);
    check(b"one", 0);
    check(b"two", 1);
    check(b"three", 2);
    for other in [&b""[..], b"on", b"ones", b"one two", b" one", b"One", b"wo"] {
        check(other, usize::MAX);
    }
    assert_eq!(position(b"", b"one"), usize::MAX);
}

#[test]
fn a_word_stands_for_its_value() {
    assert_eq!(Command::of(b"stages"), Some(Command::Stages));
    assert_eq!(Command::of(b"probe"), Some(Command::Probe));
    assert_eq!(Command::of(b"check"), Some(Command::Check));
    assert_eq!(Command::of(b"help"), Some(Command::Help));
    assert_eq!(Command::of(b"version"), Some(Command::Version));
    for other in [
        &b""[..],
        b" ",
        b"Stages",
        b"stages ",
        b"stages probe",
        b"help\0",
    ] {
        assert_eq!(Command::of(other), None);
    }
}

words! {
    /// No word stands for something, too.
    #[derive(Debug)]
    enum Optional {
        "" => Nothing,
        "something" => Something,
    }
}

#[test]
fn no_word_may_stand_for_something() {
    assert_eq!(Optional::of(b""), Some(Optional::Nothing));
    assert_eq!(Optional::of(b"something"), Some(Optional::Something));
    assert_eq!(Optional::of(b" "), None);
}
