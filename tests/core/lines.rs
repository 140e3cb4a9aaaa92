//! Lines out of reads that end anywhere.

use proptest::prelude::*;
use vm_anon_name::lines::{LONGEST, Lines};

use crate::fixtures;

/// The lines of `stream`, read in pieces of these lengths, the last one again
/// and again; a piece for which there is no room is read in two.
fn lines_of(stream: &[u8], pieces: &[usize]) -> Vec<Vec<u8>> {
    let mut lines = Lines::new();
    let mut found = Vec::new();
    let mut pieces = pieces.iter().copied();
    let mut piece = usize::MAX;
    let mut rest = stream;
    while !rest.is_empty() {
        piece = pieces.next().unwrap_or(piece);
        let room = lines.room();
        let space = room.capacity() - room.len();
        assert!(space > 0, "there is always room");
        let (read, behind) = rest.split_at(piece.min(space).min(rest.len()));
        room.extend_from_slice(read).unwrap();
        rest = behind;
        lines.each(&mut |line| found.push(line.to_vec()));
    }
    found
}

#[track_caller]
fn check(stream: &[u8], pieces: &[usize], expected: &[&[u8]]) {
    assert_eq!(lines_of(stream, pieces), expected);
}

#[test]
fn lines_come_whole_and_in_order() {
    for pieces in [&[usize::MAX][..], &[1], &[2], &[3], &[0, 4]] {
        check(b"", pieces, &[]);
        check(b"a\nbc\n", pieces, &[b"a", b"bc"]);
        check(b"\n\na\n\n", pieces, &[b"", b"", b"a", b""]);
        check(b" a \xff\0\r\n", pieces, &[b" a \xff\0\r"]);
        // The last line is not there yet.
        check(b"a\nb", pieces, &[b"a"]);
    }
}

#[test]
fn what_is_kept_is_the_start_of_the_next_line() {
    let mut lines = Lines::new();
    let mut found = Vec::new();
    lines.room().extend_from_slice(b"ab\nc").unwrap();
    lines.each(&mut |line| found.push(line.to_vec()));
    assert_eq!(lines.room().as_slice(), b"c");
    lines.each(&mut |_| panic!("there is no whole line"));
    lines.room().extend_from_slice(b"d\n").unwrap();
    lines.each(&mut |line| found.push(line.to_vec()));
    assert_eq!(found, [&b"ab"[..], b"cd"]);
    assert!(lines.room().is_empty());
}

#[test]
fn recorded_maps_survive_any_size_of_reads() {
    for recording in fixtures::all() {
        let expected: Vec<&[u8]> = fixtures::lines(&recording.maps).collect();
        for size in [1, 7, 73, 100, 4096] {
            check(&recording.maps, &[size], &expected);
        }
    }
}

#[test]
fn the_longest_line_fills_the_buffer() {
    let longest = [b'x'; LONGEST - 1];
    let stream = [&longest[..], b"\nafter\n"].concat();
    for pieces in [&[usize::MAX][..], &[LONGEST, 1], &[LONGEST - 1, 1], &[1000]] {
        check(&stream, pieces, &[&longest, b"after"]);
    }
}

#[test]
fn a_line_too_long_costs_no_other_line() {
    for excess in [0, 1, 2, LONGEST, 3 * LONGEST + 7] {
        let long = vec![b'x'; LONGEST + excess];
        let stream = [b"before\n", &long[..], b"\nafter\n"].concat();
        for piece in [usize::MAX, LONGEST, 1000, 97] {
            // No part of it is taken for a line of its own.
            check(&stream, &[piece], &[b"before", b"after"]);
        }
    }
}

proptest! {
    #[test]
    fn cutting_changes_nothing(
        stream in prop::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'\n')], 0..400),
        pieces in prop::collection::vec(0..40_usize, 1..40),
    ) {
        let mut expected: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
        expected.pop();
        // A piece of nothing again and again would never end.
        let pieces = [pieces, vec![1]].concat();
        prop_assert_eq!(lines_of(&stream, &pieces), expected);
    }
}
