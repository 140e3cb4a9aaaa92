//! Texts packed by the build script, and unpacked by the library.

use proptest::prelude::*;
use vm_anon_name::options::HELP;
use vm_anon_name::packing::Unpacker;

use crate::suite::CASES;
use crate::{shown, written};

#[path = "../../linker/pack.rs"]
pub mod pack;

/// The texts, packed and unpacked one after another.
fn unpacked(texts: &[&str]) -> Vec<Vec<u8>> {
    let packed = pack::pack(texts);
    let mut counts = Box::new([[0; 2]; _]);
    let mut unpacker = Unpacker::new(&packed, &mut counts);
    let each = texts.iter().map(|_| written(|out| unpacker.next(out)));
    each.collect()
}

/// The text, packed and unpacked.
pub fn round_trip(text: &str) -> Vec<u8> {
    unpacked(&[text]).remove(0)
}

#[track_caller]
fn check(texts: &[&str]) {
    for (unpacked, text) in unpacked(texts).iter().zip(texts) {
        assert_eq!(shown(unpacked), shown(text.as_bytes()));
    }
}

#[test]
fn packing_loses_nothing() {
    check(&[]);
    check(&[""]);
    check(&["", "a", ""]);
    check(&[&"ab".repeat(10_000), &"b".repeat(70_000), "ab"]);
    check(&[HELP, &pack::strip(CASES)]);
}

#[test]
fn packing_is_worth_it() {
    let stripped = pack::strip(CASES);
    assert!(pack::pack(&[&stripped]).len() * 3 < stripped.len());
}

#[test]
fn stripping_keeps_what_is_said() {
    let check = |text, expected| assert_eq!(pack::strip(text), expected);
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
    fn any_texts_are_unpacked_as_they_were(
        texts in prop::collection::vec("[ab;|. \n]{0,400}|[^\0]{0,100}", 0..4),
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        check(&texts);
    }
}
