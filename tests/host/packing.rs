//! A text packed by the build script, and unpacked by the library.

use proptest::prelude::*;
use vm_anon_name::options::HELP;
use vm_anon_name::packing::unpack;

use crate::shown;
use crate::suite::ASSEMBLED;

#[path = "../../linker/pack.rs"]
mod pack;

/// What so many bytes of a text are unpacked as.
fn unpacked(packed: &[u8], length: usize) -> Vec<u8> {
    let mut text = vec![0; length];
    unpack(packed, &mut pack::no_counts(), &mut text);
    text
}

#[track_caller]
fn check(text: &[u8]) {
    let unpacked = unpacked(&pack::pack(text), text.len());
    assert_eq!(shown(&unpacked), shown(text));
}

#[test]
fn packing_loses_nothing() {
    check(b"");
    check(b"a");
    check(b"\0");
    check(b"a\0b");
    check(&[0xff; 0x100]);
    check(&[b"ab".repeat(10_000), vec![0; 0x1_0000], b"ab".to_vec()].concat());
    check(&[HELP.as_bytes(), b"\0", &ASSEMBLED].concat());
}

#[test]
fn packing_is_worth_it() {
    assert!(pack::pack(&ASSEMBLED).len() * 3 < ASSEMBLED.len());
}

#[test]
fn what_is_cut_off_or_missing_is_read_as_something() {
    let packed = pack::pack(HELP.as_bytes());
    for length in [0, 1, 2, packed.len() / 2] {
        unpacked(&packed[..length], HELP.len());
    }
}

proptest! {
    #[test]
    fn any_text_is_unpacked_as_it_was(
        text in prop_oneof![
            "[ab;|. \n]{0,1000}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..300),
        ],
    ) {
        check(&text);
    }
}
