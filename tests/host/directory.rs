//! Process ids in the entries of a directory.

use proptest::prelude::*;
use vm_anon_name::directory::process_ids;

/// An entry as `struct linux_dirent64`, padded to a multiple of 8 bytes.
fn entry(name: &str) -> Vec<u8> {
    let length = (19 + name.len() + 1).next_multiple_of(8);
    let mut entry = vec![0; 16];
    entry.extend((length as u16).to_ne_bytes());
    entry.push(4);
    entry.extend(name.as_bytes());
    entry.resize(length, 0);
    entry
}

#[test]
fn names_of_processes_are_numbers() {
    let names = [
        ".",
        "..",
        "1",
        "self",
        "4294967295",
        "4294967296",
        "12x",
        "sys",
        "77",
    ];
    let entries = names.map(entry).concat();
    let ids: Vec<u32> = process_ids(&entries).collect();
    assert_eq!(ids, [1, 4_294_967_295, 77]);
    assert_eq!(process_ids(b"").count(), 0);
}

proptest! {
    #[test]
    fn any_bytes_can_be_read(entries in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(process_ids(&entries).count() < 200);
    }
}
