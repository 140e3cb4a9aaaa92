//! Lines of a stream in a buffer of fixed size.

use proptest::prelude::*;
use vm_anon_name::lines::Lines;

/// The lines of `pieces` when they are read into a buffer of `N` bytes.
fn read<const N: usize>(pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut lines = Lines::default();
    let mut buffer = Vec::new();
    let mut each = |line: &[u8]| found.push(line.to_vec());
    for piece in pieces {
        let mut rest = piece.as_slice();
        while !rest.is_empty() {
            let space = N - buffer.len();
            let (now, later) = rest.split_at(space.min(rest.len()));
            assert!(!now.is_empty(), "the buffer has no space left");
            buffer.extend_from_slice(now);
            rest = later;
            let done = lines.take(&buffer, buffer.len() == N, &mut each);
            buffer.drain(..done);
        }
    }
    lines.finish(&buffer, &mut each);
    found
}

/// The lines, each cut to `longest` bytes.
fn expected(text: &[u8], longest: usize) -> Vec<Vec<u8>> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let without_newline = lines.map(|line| line.strip_suffix(b"\n").unwrap_or(line));
    let cut = without_newline.map(|line| line[..line.len().min(longest)].to_vec());
    cut.collect()
}

#[test]
fn lines_come_without_their_newlines() {
    let read = |text: &[u8]| read::<32>(&[text.to_vec()]);
    assert_eq!(read(b""), Vec::<Vec<u8>>::new());
    assert_eq!(read(b"\n"), [b""]);
    assert_eq!(read(b"a"), [b"a"]);
    assert_eq!(read(b"a\nbc\n\nd"), [&b"a"[..], b"bc", b"", b"d"]);
}

#[test]
fn a_long_line_loses_its_end_alone() {
    let text = [b"short\n", [b'x'; 100].as_slice(), b"\nnext\n"].concat();
    let lines = read::<32>(&[text]);
    assert_eq!(lines, [&b"short"[..], &[b'x'; 32], b"next"]);
}

/// Bytes close to the newline in value, which an inexact search would take for it.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        2 => Just(b'\n'),
        2 => prop::sample::select(vec![0, 9, 11, 0x8a, 0x0a ^ 0x80, 0x7f, 0xff, b'\n' + 1]),
        8 => any::<u8>(),
        8 => Just(b'a'),
    ];
    prop::collection::vec(byte, 0..200)
}

proptest! {
    #[test]
    fn lines_do_not_depend_on_the_pieces(pieces in prop::collection::vec(text(), 0..8)) {
        let whole = pieces.concat();
        // A line of exactly 64 bytes fills the buffer before its newline comes.
        prop_assert_eq!(read::<64>(&pieces), expected(&whole, 64));
        prop_assert_eq!(read::<4096>(&pieces), expected(&whole, 4096));
    }
}
