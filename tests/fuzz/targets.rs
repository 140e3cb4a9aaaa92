//! Properties of the core that hold for any input.
//!
//! libFuzzer calls these functions with inputs that it finds by coverage (`cargo
//! xtask fuzz`); `tests/host/fuzz.rs` calls them with the corpus and mutations of
//! it. A function panics if its property does not hold.
#![allow(dead_code, reason = "each fuzz target uses one of these functions")]

use std::collections::BTreeMap;
use std::ffi::CStr;

use vm_anon_name::diff;
use vm_anon_name::format::{Escaping, Sink};
use vm_anon_name::maps::{self, Vma};
use vm_anon_name::options::{MAX_WORDS, Options, Reason};
use vm_anon_name::report::Report;
use vm_anon_name::totals::{Settings, Totals};

/// A sink without a limit.
#[derive(Default)]
struct Collected(Vec<u8>);

impl Sink for Collected {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// Formats a line of a maps file, without newline, as `show_map_vma()` in the
/// kernel's `fs/proc/task_mmu.c` does in a kernel with 64-bit addresses.
pub fn line(vma: &Vma) -> Vec<u8> {
    line_of(vma, 64)
}

/// The same for a kernel whose addresses have this number of bits.
pub fn line_of(vma: &Vma, address_bits: u32) -> Vec<u8> {
    let column = 24 + address_bits as usize / 8 * 6;
    let mut line = format!("{:08x}-{:08x} ", vma.start, vma.end).into_bytes();
    line.extend_from_slice(&vma.permissions);
    let (major, minor) = vma.device;
    let rest = format!(" {:08x} {major:02x}:{minor:02x} {} ", vma.offset, vma.inode);
    line.extend_from_slice(rest.as_bytes());
    if !vma.label.is_empty() {
        line.resize(line.len().max(column), b' ');
        line.push(b' ');
        line.extend_from_slice(vma.label);
    }
    line
}

/// A line of the input that is parsed can be formatted and parsed again without
/// loss, and cannot control a terminal after escaping.
pub fn parse(input: &[u8]) {
    for text in input.split(|byte| *byte == b'\n') {
        let Some(vma) = Vma::parse(text) else {
            continue;
        };
        assert!(vma.start < vma.end, "the VMA is empty");
        assert!(vma.contains(vma.start) && !vma.contains(vma.end));
        assert_eq!(maps::find(text, vma.start), Some(vma));
        assert!(text.ends_with(vma.label), "the label is cut");
        if let Some(name) = vma.name() {
            let is_label = |kind: &[u8]| [kind, name, b"]"].concat() == vma.label;
            assert!(is_label(b"[anon:") || is_label(b"[anon_shmem:"));
        }
        assert_eq!(Vma::parse(&line(&vma)), Some(vma));
        let mut escaped = Collected::default();
        Escaping(&mut escaped).put(text);
        let is_printable = |text: &[u8]| text.iter().all(|byte| matches!(byte, b' '..=b'~'));
        assert!(is_printable(&escaped.0));
        assert!(!is_printable(text) || escaped.0 == text);
    }
}

/// The input is two files, separated by the first NUL. Either the diff turns the
/// first into the second, or it reports the number of the first malformed line.
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
    match diff::normal(old, new, b"", &mut out) {
        Ok(differs) => {
            assert_eq!(malformed_line(old), None, "in the old file");
            assert_eq!(malformed_line(new), None, "in the new file");
            assert_eq!(differs, old != new);
            assert_eq!(differs, !out.0.is_empty());
            assert!(patched(old, &out.0) == new, "the patch is wrong");
        }
        Err(malformed) => {
            let lines = [malformed_line(old), malformed_line(new)];
            assert!(lines.contains(&Some(malformed.line)), "the line is wrong");
        }
    }
}

/// The number of the first line that cannot be in a maps file.
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

/// The result of patch(1) with a patch in diff's normal format.
fn patched(old: &[u8], patch: &[u8]) -> Vec<u8> {
    let mut old_lines = (1..)
        .zip(old.split_inclusive(|byte| *byte == b'\n'))
        .peekable();
    let mut new = Vec::new();
    for line in patch.split_inclusive(|byte| *byte == b'\n') {
        match line {
            [b'<', b' ', removed @ ..] => {
                let (_, next) = old_lines.next().expect("a line is left to remove");
                assert_eq!(removed, next, "the removed line is wrong");
            }
            [b'>', b' ', added @ ..] => new.extend_from_slice(added),
            b"---\n" => {}
            command => {
                let first = first_changed_line(command);
                while let Some((_, line)) = old_lines.next_if(|(number, _)| *number < first) {
                    new.extend_from_slice(line);
                }
            }
        }
    }
    old_lines.for_each(|(_, line)| new.extend_from_slice(line));
    new
}

/// The line of the old file at which a command such as `3,4c5` starts.
fn first_changed_line(command: &[u8]) -> u64 {
    let text = std::str::from_utf8(command).expect("a command is ASCII");
    let end = text
        .find([',', 'a', 'c', 'd'])
        .expect("a command has a letter");
    let first: u64 = text[..end].parse().expect("a command starts with a number");
    // `3a` adds lines after line 3.
    first + u64::from(text.contains('a'))
}

/// The input is a saved smaps. Its rows are those of a simple sum, the totals are the sums of
/// the rows, and the table has a line for each row.
pub fn smaps(input: &[u8]) {
    let mut totals = Box::new(Totals::default());
    totals.settings = Settings {
        is_saved: true,
        ..Settings::default()
    };
    totals.begin_round();
    let lines = || input.split(|byte| *byte == b'\n');
    if lines().any(is_like_a_field) {
        return;
    }
    lines().for_each(|line| totals.line(line));
    totals.end_process();
    totals.sort();
    let shown = || totals.rows().filter(|(_, row)| row.is_shown(false));
    let mut rows: Vec<[u64; 6]> = shown().map(|(_, row)| row.sums.0).collect();
    let expected = simple_sums(lines());
    let all = expected.values().fold([0; 6], add);
    assert_eq!(totals.all.sums.0, all, "the totals are wrong");
    if totals.crowded == 0 {
        let mut expected: Vec<[u64; 6]> = expected.into_values().collect();
        rows.sort_unstable();
        expected.sort_unstable();
        assert_eq!(rows, expected, "a row is wrong");
    }
    assert_eq!(rows.iter().fold([0; 6], add), all, "the rows are wrong");
    let report = Report {
        process: None,
        counts_processes: false,
        changes: false,
        is_json: false,
    };
    let mut table = Collected::default();
    report.put_rows(&totals, &mut table);
    let newlines = table.0.iter().filter(|byte| **byte == b'\n');
    assert_eq!(newlines.count(), shown().count() + 1);
    assert!(
        table
            .0
            .iter()
            .all(|byte| matches!(byte, b' '..=b'~' | b'\n'))
    );
}

/// A label, or the permissions of a VMA without one.
type SimpleKey = (bool, Vec<u8>);

/// The sums of a saved smaps by label, or by permissions if there is none.
fn simple_sums<'a>(lines: impl Iterator<Item = &'a [u8]>) -> BTreeMap<SimpleKey, [u64; 6]> {
    let mut rows = BTreeMap::<SimpleKey, [u64; 6]>::new();
    let mut current: Option<SimpleKey> = None;
    let mut highest = 0;
    for line in lines {
        if line.first().is_some_and(u8::is_ascii_uppercase) {
            if let (Some(key), Some((column, value))) = (&current, simple_field(line)) {
                let sum = &mut rows.entry(key.clone()).or_default()[column];
                *sum = sum.saturating_add(value);
            }
            continue;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let vma = Vma::parse(line).filter(|vma| vma.label != b"[rollup]");
        current = vma.map(|vma| match vma.label {
            b"" => (false, vma.permissions.to_vec()),
            label => (true, label.to_vec()),
        });
        if let (Some(key), Some(vma)) = (&current, vma) {
            // A lower address is that of the next process.
            if vma.start < highest {
                highest = 0;
            }
            let size = vma.end.saturating_sub(vma.start.max(highest)) >> 10;
            highest = highest.max(vma.end);
            let row = rows.entry(key.clone()).or_default();
            *row = add(*row, &[1, size, 0, 0, 0, 0]);
        }
    }
    rows
}

/// The fields of the columns, with the index of the column. The program looks only at some bytes
/// of a field name, so [`smaps`] skips inputs with other names that have the same ones.
const FIELDS: [(&str, usize); 5] = [
    ("Rss", 2),
    ("Pss", 3),
    ("Private_Clean", 4),
    ("Private_Dirty", 4),
    ("Swap", 5),
];

fn simple_field(line: &[u8]) -> Option<(usize, u64)> {
    let text = String::from_utf8_lossy(line);
    let (name, rest) = text.split_once(':')?;
    let (_, column) = FIELDS.iter().find(|(known, _)| *known == name)?;
    let value = rest
        .strip_suffix('\r')
        .unwrap_or(rest)
        .strip_suffix(" kB")?;
    let (_, digits) = value.rsplit_once([' ', '\t'])?;
    let is_number = digits.len() <= 19 && digits.chars().all(|c| c.is_ascii_digit());
    Some((*column, digits.parse().ok().filter(|_| is_number)?))
}

/// Whether the program takes the line for a field of a column, and it is none.
fn is_like_a_field(line: &[u8]) -> bool {
    let is_private = matches!(line, [b'P', b'r', b'i', b'v', _, _, _, _, b'C' | b'D', ..]);
    let is_private_field =
        line.starts_with(b"Private_Clean:") || line.starts_with(b"Private_Dirty:");
    is_private && !is_private_field
}

fn add(mut sums: [u64; 6], more: &[u64; 6]) -> [u64; 6] {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum = sum.saturating_add(*more);
    }
    sums
}

/// The input is words, separated by NULs. Each is used or refused, and every value
/// is a word or the end of one.
pub fn options(input: &[u8]) {
    let input = [input, b"\0"].concat();
    let words: Vec<&CStr> = input
        .split_inclusive(|byte| *byte == 0)
        .map(|word| CStr::from_bytes_with_nul(word).expect("a word ends at its only NUL"))
        .collect();
    parse_options(&words, false);
    parse_options(&words, true);
}

fn parse_options(words: &[&CStr], is_init: bool) {
    let mut refused = Vec::new();
    let mut rest = words.iter().copied();
    let mut options = Options::default();
    options.parse(&mut rest, is_init, &mut |word, reason| {
        refused.push((word, reason));
    });
    assert_eq!(rest.next(), None, "a word is left");
    let is_end_of_word = |value: &[u8]| words.iter().any(|word| word.to_bytes().ends_with(value));
    let is_given = |value: &CStr| is_end_of_word(value.to_bytes());
    assert!(options.name == c"/secret/mem/area" || is_given(options.name));
    assert!(options.output.is_none_or(is_given));
    assert!(options.then.is_none_or(is_given));
    assert!(options.size.is_none_or(|size| (1..1 << 63).contains(&size)));
    assert!(options.words.len() <= MAX_WORDS);
    assert!(options.words.iter().all(|word| words.contains(word)));
    assert!(
        options
            .helper()
            .is_none_or(|helper| words.contains(&helper))
    );
    for (word, reason) in &refused {
        let is_option = matches!(reason, Reason::NoEffect | Reason::NotInit);
        assert!(is_option || is_end_of_word(word));
    }
    let unknown = refused
        .iter()
        .filter(|(_, reason)| *reason == Reason::Unknown);
    let all_unknown = unknown.count() == refused.len();
    let is_tolerated = is_init && all_unknown;
    assert!(options.usable || !refused.is_empty());
    assert!(!options.usable || refused.is_empty() || is_tolerated);
}
