//! The diff of maps files, with GNU diff as the reference.

use std::fs;
use std::process::Command;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::Config;
use vm_anon_name::diff;

use crate::fixtures::{self, PROGRAMS, STAGES};
use crate::fuzz::targets::line;
use crate::maps::{Area, labels};
use crate::{Collected, shown};

/// The default of `vm.max_map_count`, the number of VMAs of the largest process.
const MAX_VMAS: u64 = 65530;

const PAGE: u64 = 0x1000;

/// The number of pairs of files that one run of GNU diff compares, because starting it
/// takes longer than a comparison.
const BATCH: usize = 64;

/// Result and output of the core's diff. The error is the number of the malformed
/// line.
fn ours(old: &[u8], new: &[u8], indent: &[u8]) -> (Result<bool, u64>, Vec<u8>) {
    let mut out = Collected::default();
    let differs = diff::normal(old, new, indent, &mut out);
    (differs.map_err(|malformed| malformed.line), out.0)
}

/// The output of GNU diff for each pair of files.
fn gnu(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let path = |side: &str, index: usize| directory.path().join(side).join(format!("{index:05}"));
    for side in ["old", "new"] {
        fs::create_dir(directory.path().join(side)).unwrap();
    }
    for (index, (old, new)) in pairs.iter().enumerate() {
        fs::write(path("old", index), old).unwrap();
        fs::write(path("new", index), new).unwrap();
    }
    let mut command = Command::new("diff");
    command.current_dir(&directory).env("LC_ALL", "C");
    let output = command
        .args(["--text", "--recursive", "old", "new"])
        .output()
        .unwrap();
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{}",
        shown(&output.stderr)
    );

    // The output for each pair that differs follows a line such as this:
    // diff --text --recursive old/00000 new/00000
    let mut outputs = vec![Vec::new(); pairs.len()];
    let mut current = None;
    for line in output.stdout.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b"diff ") {
            let digits = &line[line.len() - 6..line.len() - 1];
            current = std::str::from_utf8(digits).unwrap().parse().ok();
        } else {
            let index: usize = current.expect("the output starts with a heading");
            outputs[index].extend_from_slice(line);
        }
    }
    outputs
}

/// Checks each pair against GNU diff.
#[track_caller]
fn check_with_gnu(pairs: &[(Vec<u8>, Vec<u8>)]) {
    for ((old, new), expected) in pairs.iter().zip(gnu(pairs)) {
        let (differs, written) = ours(old, new, b"");
        assert_eq!(shown(&written), shown(&expected));
        assert_eq!(differs, Ok(old != new));
        assert_eq!(written.is_empty(), old == new);
    }
}

/// Checks the output, also against GNU diff.
#[track_caller]
fn check(old: &[u8], new: &[u8], expected: &str) {
    check_with_gnu(&[(old.to_vec(), new.to_vec())]);
    let (_, written) = ours(old, new, b"");
    assert_eq!(String::from_utf8(written).unwrap(), expected);
}

/// A maps file.
fn file(areas: &[Area]) -> Vec<u8> {
    let lines = areas.iter().map(|area| line(&area.vma()));
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

/// The maps and diffs with which the C++ program that this one replaces was described.
#[test]
fn the_described_stages_have_the_described_diffs() {
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
fn recorded_stages_change_the_expected_lines() {
    for kernel in fixtures::kernels() {
        let [start, mapped, named, unmapped] = STAGES.map(|stage| fixtures::get(kernel, stage));
        let first_line = |old, new| {
            let (_, written) = ours(old, new, b"");
            let text = String::from_utf8(written).unwrap();
            text.lines().next().unwrap_or_default().to_owned()
        };
        let (grown, split, removed) = match kernel.names {
            true => ("4c4", "4c4,5", "4d3"),
            // Without its name, the new page is part of the VMA above it.
            false => ("4c4", "", "4c4"),
        };
        assert_eq!(first_line(start, mapped), grown, "{}", kernel.name);
        assert_eq!(first_line(mapped, named), split, "{}", kernel.name);
        assert_eq!(first_line(named, unmapped), removed, "{}", kernel.name);
        assert_eq!(first_line(start, unmapped), "", "{}", kernel.name);
    }
}

#[test]
fn recordings_compare_as_in_gnu_diff() {
    let mut pairs = Vec::new();
    for kernel in fixtures::kernels() {
        let names = STAGES.into_iter().chain(PROGRAMS);
        let maps: Vec<&[u8]> = names.map(|name| fixtures::get(kernel, name)).collect();
        for old in &maps {
            pairs.extend(maps.iter().map(|new| (old.to_vec(), new.to_vec())));
        }
    }
    check_with_gnu(&pairs);
}

#[test]
fn empty_files_are_compared() {
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
fn the_largest_maps_files_are_compared() {
    let maps = |label: &[u8], from: u64| {
        let areas = (from..from + MAX_VMAS).map(|n| area(n * PAGE, (n + 1) * PAGE, label));
        file(&areas.collect::<Vec<_>>())
    };
    let old = maps(b"", 1);
    // In one pair all lines change; in the other, only the first and the last.
    check_with_gnu(&[(old.clone(), maps(b"[anon:x]", 1)), (old, maps(b"", 2))]);
}

/// Checks that a malformed file is refused on both sides.
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
fn the_first_malformed_line_is_reported() {
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
    // VMAs do not overlap.
    check_malformed(b"0-2 rw-p 0 0:0 0 \n1-3 rw-p 0 0:0 0 \n", 2);
    check_malformed(b"1000-2000 rw-p 0 0:0 0 \n3000-4000 rw-p 0 0:0 0 \n?\n", 3);
}

/// A change that the kernel can make to a VMA.
#[derive(Clone, Debug)]
enum Change {
    Split(Index),
    MergeWithNext(Index),
    GrowUp(Index),
    GrowDown(Index),
    Rename(Index, Vec<u8>),
    Protect(Index, String),
    Unmap(Index),
    MapAfter(Index),
}

impl Change {
    /// Makes the change, if there is room for it.
    fn apply(self, areas: &mut Vec<Area>) {
        let (Change::Split(index)
        | Change::MergeWithNext(index)
        | Change::GrowUp(index)
        | Change::GrowDown(index)
        | Change::Rename(index, _)
        | Change::Protect(index, _)
        | Change::Unmap(index)
        | Change::MapAfter(index)) = &self;
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
            Change::MapAfter(_) if end < ceiling => {
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
        index().prop_map(Change::MapAfter),
    ]
}

prop_compose! {
    /// VMAs in order, some adjacent and some with gaps.
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
    /// A maps file, and the same file after some changes.
    fn changed()(
        layout in layouts(),
        changes in prop::collection::vec(changes(), 0..12),
    ) -> (Vec<u8>, Vec<u8>) {
        let mut changed = layout.clone();
        changes.into_iter().for_each(|change| change.apply(&mut changed));
        (file(&layout), file(&changed))
    }
}

/// A way to damage a line.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Garbage,
    Repeat,
    NoNewline,
}

/// Damages a line and returns its number.
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

/// Proptest's configuration with fewer cases, because each case is a batch of pairs of files.
fn batches() -> Config {
    let default = Config::default();
    Config {
        cases: default.cases.div_ceil(BATCH as u32),
        ..default
    }
}

proptest! {
    #![proptest_config(batches())]

    #[test]
    fn changed_maps_compare_as_in_gnu_diff(
        pairs in prop::collection::vec(changed(), 1..=BATCH),
    ) {
        let reversed = pairs.iter().map(|(old, new)| (new.clone(), old.clone()));
        let all: Vec<_> = pairs.iter().cloned().chain(reversed).collect();
        check_with_gnu(&all);
    }

    #[test]
    fn unrelated_maps_compare_as_in_gnu_diff(
        pairs in prop::collection::vec((layouts(), layouts()), 1..=BATCH),
    ) {
        let files = |(old, new): &(Vec<Area>, Vec<Area>)| (file(old), file(new));
        check_with_gnu(&pairs.iter().map(files).collect::<Vec<_>>());
    }
}

proptest! {
    #[test]
    fn a_file_equals_itself(layout in layouts()) {
        let maps = file(&layout);
        prop_assert_eq!(ours(&maps, &maps, b"  "), (Ok(false), Vec::new()));
    }

    #[test]
    fn every_line_is_indented((old, new) in changed(), indent in "[ >\t]{0,4}") {
        let (differs, plain) = ours(&old, &new, b"");
        let (same, indented) = ours(&old, &new, indent.as_bytes());
        prop_assert_eq!(differs, same);
        let lines = plain.split_inclusive(|byte| *byte == b'\n');
        let expected = lines.flat_map(|line| [indent.as_bytes(), line].concat());
        prop_assert_eq!(indented, expected.collect::<Vec<u8>>());
    }

    #[test]
    fn a_damaged_line_is_reported_after_correct_output(
        (old, new) in changed().prop_filter("no line", |(old, _)| !old.is_empty()),
        line in any::<Index>(),
        how in prop_oneof![Just(Damage::Garbage), Just(Damage::Repeat), Just(Damage::NoNewline)],
        swap in any::<bool>(),
    ) {
        let mut damaged = old.clone();
        let number = damage(&mut damaged, line, how);
        let diff = |old: &[u8], new: &[u8]| if swap { ours(new, old, b"") } else { ours(old, new, b"") };
        let (found, written) = diff(&damaged, &new);
        prop_assert_eq!(found, Err(number));
        // The output covers the lines before the damaged one.
        let (_, whole) = diff(&old, &new);
        prop_assert!(whole.starts_with(&written), "{}", shown(&written));
    }
}
