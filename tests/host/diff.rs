//! The diff: GNU diff as the judge, over recorded, seeded and generated maps.

use std::io::Write;
use std::process::Command;

use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::NamedTempFile;
use vm_anon_name::diff;

use crate::fixtures::{self, STAGES};
use crate::maps::{Area, labels};
use crate::{Collected, shown};

/// The most VMAs a process has unless `vm.max_map_count` is raised.
const MOST_VMAS: u64 = 65530;

const PAGE: u64 = 0x1000;

/// What the library finds, or the malformed line's number; and what it wrote.
fn ours(old: &[u8], new: &[u8], indent: &[u8]) -> (Result<bool, u64>, Vec<u8>) {
    let mut out = Collected::default();
    let differs = diff::normal(old, new, indent, &mut out);
    (differs.map_err(|malformed| malformed.line), out.bytes)
}

/// The same from GNU diff.
fn gnu(old: &[u8], new: &[u8]) -> (bool, Vec<u8>) {
    let file = |content: &[u8]| {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    };
    let (old, new) = (file(old), file(new));
    let mut command = Command::new("diff");
    // The locale could translate; bytes that are no text could end it early.
    command.env("LC_ALL", "C").arg("--text");
    let output = command
        .arg(old.path())
        .arg(new.path())
        .output()
        .expect("diff runs");
    let differs = match output.status.code() {
        Some(0) => false,
        Some(1) => true,
        _ => panic!("diff: {}", shown(&output.stderr)),
    };
    (differs, output.stdout)
}

#[track_caller]
fn check_with_gnu(old: &[u8], new: &[u8]) {
    let (differs, expected) = gnu(old, new);
    let (found, written) = ours(old, new, b"");
    assert_eq!(shown(&written), shown(&expected));
    assert_eq!(found, Ok(differs));
    assert_eq!(differs, !written.is_empty());
}

/// Checks against GNU diff and against the output in full.
#[track_caller]
fn check(old: &[u8], new: &[u8], expected: &str) {
    check_with_gnu(old, new);
    let (_, written) = ours(old, new, b"");
    assert_eq!(String::from_utf8(written).unwrap(), expected);
}

/// A file with a line for each VMA.
fn file(areas: &[Area]) -> Vec<u8> {
    let lines = areas.iter().map(Area::line);
    lines
        .flat_map(|line| [line, b"\n".to_vec()].concat())
        .collect()
}

/// Private anonymous memory.
fn area(start: u64, end: u64, label: &[u8]) -> Area {
    Area {
        start,
        end,
        permissions: "rw-p".to_owned(),
        offset: 0,
        device: (0, 0),
        inode: 0,
        label: label.to_owned(),
    }
}

#[test]
fn the_seeds_transitions_look_as_they_did_there() {
    let maps = |from_25: &[Area]| {
        let before = (0..24).map(|n| area(n * PAGE, (n + 1) * PAGE, b"[anon:x]"));
        let after = area(0xffffadafc000, 0xffffadafd000, b"[vvar]");
        file(&[before.collect(), from_25.to_vec(), vec![after]].concat())
    };
    let above = area(0xffffadaf6000, 0xffffadafc000, b"");
    let start = maps(std::slice::from_ref(&above));
    let mapped = maps(&[area(0xffffadaf5000, 0xffffadafc000, b"")]);
    let page = area(0xffffadaf5000, 0xffffadaf6000, b"[anon:/secret/mem/area]");
    let named = maps(&[page, above]);
    check(
        &start,
        &mapped,
        "25c25\n\
         < ffffadaf6000-ffffadafc000 rw-p 00000000 00:00 0 \n\
         ---\n\
         > ffffadaf5000-ffffadafc000 rw-p 00000000 00:00 0 \n",
    );
    check(
        &mapped,
        &named,
        "25c25,26\n\
         < ffffadaf5000-ffffadafc000 rw-p 00000000 00:00 0 \n\
         ---\n\
         > ffffadaf5000-ffffadaf6000 rw-p 00000000 00:00 0                          [anon:/secret/mem/area]\n\
         > ffffadaf6000-ffffadafc000 rw-p 00000000 00:00 0 \n",
    );
    check(
        &named,
        &start,
        "25d24\n\
         < ffffadaf5000-ffffadaf6000 rw-p 00000000 00:00 0                          [anon:/secret/mem/area]\n",
    );
    check(&start, &start, "");
}

#[test]
fn recorded_stages_have_the_seeds_shapes() {
    for kernel in rig::kernels::matrix() {
        let [start, mapped, named, unmapped] = STAGES.map(|stage| fixtures::get(kernel, stage));
        let head = |old, new| {
            check_with_gnu(old, new);
            let (_, written) = ours(old, new, b"");
            String::from_utf8(written)
                .unwrap()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let (grown, split, gone) = match kernel.names {
            true => ("2c2", "2c2,3", "2d1"),
            // The new page is still part of the memory above when it goes.
            false => ("2c2", "", "2c2"),
        };
        assert_eq!(head(start, mapped), grown, "{}", kernel.name);
        assert_eq!(head(mapped, named), split, "{}", kernel.name);
        assert_eq!(head(named, unmapped), gone, "{}", kernel.name);
        assert_eq!(head(start, unmapped), "", "{}", kernel.name);
    }
}

#[test]
fn recordings_of_any_two_programs_compare() {
    for kernel in rig::kernels::matrix() {
        let maps = ["dynamic", "odd", "shared", "shell"].map(|what| fixtures::get(kernel, what));
        for old in maps {
            for new in maps {
                check_with_gnu(old, new);
            }
        }
    }
}

#[test]
fn empty_files_compare() {
    let maps = file(&[area(PAGE, 2 * PAGE, b""), area(2 * PAGE, 3 * PAGE, b"")]);
    let lines =
        "00001000-00002000 rw-p 00000000 00:00 0 \n00002000-00003000 rw-p 00000000 00:00 0 \n";
    let marked = |mark| {
        lines
            .lines()
            .fold(String::new(), |text, line| text + mark + line + "\n")
    };
    check(b"", b"", "");
    check(b"", &maps, &format!("0a1,2\n{}", marked("> ")));
    check(&maps, b"", &format!("1,2d0\n{}", marked("< ")));
}

#[test]
fn the_largest_maps_of_a_process_compare() {
    let maps = |label: &[u8], from: u64| {
        let areas = (from..from + MOST_VMAS).map(|n| area(n * PAGE, (n + 1) * PAGE, label));
        file(&areas.collect::<Vec<_>>())
    };
    let old = maps(b"", 1);
    // All changed in one hunk, and most the same behind the first one.
    check_with_gnu(&old, &maps(b"[anon:x]", 1));
    check_with_gnu(&old, &maps(b"", 2));
}

/// Both ways round, the other file being whole.
#[track_caller]
fn check_malformed(file: &[u8], line: u64) {
    let whole = b"00001000-00002000 rw-p 00000000 00:00 0 \n".as_slice();
    for other in [b"".as_slice(), whole] {
        assert_eq!(ours(file, other, b"").0, Err(line), "{}", shown(file));
        assert_eq!(ours(other, file, b"").0, Err(line), "{}", shown(file));
    }
    assert_eq!(ours(file, file, b"").0, Err(line), "{}", shown(file));
}

#[test]
fn malformed_files_are_refused_by_line() {
    check_malformed(b"\n", 1);
    check_malformed(b"garbage\n", 1);
    check_malformed(b"1000-2000 rw-p 0 0:0 0 ", 1);
    check_malformed(b"1000-2000 rw-p 0 0:0 0 \n\n", 2);
    check_malformed(b"1000-2000 rw-p 0 0:0 0 \n2000-3000 rw-p 0 0:0 0 ", 2);
    check_malformed(b"1000-2000 rw-p 0 0:0 0 \n2000-30", 2);
    check_malformed(b"2000-3000 rw-p 0 0:0 0 \n1000-2000 rw-p 0 0:0 0 \n", 2);
    check_malformed(b"1000-2000 rw-p 0 0:0 0 \n1000-2000 rw-p 0 0:0 0 \n", 2);
    check_malformed(
        b"0-1 rw-p 0 0:0 0 \n0-2 rw-p 0 0:0 0 \n3-4 rw-p 0 0:0 0 \n",
        2,
    );
    // Nothing is mapped twice.
    check_malformed(b"0-2 rw-p 0 0:0 0 \n1-3 rw-p 0 0:0 0 \n", 2);
    check_malformed(b"1000-2000 rw-p 0 0:0 0 \n3000-4000 rw-p 0 0:0 0 \n?\n", 3);
}

/// A change that the kernel makes to a VMA; one that cannot be made is left out.
#[derive(Clone, Debug)]
enum Change {
    Split(Index),
    MergeWithNext(Index),
    GrowUp(Index),
    GrowDown(Index),
    Rename(Index, Vec<u8>),
    Protect(Index, String),
    Unmap(Index),
    MapBehind(Index),
}

impl Change {
    fn make(self, areas: &mut Vec<Area>) {
        let (Change::Split(index)
        | Change::MergeWithNext(index)
        | Change::GrowUp(index)
        | Change::GrowDown(index)
        | Change::Rename(index, _)
        | Change::Protect(index, _)
        | Change::Unmap(index)
        | Change::MapBehind(index)) = &self;
        if areas.is_empty() {
            return;
        }
        let at = index.index(areas.len());
        let floor = at.checked_sub(1).map_or(0, |before| areas[before].end);
        let ceiling = areas.get(at + 1).map_or(u64::MAX, |next| next.start);
        let Area { start, end, .. } = areas[at];
        match self {
            Change::Split(_) if end - start > PAGE => {
                let middle = start + (end - start) / 2 / PAGE * PAGE;
                let upper = Area {
                    start: middle,
                    ..areas[at].clone()
                };
                areas[at].end = middle;
                areas.insert(at + 1, upper);
            }
            Change::MergeWithNext(_) if end == ceiling => areas[at].end = areas.remove(at + 1).end,
            Change::GrowUp(_) if end < ceiling => areas[at].end += PAGE,
            Change::GrowDown(_) if floor < start => areas[at].start -= PAGE,
            Change::Rename(_, label) => areas[at].label = label,
            Change::Protect(_, permissions) => areas[at].permissions = permissions,
            Change::Unmap(_) => drop(areas.remove(at)),
            Change::MapBehind(_) if end < ceiling => {
                areas.insert(at + 1, area(end, end + PAGE, b""))
            }
            _ => {}
        }
    }
}

fn changes() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        index().prop_map(Change::Split),
        index().prop_map(Change::MergeWithNext),
        index().prop_map(Change::GrowUp),
        index().prop_map(Change::GrowDown),
        (index(), labels()).prop_map(|(index, label)| Change::Rename(index, label)),
        (index(), "[r-][w-][x-][sp]").prop_map(|(index, text)| Change::Protect(index, text)),
        index().prop_map(Change::Unmap),
        index().prop_map(Change::MapBehind),
    ]
}

prop_compose! {
    /// VMAs in order, some side by side and some apart.
    fn layouts()(
        start in prop_oneof![Just(0), Just(0x400), Just(0xffff_8000)],
        areas in prop::collection::vec((0..3_u64, 1..5_u64, labels()), 0..40),
    ) -> Vec<Area> {
        let mut page = start;
        let place = |(gap, length, label): (u64, u64, Vec<u8>)| {
            let start = page + gap;
            page = start + length;
            area(start * PAGE, page * PAGE, &label)
        };
        areas.into_iter().map(place).collect()
    }
}

prop_compose! {
    /// Maps, and the same after some changes.
    fn pairs()(
        layout in layouts(),
        changes in prop::collection::vec(changes(), 0..12),
    ) -> (Vec<u8>, Vec<u8>) {
        let mut changed = layout.clone();
        changes.into_iter().for_each(|change| change.make(&mut changed));
        (file(&layout), file(&changed))
    }
}

/// Ways to break a line.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Garbage,
    Repeat,
    NoNewline,
}

/// Breaks the line of that index, and gives its number.
fn damage(file: &mut Vec<u8>, line: Index, damage: Damage) -> u64 {
    let mut lines: Vec<Vec<u8>> = file
        .split_inclusive(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let mut at = line.index(lines.len());
    match damage {
        Damage::Garbage => lines[at].insert(0, b'?'),
        Damage::Repeat => {
            lines.insert(at, lines[at].clone());
            at += 1;
        }
        Damage::NoNewline => {
            lines.truncate(at + 1);
            lines[at].pop();
        }
    }
    *file = lines.concat();
    at as u64 + 1
}

proptest! {
    #[test]
    fn changed_maps_compare_as_gnu_diff_does((old, new) in pairs()) {
        check_with_gnu(&old, &new);
        check_with_gnu(&new, &old);
    }

    #[test]
    fn unrelated_maps_compare_as_gnu_diff_does(old in layouts(), new in layouts()) {
        check_with_gnu(&file(&old), &file(&new));
    }

    #[test]
    fn maps_do_not_differ_from_themselves(layout in layouts()) {
        let maps = file(&layout);
        prop_assert_eq!(ours(&maps, &maps, b"  "), (Ok(false), Vec::new()));
    }

    #[test]
    fn every_line_is_indented((old, new) in pairs(), indent in "[ >\t]{0,4}") {
        let (differs, plain) = ours(&old, &new, b"");
        let (same, indented) = ours(&old, &new, indent.as_bytes());
        prop_assert_eq!(differs, same);
        let lines = plain.split_inclusive(|byte| *byte == b'\n');
        let expected = lines.flat_map(|line| [indent.as_bytes(), line].concat());
        prop_assert_eq!(indented, expected.collect::<Vec<u8>>());
    }

    #[test]
    fn damage_is_found_and_nothing_wrong_is_written_before(
        (old, new) in pairs().prop_filter("has no line", |(old, _)| !old.is_empty()),
        line in any::<Index>(),
        how in prop_oneof![Just(Damage::Garbage), Just(Damage::Repeat), Just(Damage::NoNewline)],
        swap in any::<bool>(),
    ) {
        let mut damaged = old.clone();
        let number = damage(&mut damaged, line, how);
        let diff = |old: &[u8], new: &[u8]| if swap { ours(new, old, b"") } else { ours(old, new, b"") };
        let (found, written) = diff(&damaged, &new);
        prop_assert_eq!(found, Err(number));
        // Whatever the lines from there might have been: here, those they were.
        let (_, whole) = diff(&old, &new);
        prop_assert!(whole.starts_with(&written), "{}", shown(&written));
    }
}
