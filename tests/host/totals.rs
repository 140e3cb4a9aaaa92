//! Memory by name, compared with the crate procfs, on recorded and on generated smaps.

use std::collections::BTreeMap;

use procfs::FromBufRead;
use procfs::process::MemoryMaps;
use proptest::prelude::*;
use vm_anon_name::label::MAX_LENGTH;
use vm_anon_name::maps::Vma;
use vm_anon_name::report::Report;
use vm_anon_name::totals::{ROWS, Settings, Totals};

use crate::fixtures;
use crate::written_text;

/// The columns of a row.
pub type Columns = [u64; 6];

const OTHERS: &str = "(other names)";

fn added(settings: Settings, processes: &[&[u8]]) -> Box<Totals> {
    let mut totals = Box::new(Totals::default());
    totals.settings = settings;
    totals.begin_round();
    for smaps in processes {
        add(&mut totals, smaps);
    }
    totals
}

fn add(totals: &mut Totals, smaps: &[u8]) {
    fixtures::lines(smaps).for_each(|line| totals.line(line));
    totals.end_process();
}

const EXACT: Settings = Settings {
    folds: false,
    counts_processes: false,
    is_saved: false,
};
const FOLDS: Settings = Settings {
    folds: true,
    ..EXACT
};

/// The rows that are not empty, by their labels.
pub fn rows(totals: &Totals) -> BTreeMap<String, Columns> {
    let rows = totals.rows().filter(|(_, row)| row.is_shown(false));
    rows.map(|(label, row)| (label.escape_ascii().to_string(), row.sums.0))
        .collect()
}

/// The rows that the crate procfs gives, each under the label of its line.
pub fn by_procfs(smaps: &[u8]) -> BTreeMap<String, Columns> {
    let maps = MemoryMaps::from_buf_read(smaps).expect("procfs reads it");
    let labels = fixtures::lines(smaps).filter_map(|line| {
        let vma = Vma::parse(line)?;
        Some(match vma.label {
            b"" => format!("(no name) {}", vma.permissions.escape_ascii()),
            label => label.escape_ascii().to_string(),
        })
    });
    let labels: Vec<String> = labels.collect();
    assert_eq!(labels.len(), maps.len());
    let mut rows = BTreeMap::<String, Columns>::new();
    for (label, map) in labels.into_iter().zip(&maps.0) {
        let field = |name: &str| map.extension.map.get(name).copied().unwrap_or_default() >> 10;
        let row = rows.entry(label).or_default();
        row[0] += 1;
        row[1] += (map.address.1 - map.address.0) >> 10;
        row[2] += field("Rss");
        row[3] += field("Pss");
        row[4] += field("Private_Clean") + field("Private_Dirty");
        row[5] += field("Swap");
    }
    rows
}

pub fn sum<'a>(rows: impl Iterator<Item = &'a Columns>) -> Columns {
    let mut sum = Columns::default();
    for row in rows {
        sum.iter_mut()
            .zip(row)
            .for_each(|(sum, value)| *sum += value);
    }
    sum
}

/// A VMA of 4 KiB pages in the format of smaps: page, pages, permissions,
/// label, and the fields Rss, Pss, Private_Clean, Private_Dirty and Swap.
fn vma(page: u64, pages: u64, permissions: &str, label: &str, fields: [u64; 5]) -> String {
    let [rss, pss, clean, dirty, swap] = fields;
    let (start, end) = (page << 12, (page + pages) << 12);
    let mut head = format!("{start:08x}-{end:08x} {permissions} 00000000 00:00 0 ");
    if !label.is_empty() {
        head = format!("{head:<73}{label}");
    }
    format!(
        "{head}\nSize:           {:8} kB\nKernelPageSize:        4 kB\nRss:            {rss:8} kB\n\
         Pss:            {pss:8} kB\nPss_Dirty:      {dirty:8} kB\nShared_Clean:          7 kB\n\
         Private_Clean:  {clean:8} kB\nPrivate_Dirty:  {dirty:8} kB\nReferenced:            9 kB\n\
         Private_Hugetlb:       8 kB\nSwap:           {swap:8} kB\nSwapPss:               6 kB\n\
         THPeligible:           0\nVmFlags: rd wr mr mw me ac \n",
        pages * 4
    )
}

#[test]
fn recorded_smaps_add_up_as_in_procfs() {
    for smaps in fixtures::smaps() {
        let totals = added(EXACT, &[&smaps.maps]);
        let expected = by_procfs(&smaps.maps);
        assert_eq!(
            rows(&totals),
            expected,
            "{} {}",
            smaps.kernel.name,
            smaps.name
        );
        assert_eq!(
            totals.all.sums.0,
            sum(expected.values()),
            "{} {}",
            smaps.kernel.name,
            smaps.name
        );
        assert_eq!((totals.overlaps, totals.crowded), (0, 0));
    }
}

/// A maps file has sizes, but no RSS and no other statistics.
#[test]
fn recorded_maps_add_up_to_their_sizes() {
    for recording in fixtures::all() {
        let totals = added(EXACT, &[&recording.maps]);
        let vmas = fixtures::lines(&recording.maps).filter_map(Vma::parse);
        let size: u64 = vmas.map(|vma| (vma.end - vma.start) >> 10).sum();
        assert_eq!(totals.all.sums.0[1..], [size, 0, 0, 0, 0]);
        let known = (0..6).map(|index| totals.fields.known.contains(index));
        assert!(known.eq([true, true, false, false, false, false]));
    }
}

#[test]
fn numbers_at_the_end_of_names_are_folded() {
    let labels = [
        (
            "[anon: glibc: pthread stack: 39]",
            "[anon: glibc: pthread stack: *]",
        ),
        (
            "[anon: glibc: pthread stack: 8]",
            "[anon: glibc: pthread stack: *]",
        ),
        ("[anon_shmem:a1]", "[anon_shmem:a*]"),
        ("[anon:7]", "[anon:*]"),
        ("[anon:]", "[anon:]"),
        ("[anon:a1b]", "[anon:a1b]"),
        (
            "[anon: glibc: .bss /lib/libc.so.6]",
            "[anon: glibc: .bss /lib/libc.so.6]",
        ),
        // Nobody can forge the row of folded names.
        (
            "[anon: glibc: pthread stack: *]",
            r"[anon: glibc: pthread stack: \\*]",
        ),
        ("[anon:**]", r"[anon:*\\*]"),
        // Not names of anonymous memory
        ("/lib/lib1", "/lib/lib1"),
        ("[stack]", "[stack]"),
        ("[anon:1", "[anon:1"),
        ("[other:1]", "[other:1]"),
    ];
    for (label, expected) in labels {
        let smaps = vma(1, 1, "rw-p", label, [4, 4, 0, 4, 0]);
        let folded = rows(&added(FOLDS, &[smaps.as_bytes()]));
        assert_eq!(folded.keys().collect::<Vec<_>>(), [expected], "{label}");
        let exact = rows(&added(EXACT, &[smaps.as_bytes()]));
        assert_eq!(exact.keys().collect::<Vec<_>>(), [label], "{label}");
    }
    let stacks = [1, 2, 3].map(|number| {
        let label = format!("[anon: glibc: pthread stack: {number}]");
        vma(number, 1, "rw-p", &label, [4, 4, 0, 4, 0])
    });
    let rows = rows(&added(FOLDS, &[stacks.concat().as_bytes()]));
    let expected = [3, 12, 12, 12, 12, 0];
    assert_eq!(rows["[anon: glibc: pthread stack: *]"], expected);
}

#[test]
fn unnamed_memory_is_split_by_protection() {
    let smaps = [
        vma(1, 1, "rw-p", "", [4, 4, 0, 4, 0]),
        vma(2, 2, "---p", "", [0; 5]),
        vma(8, 3, "rw-p", "", [1, 0, 0, 0, 8]),
    ];
    let rows = rows(&added(FOLDS, &[smaps.concat().as_bytes()]));
    assert_eq!(rows["(no name) rw-p"], [2, 16, 5, 4, 4, 8]);
    assert_eq!(rows["(no name) ---p"], [1, 8, 0, 0, 0, 0]);
    assert_eq!(rows.len(), 2);
}

/// A label has at most the length of the longest name. Paths that differ in what is not shown
/// have rows of their own.
#[test]
fn long_paths_show_their_ends() {
    let longest = format!("[anon_shmem:{}]", "x".repeat(79));
    let directories = ["a", "b"].map(|name| format!("/{name}/{}/end", "d/".repeat(2000)));
    let mut smaps = vma(1, 1, "rw-p", &longest, [4, 4, 0, 4, 0]);
    smaps += &vma(2, 1, "r--p", &directories[0], [4, 4, 0, 4, 0]);
    smaps += &vma(3, 1, "r--p", &directories[1], [4, 4, 0, 4, 0]);
    let totals = added(EXACT, &[smaps.as_bytes()]);
    let rows = totals.rows().filter(|(_, row)| row.is_shown(false));
    let mut labels: Vec<&[u8]> = rows.map(|(label, _)| label).collect();
    labels.sort_unstable();
    let shown = format!(
        "...{}",
        &directories[0][directories[0].len() - (MAX_LENGTH - 3)..]
    );
    let shown = shown.as_bytes();
    assert_eq!(labels, [shown, shown, longest.as_bytes()]);
}

/// If no row is left, a label is counted under "other names"; the totals stay exact.
#[test]
fn more_labels_than_rows() {
    let vmas = (0..200).map(|page| {
        let label = format!("[anon:{page}x]");
        vma(page, 1, "rw-p", &label, [4, 3, 1, 2, 5])
    });
    let smaps: String = vmas.collect();
    let mut totals = added(FOLDS, &[smaps.as_bytes()]);
    totals.sort();
    let last = totals.rows().last().map(|(label, _)| label);
    assert_eq!(last, Some(OTHERS.as_bytes()));
    assert_eq!(totals.all.sums.0, [200, 800, 800, 600, 600, 1000]);
    let others = 201 - ROWS as u64;
    assert_eq!(totals.crowded, others);
    let rows = rows(&totals);
    assert_eq!(rows.len(), ROWS);
    assert_eq!(
        rows[OTHERS],
        [
            others,
            4 * others,
            4 * others,
            3 * others,
            3 * others,
            5 * others
        ]
    );
    assert_eq!(sum(rows.values()), totals.all.sums.0);
}

/// The fields of a line that is not understood must not go to the VMA before it.
#[test]
fn fields_belong_to_the_line_above() {
    let good = vma(1, 1, "rw-p", "[heap]", [4, 4, 0, 4, 0]);
    let smaps = good + "nonsense\nRss: 100 kB\n==> file <==\nSwap: 3 kB\n\nPss: 9 kB\n";
    let totals = added(EXACT, &[b"Rss: 50 kB\n", smaps.as_bytes()]);
    assert_eq!(totals.all.sums.0, [1, 4, 4, 4, 4, 0]);
}

/// A VMA that begins below the end of an earlier one changed between two reads; the overlap
/// counts once. In a saved smaps, such a VMA is the first of the next process.
#[test]
fn overlapping_vmas_count_once() {
    let smaps = vma(1, 4, "rw-p", "[heap]", [4, 4, 0, 4, 0])
        + &vma(2, 2, "r--p", "", [4, 4, 0, 4, 0])
        + &vma(3, 4, "rw-p", "[heap]", [4, 4, 0, 4, 0]);
    let totals = added(EXACT, &[smaps.as_bytes()]);
    assert_eq!(totals.overlaps, 2);
    assert_eq!(totals.all.sums.0, [3, 24, 12, 12, 12, 0]);
    let saved = Settings {
        is_saved: true,
        ..EXACT
    };
    let totals = added(saved, &[smaps.as_bytes()]);
    assert_eq!(totals.overlaps, 0);
    assert_eq!(totals.all.sums.0, [3, 40, 12, 12, 12, 0]);
}

#[test]
fn a_row_counts_each_process_once() {
    let settings = Settings {
        counts_processes: true,
        ..EXACT
    };
    let heap = |page| vma(page, 1, "rw-p", "[heap]", [4, 2, 0, 4, 0]);
    let first = heap(1) + &heap(2);
    let second = heap(1) + &vma(2, 1, "rw-p", "[stack]", [4, 4, 0, 4, 0]) + &heap(3);
    let rows = rows(&added(settings, &[first.as_bytes(), second.as_bytes()]));
    assert_eq!(rows["[heap]"], [2, 16, 16, 8, 16, 0]);
    assert_eq!(rows["[stack]"], [1, 4, 4, 4, 4, 0]);
}

#[test]
fn rows_are_sorted_by_rss_then_size() {
    let smaps = [
        vma(1, 9, "rw-p", "[anon:small]", [4, 0, 0, 0, 0]),
        vma(20, 1, "rw-p", "[anon:large]", [400, 0, 0, 0, 0]),
        vma(30, 2, "rw-p", "[anon:b]", [0; 5]),
        vma(40, 3, "rw-p", "[anon:a]", [0; 5]),
    ];
    let mut totals = added(EXACT, &[smaps.concat().as_bytes()]);
    totals.sort();
    let labels = totals.rows().map(|(label, _)| label);
    let expected: [&[u8]; 5] = [
        b"[anon:large]",
        b"[anon:small]",
        b"[anon:a]",
        b"[anon:b]",
        OTHERS.as_bytes(),
    ];
    assert!(labels.eq(expected));
    // Sorting loses no row, and later lines still add to the rows.
    add(&mut totals, smaps[0].as_bytes());
    assert_eq!(rows(&totals)["[anon:small]"], [2, 72, 8, 0, 0, 0]);
}

const ONE: Report = Report {
    process: Some((44, b"go\"prog\x1b")),
    counts_processes: false,
    changes: false,
    is_json: false,
};
const JSON: Report = Report {
    is_json: true,
    ..ONE
};

#[test]
fn the_table_has_columns_for_awk() {
    let smaps = vma(
        1,
        7168,
        "rw-p",
        "[anon: Go: heap]",
        [25956, 25956, 0, 25956, 0],
    ) + &vma(9000, 60, "rw-p", "", [92, 91, 1, 90, 12345678]);
    let mut totals = added(FOLDS, &[smaps.as_bytes()]);
    totals.sort();
    let text = written_text(|out| {
        ONE.put_rows(&totals, out);
        ONE.put_row(None, &totals.all, totals.fields.known, out);
        ONE.end_row(out);
    });
    let expected = "  VMAs      Size       RSS       PSS   Private      Swap  Name\n     \
        1     28672     25956     25956     25956         0  [anon: Go: heap]\n     \
        1       240        92        91        91  12345678  (no name) rw-p\n     \
        2     28912     26048     26047     26047  12345678  TOTAL\n";
    assert_eq!(text, expected);
}

#[test]
fn unknown_columns_are_dashes_and_null() {
    let totals = added(FOLDS, &[b"00001000-00002000 rw-p 00000000 00:00 0 \n"]);
    let text = written_text(|out| ONE.put_rows(&totals, out));
    let row = text.lines().nth(1).unwrap();
    assert_eq!(
        row,
        "     1         4         -         -         -         -  (no name) rw-p"
    );
    let json = written_text(|out| JSON.put_rows(&totals, out));
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(object["size"], 4);
    assert!(object["rss"].is_null() && object["swap"].is_null());
}

#[test]
fn changes_have_signs() {
    let before = vma(1, 2, "rw-p", "[anon:a]", [8, 0, 0, 8, 0])
        + &vma(5, 1, "rw-p", "[anon:gone]", [4, 0, 0, 4, 0])
        + &vma(7, 1, "rw-p", "[anon:same]", [4, 0, 0, 4, 0]);
    let after = vma(1, 3, "rw-p", "[anon:a]", [4, 0, 0, 4, 0])
        + &vma(6, 1, "rw-p", "[anon:new]", [4, 0, 0, 4, 0])
        + &vma(7, 1, "rw-p", "[anon:same]", [4, 0, 0, 4, 0]);
    let mut totals = added(FOLDS, &[before.as_bytes()]);
    totals.begin_round();
    add(&mut totals, after.as_bytes());
    totals.sort();
    let changes = Report {
        changes: true,
        ..ONE
    };
    let text = written_text(|out| changes.put_rows(&totals, out));
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let lines: Vec<_> = text.lines().skip(1).map(words).collect();
    assert_eq!(
        lines,
        [
            ["0", "+4", "-4", "0", "-4", "0", "[anon:a]"],
            ["+1", "+4", "+4", "0", "+4", "0", "[anon:new]"],
            ["-1", "-4", "-4", "0", "-4", "0", "[anon:gone]"],
        ]
    );
    // JSON has the new values.
    let changes = Report {
        changes: true,
        ..JSON
    };
    let json = written_text(|out| changes.put_rows(&totals, out));
    let rss = json.lines().map(|line| {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        object["rss"].as_u64().unwrap()
    });
    assert!(rss.eq([4, 4, 0]));
}

/// The JSON of any label is one line. A label of up to `MAX_LENGTH` bytes reads back unchanged.
fn check_json(label: &[u8]) {
    let line = [b"00001000-00002000 rw-p 00000000 00:00 0 ", label].concat();
    let totals = added(EXACT, &[&line]);
    let json = written_text(|out| JSON.put_rows(&totals, out));
    assert_eq!(json.lines().count(), 1);
    assert!(
        json.trim_end()
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~'))
    );
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    let latin_1: String = label.iter().map(|byte| char::from(*byte)).collect();
    assert_eq!(object["comm"], "go\"prog\u{1b}");
    assert_eq!(object["pid"], 44);
    if label.len() <= MAX_LENGTH && !label.is_empty() {
        assert_eq!(object["label"], latin_1);
    }
    // The table has a heading and one row, and cannot control a terminal.
    let text = written_text(|out| ONE.put_rows(&totals, out));
    assert_eq!(text.lines().count(), 2);
    assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')));
}

#[test]
fn kinds_of_labels() {
    let kind_of = |label: &[u8]| {
        let kind = vm_anon_name::label::kind(label);
        String::from_utf8(kind.to_vec()).unwrap()
    };
    for (label, kind) in [
        ("[anon: Go: heap]", "anon"),
        ("[anon:]", "anon"),
        ("[anon_shmem:a:b]", "anon_shmem"),
        ("/memfd:x (deleted)", "file"),
        ("(no name) rw-p", "none"),
        ("[heap]", "special"),
        ("[anon:x", "special"),
        ("anon_inode:[perf_event]", "special"),
    ] {
        assert_eq!(kind_of(label.as_bytes()), kind, "{label}");
    }
}

/// VMAs in the order of their addresses, with labels of which some are equal.
fn smaps() -> impl Strategy<Value = String> {
    let label = prop_oneof![
        Just(String::new()),
        "\\[anon: ?[a-c]{0,3}\\]",
        "\\[anon_shmem:[a-c:/ ]{0,3}\\]",
        "/lib/[a-c]{1,3}",
        prop::sample::select(vec!["[heap]", "[stack]", "[vvar]", "/dev/zero (deleted)"])
            .prop_map(str::to_owned),
    ];
    let permissions = prop::sample::select(vec!["rw-p", "r--p", "---p", "rwxs"]);
    let fields = prop::array::uniform5(0..100_000_u64);
    let vmas = prop::collection::vec((0..3_u64, 1..1000_u64, permissions, label, fields), 0..40);
    vmas.prop_map(|vmas| {
        let mut next = 1;
        let mut text = String::new();
        for (gap, pages, permissions, label, fields) in vmas {
            text += &vma(next + gap, pages, permissions, &label, fields);
            next += gap + pages;
        }
        text
    })
}

proptest! {
    #[test]
    fn generated_smaps_add_up_as_in_procfs(smaps in smaps()) {
        let totals = added(EXACT, &[smaps.as_bytes()]);
        let expected = by_procfs(smaps.as_bytes());
        prop_assert_eq!(rows(&totals), expected.clone());
        prop_assert_eq!(totals.all.sums.0, sum(expected.values()));
    }

    #[test]
    fn any_label_is_one_row_and_one_object(
        label in prop::collection::vec(any::<u8>().prop_filter("no newline", |b| *b != b'\n'), 0..200)
    ) {
        prop_assume!(label.first() != Some(&b' '));
        check_json(&label);
    }

    #[test]
    fn any_bytes_add_up(text in prop::collection::vec(any::<u8>(), 0..500)) {
        let totals = added(FOLDS, &[&text, &text]);
        prop_assert_eq!(sum(rows(&totals).values()), totals.all.sums.0);
    }
}
