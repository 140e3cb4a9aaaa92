//! Properties of the pure core that hold for any input.
//!
//! libFuzzer calls these functions with inputs that it finds by coverage (`cargo xtask
//! fuzz`), and the test target `host` with the corpus and mutations of it. A property
//! that does not hold panics.
#![allow(dead_code, reason = "each fuzz target uses one of these functions")]

use std::ffi::CStr;

use vm_anon_name::diff;
use vm_anon_name::format::{Escaped, Sink};
use vm_anon_name::maps::Vma;
use vm_anon_name::options::{MAX_CASES, Options, Reason};
use vm_anon_name::put;

/// A sink without an upper bound.
#[derive(Default)]
struct Output(Vec<u8>);

impl Sink for Output {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// Parses each line. A line that is accepted keeps its whole label, is equal after
/// printing and parsing, and contains only printable ASCII after escaping.
pub fn parse(input: &[u8]) {
    for line in input.split(|byte| *byte == b'\n') {
        let Some(vma) = Vma::parse(line) else {
            continue;
        };
        assert!(vma.start < vma.end, "the VMA is empty");
        assert!(line.ends_with(vma.label), "the label is not the line's end");
        if let Some(name) = vma.name() {
            let is_label = |start: &[u8]| [start, name, b"]"].concat() == vma.label;
            assert!(is_label(b"[anon:") || is_label(b"[anon_shmem:"));
        }
        let printed = printed(&vma);
        assert!(
            Vma::parse(&printed) == Some(vma),
            "the printed line differs"
        );
        let mut escaped = Output::default();
        put!(&mut escaped, "{}", Escaped(line));
        assert!(escaped.0.iter().all(|byte| matches!(byte, b' '..=b'~')));
        let is_plain = line.iter().all(|byte| matches!(byte, b' '..=b'~'));
        assert!(!is_plain || escaped.0 == line, "plain text is escaped");
    }
}

/// The line that the kernel prints for the VMA; see show_vma_header_prefix() in
/// fs/proc/task_mmu.c.
fn printed(vma: &Vma) -> Vec<u8> {
    let permissions = vma.permissions.map(char::from);
    let permissions: String = permissions.iter().collect();
    let (major, minor) = vma.device;
    let fields = format!(
        "{:08x}-{:08x} {permissions} {:08x} {major:02x}:{minor:02x} {} ",
        vma.start, vma.end, vma.offset, vma.inode
    );
    // The kernel pads before a label, and then adds a space.
    let mut line = match vma.label {
        [] => fields,
        _ => format!("{fields:72} "),
    };
    // A permission of more than 0x7f takes two bytes in UTF-8.
    let mut bytes: Vec<u8> = line.drain(..).map(|c| c as u8).collect();
    bytes.extend_from_slice(vma.label);
    bytes
}

/// Compares two files, separated by the first NUL. The diff as a patch makes the new
/// file of the old one. If a file is malformed, the first bad line is reported.
pub fn diff(input: &[u8]) {
    let mut files = input.splitn(2, |byte| *byte == 0);
    let old = files.next().unwrap_or_default();
    let new = files.next().unwrap_or_default();
    compare(old, new);
    compare(new, old);
    compare(old, old);
}

fn compare(old: &[u8], new: &[u8]) {
    let mut out = Output::default();
    let differs = diff::normal(old, new, b"", &mut out);
    match differs {
        Ok(differs) => {
            assert_eq!(malformed_line(old), None, "the old file is malformed");
            assert_eq!(malformed_line(new), None, "the new file is malformed");
            assert_eq!(differs, old != new);
            assert_eq!(differs, !out.0.is_empty());
            assert!(patched(old, &out.0) == new, "the patch makes another file");
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

/// 1-based number of the first line that is malformed or out of order.
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

/// Applies a patch in diff's normal format, as patch(1) does.
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
                    let (_, line) = old_lines.next().expect("peek returned it");
                    new.extend_from_slice(line);
                }
            }
        }
    }
    old_lines.for_each(|(_, line)| new.extend_from_slice(line));
    new
}

/// Number of the old line before which a command such as `3,4c5` applies.
fn first_line_changed(command: &[u8]) -> u64 {
    let text = std::str::from_utf8(command).expect("a command is text");
    let end = text
        .find([',', 'a', 'c', 'd'])
        .expect("a command has a letter");
    let first: u64 = text[..end].parse().expect("a command begins with a number");
    // `3a` adds after line 3.
    first + u64::from(text.contains('a'))
}

/// Parses the words between NULs, as PID 1 and as another process. Every word is read;
/// every value and every refused word is a word or the end of one. Options are usable
/// only without a refused word, except that PID 1 ignores unknown words.
pub fn options(input: &[u8]) {
    let input = [input, b"\0"].concat();
    let words: Vec<&CStr> = input
        .split_inclusive(|byte| *byte == 0)
        .map(|word| CStr::from_bytes_with_nul(word).expect("its only NUL ends it"))
        .collect();
    for is_init in [false, true] {
        parse_words(&words, is_init);
    }
}

fn parse_words(words: &[&CStr], is_init: bool) {
    let mut refused = Vec::new();
    let mut rest = words.iter().copied();
    let mut refuse = |word, reason| refused.push((word, reason));
    let options = Options::parse(&mut rest, is_init, &mut refuse);
    assert_eq!(rest.next(), None, "a word is not read");
    let is_given = |value: &[u8]| words.iter().any(|word| word.to_bytes().ends_with(value));
    let is_given_text = |value: &CStr| is_given(value.to_bytes());
    assert!(options.name == c"/secret/mem/area" || is_given_text(options.name));
    assert!(options.output.is_none_or(is_given_text));
    assert!(options.then.is_none_or(is_given_text));
    assert!(options.size.is_none_or(|size| (1..1 << 63).contains(&size)));
    assert!(options.cases.len() <= MAX_CASES);
    assert!(options.cases.iter().all(|case| words.contains(case)));
    let is_ignored = |reason| is_init && reason == Reason::Unknown;
    let must_refuse = refused.iter().any(|(_, reason)| !is_ignored(*reason));
    assert!(!(must_refuse && options.usable), "a bad word is ignored");
    assert!(options.usable || !refused.is_empty(), "no word is refused");
    for (word, reason) in refused {
        // These two name an option by its long form.
        let is_option = matches!(reason, Reason::NoEffect | Reason::NotInit);
        assert!(is_option || is_given(word));
        assert!(!reason.text().is_empty());
    }
}
