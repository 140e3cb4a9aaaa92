//! What must hold for any bytes, whoever makes them up.
//!
//! libFuzzer calls these functions with what it finds by coverage (`cargo xtask
//! fuzz`), and the test `core` with the corpus and mutations of it. They panic
//! when something does not hold.
#![allow(dead_code, reason = "each fuzz target uses one of these")]

use std::ffi::CStr;

use vm_anon_name::diff;
use vm_anon_name::maps::Vma;
use vm_anon_name::options::{MOST_CASES, Options};
use vm_anon_name::text::{Shown, Sink};

/// Collects what is written to it.
#[derive(Default)]
struct Collected(Vec<u8>);

impl Sink for Collected {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

fn written(write: impl FnOnce(&mut dyn Sink)) -> Vec<u8> {
    let mut collected = Collected::default();
    write(&mut collected);
    collected.0
}

/// Each line of the input: one that is read is read alike when it has been
/// printed, loses none of its label, and cannot drive a terminal.
pub fn parse(input: &[u8]) {
    for line in input.split(|byte| *byte == b'\n') {
        let Some(vma) = Vma::parse(line) else {
            continue;
        };
        assert!(vma.start < vma.end, "it ends before it begins");
        assert!(line.ends_with(vma.label), "the label is not the line's end");
        if let Some(name) = vma.name() {
            let inside = |mark: &[u8]| [mark, name, b"]"].concat() == vma.label;
            assert!(inside(b"[anon:") || inside(b"[anon_shmem:"));
        }
        let printed = written(|out| vma.print(out));
        assert!(Vma::parse(&printed) == Some(vma), "it is read otherwise");
        let again = written(|out| vma.print(out));
        assert_eq!(printed, again);
        let shown = written(|out| vma.print(&mut Shown(out)));
        assert!(shown.iter().all(|byte| matches!(byte, b' '..=b'~')));
        let is_plain = line.iter().all(|byte| matches!(byte, b' '..=b'~'));
        assert!(
            !is_plain || shown == printed,
            "plain text is shown otherwise"
        );
    }
}

/// The two files before and behind the first NUL: their difference makes the one
/// of the other, or it is said which line of which file is none.
pub fn diff(input: &[u8]) {
    let mut files = input.splitn(2, |byte| *byte == 0);
    let old = files.next().unwrap_or_default();
    let new = files.next().unwrap_or_default();
    compare(old, new);
    compare(new, old);
    compare(old, old);
}

fn compare(old: &[u8], new: &[u8]) {
    let mut out = Collected::default();
    let differs = diff::normal(old, new, b"", &mut out);
    match differs {
        Ok(differs) => {
            assert_eq!(malformed_line(old), None, "the old file is malformed");
            assert_eq!(malformed_line(new), None, "the new file is malformed");
            assert_eq!(differs, old != new);
            assert_eq!(differs, !out.0.is_empty());
            assert!(
                patched(old, &out.0) == new,
                "the patch makes something else"
            );
        }
        Err(malformed) => {
            let lines = [malformed_line(old), malformed_line(new)];
            assert!(
                lines.contains(&Some(malformed.line)),
                "another line is malformed"
            );
        }
    }
}

/// The number of the first line that has no place in a maps file.
fn malformed_line(file: &[u8]) -> Option<u64> {
    let mut end = 0;
    for (number, line) in (1..).zip(file.split_inclusive(|byte| *byte == b'\n')) {
        let vma = line.strip_suffix(b"\n").and_then(Vma::parse);
        match vma {
            Some(vma) if vma.start >= end => end = vma.end,
            _ => return Some(number),
        }
    }
    None
}

/// What patch(1) makes of `old` with a patch in diff's normal format.
fn patched(old: &[u8], patch: &[u8]) -> Vec<u8> {
    let mut old_lines = (1..)
        .zip(old.split_inclusive(|byte| *byte == b'\n'))
        .peekable();
    let mut new = Vec::new();
    for line in patch.split_inclusive(|byte| *byte == b'\n') {
        match line {
            [b'<', b' ', removed @ ..] => {
                let (_, next) = old_lines.next().expect("there is a line to remove");
                assert_eq!(removed, next, "another line is removed");
            }
            [b'>', b' ', added @ ..] => new.extend_from_slice(added),
            b"---\n" => {}
            command => {
                let first = first_line_changed(command);
                while old_lines.peek().is_some_and(|(number, _)| *number < first) {
                    let (_, line) = old_lines.next().expect("it was just seen");
                    new.extend_from_slice(line);
                }
            }
        }
    }
    old_lines.for_each(|(_, line)| new.extend_from_slice(line));
    new
}

/// The line of the old file before which a command like `3,4c5` changes something.
fn first_line_changed(command: &[u8]) -> u64 {
    let text = std::str::from_utf8(command).expect("a command is text");
    let end = text
        .find([',', 'a', 'c', 'd'])
        .expect("a command has a letter");
    let first: u64 = text[..end].parse().expect("a command begins with a number");
    // `3a` adds behind line 3.
    first + u64::from(text.contains('a'))
}

/// The words between NULs: whatever they are, each is taken or reported, and
/// what is taken is a word, or the end of one.
pub fn options(input: &[u8]) {
    let input = [input, b"\0"].concat();
    let words: Vec<&CStr> = input
        .split_inclusive(|byte| *byte == 0)
        .map(|word| CStr::from_bytes_with_nul(word).expect("its only NUL ends it"))
        .collect();
    let mut faults = Vec::new();
    let mut rest = words.iter().copied();
    let mut options = Options::new();
    options.read(&mut rest, &mut |word, reason| faults.push((word, reason)));
    assert_eq!(rest.next(), None, "a word is not read");
    let is_given = |value: &CStr| {
        let value = value.to_bytes();
        words.iter().any(|word| word.to_bytes().ends_with(value))
    };
    assert!(options.name() == c"/secret/mem/area" || is_given(options.name()));
    assert!(options.output().is_none_or(is_given));
    assert!(options.size.is_none_or(|size| (1..1 << 63).contains(&size)));
    assert!(options.cases.len() <= MOST_CASES);
    assert!(options.cases.iter().all(|case| words.contains(case)));
    assert!(options.then().is_none_or(is_given));
    assert!(faults.len() <= words.len());
    for (word, reason) in faults {
        assert!(is_given(word) && !reason.text().is_empty());
    }
}
