//! Texts packed by the build script, and unpacked by the library.

use proptest::prelude::*;
use vm_anon_name::options::HELP;
use vm_anon_name::packing::Unpacker;

use crate::suite::ASSEMBLED;
use crate::{shown, written};

#[path = "../../linker/pack.rs"]
mod pack;

/// The texts, packed and unpacked one after another.
fn unpacked(texts: &[&[u8]]) -> Vec<Vec<u8>> {
    let packed = pack::pack(texts);
    let mut counts = pack::no_counts();
    let mut unpacker = Unpacker::new(&packed, &mut counts);
    let each = texts.iter().map(|_| written(|out| unpacker.next(out)));
    each.collect()
}

#[track_caller]
fn check(texts: &[&[u8]]) {
    for (unpacked, text) in unpacked(texts).iter().zip(texts) {
        assert_eq!(shown(unpacked), shown(text));
    }
}

#[test]
fn packing_loses_nothing() {
    check(&[]);
    check(&[b""]);
    check(&[b"", b"a", b""]);
    check(&[b"\0", b"\0\0", b"a\0b"]);
    check(&[&b"ab".repeat(10_000), &[0; 0x100], b"ab"]);
    check(&[HELP.as_bytes(), &ASSEMBLED]);
}

#[test]
fn the_longest_text_has_a_byte_less_than_64_kib() {
    check(&[&[b'a'; 0xffff], b"b"]);
    assert!(std::panic::catch_unwind(|| pack::pack(&[&[b'a'; 0x1_0000]])).is_err());
}

#[test]
fn packing_is_worth_it() {
    assert!(pack::pack(&[&ASSEMBLED]).len() * 3 < ASSEMBLED.len());
}

#[test]
fn what_is_cut_off_or_missing_is_read_as_something() {
    let packed = pack::pack(&[HELP.as_bytes()]);
    for length in [0, 1, 2, packed.len() / 2] {
        let mut counts = pack::no_counts();
        let mut unpacker = Unpacker::new(&packed[..length], &mut counts);
        assert!(written(|out| unpacker.next(out)).len() <= 0xffff);
    }
}

proptest! {
    #[test]
    fn any_texts_are_unpacked_as_they_were(
        texts in prop::collection::vec(
            prop_oneof![
                "[ab;|. \n]{0,400}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..100),
            ],
            0..4,
        ),
    ) {
        let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        check(&texts);
    }
}
