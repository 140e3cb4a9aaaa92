//! Texts packed by the build script, and unpacked by the library.

use proptest::prelude::*;
use vm_anon_name::suite::Suite;

use crate::suite::CASES;
use crate::{shown, written};

#[path = "../../linker/pack.rs"]
pub mod pack;

/// The lines of the text that are not empty, packed and unpacked.
pub fn round_trip(text: &str) -> Vec<u8> {
    let (pairs, packed) = pack::pack(text.as_bytes());
    let suite = Suite {
        pairs: &pairs,
        text: &packed,
    };
    written(|out| {
        for case in suite.cases() {
            suite.unpack(case, out);
            out.put(b"\n");
        }
    })
}

#[track_caller]
fn check(text: &str) {
    let lines = text.split('\n').filter(|line| !line.is_empty());
    let expected: String = lines.flat_map(|line| [line, "\n"]).collect();
    assert_eq!(shown(&round_trip(text)), shown(expected.as_bytes()));
}

#[test]
fn packing_loses_nothing() {
    check("");
    check("a");
    check(&"ab".repeat(1000));
    check(&pack::strip(CASES));
}

#[test]
fn packing_is_worth_it() {
    let stripped = pack::strip(CASES);
    let (pairs, packed) = pack::pack(stripped.as_bytes());
    assert!((pairs.len() + packed.len()) * 2 < stripped.len());
}

#[test]
fn stripping_keeps_what_is_said() {
    let check = |text, expected| assert_eq!(pack::strip(text).trim_start(), expected);
    check("", "");
    check("# a\n\n   # b\n", "");
    check("case\n  map 0 1; see |.|\n", "case;map 0 1;see |.|");
    check(
        "a >=6.2\n  x\n  y;z\nb\n  c # d\n",
        "a >=6.2;x;y;z\nb;c # d",
    );
}

proptest! {
    #[test]
    fn any_text_is_unpacked_as_it_was(text in "[ab;|. \n]{0,400}|[ -~\n]{0,400}") {
        check(&text);
    }
}
