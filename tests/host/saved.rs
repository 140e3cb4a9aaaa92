//! Saved smaps, as `names -` reads them: of other machines, and files that no kernel wrote.
//!
//! The files in `fixtures/saved` have what the machines of the rig do not show: names of Android,
//! files that were deleted, 32-bit addresses, a terabyte of reserved addresses, and the fields of
//! other versions. They were written for these tests, with the lines that `show_map_vma()` and
//! `show_smap()` of those versions print. `NAME.table` is the table that `names -` prints.

use std::fs;
use std::path::PathBuf;

use heapless::Vec as Buffer;
use rig::guest::named_programs;
use rig::recordings;
use vm_anon_name::lines::Lines;
use vm_anon_name::report::Report;
use vm_anon_name::totals::{Settings, Totals};

use crate::fixtures;
use crate::totals::{by_procfs, rows, sum};
use crate::written_text;

/// The size of the buffer into which the program reads.
const BUFFER: usize = 6 << 10;

const SAVED: Settings = Settings {
    folds: true,
    counts_processes: false,
    is_saved: true,
};
const EXACT: Settings = Settings {
    folds: false,
    ..SAVED
};

const REPORT: Report = Report {
    process: None,
    counts_processes: false,
    changes: false,
    is_json: false,
};

/// The totals of a file that is read in pieces.
fn read(settings: Settings, file: &[u8]) -> Box<Totals> {
    let mut totals = Box::new(Totals::default());
    totals.settings = settings;
    totals.begin_round();
    let mut buffer = Buffer::<u8, BUFFER>::new();
    let mut lines = Lines::default();
    let mut rest = file;
    while !rest.is_empty() {
        let space = BUFFER - buffer.len();
        let (piece, others) = rest.split_at(space.min(rest.len()));
        buffer.extend_from_slice(piece).unwrap();
        let is_full = buffer.is_full();
        let done = lines.take(&buffer, is_full, &mut |line| totals.line(line));
        buffer.drain(..done);
        rest = others;
    }
    lines.finish(&buffer, &mut |line| totals.line(line));
    totals.end_process();
    totals.sort();
    totals
}

/// The table. Fails unless each row of it is also a JSON object with the same numbers.
fn table(totals: &Totals) -> String {
    let json = Report {
        is_json: true,
        ..REPORT
    };
    let objects = written_text(|out| json.put_rows(totals, out));
    let text = written_text(|out| {
        REPORT.put_rows(totals, out);
        REPORT.put_row(None, &totals.all, totals.fields.known, out);
        REPORT.end_row(out);
    });
    let is_printable = |byte| matches!(byte, b' '..=b'~' | b'\n');
    assert!(text.bytes().all(is_printable), "{text:?}");
    let rows: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(rows.len(), objects.lines().count() + 1);
    for (line, row) in objects.lines().zip(rows) {
        let object: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
        assert!(object["label"].is_string());
        let columns = ["vmas", "size", "rss", "pss", "private", "swap"];
        for (column, text) in columns.iter().zip(row.split_ascii_whitespace()) {
            let number = object[column].as_u64().map(|number| number.to_string());
            assert_eq!(number.as_deref().unwrap_or("-"), text, "{column}: {row}");
        }
    }
    text
}

/// The files, by name.
fn saved() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "smaps")
        {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            files.push((name, fs::read(path).unwrap()));
        }
    }
    assert!(files.len() >= 4);
    files
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("host/fixtures/saved")
}

fn file(name: &str) -> Vec<u8> {
    fs::read(directory().join(format!("{name}.smaps"))).unwrap()
}

#[test]
fn files_of_other_machines_have_these_tables() {
    for (name, file) in saved() {
        let path = directory().join(format!("{name}.table"));
        let expected = fs::read_to_string(&path).unwrap_or_default();
        let text = table(&read(SAVED, &file));
        assert_eq!(text, expected, "{}", path.display());
    }
}

#[test]
fn files_of_other_machines_add_up_as_in_procfs() {
    for (name, file) in saved() {
        // The crate does not know the field `Name`, which Android's kernels had before 5.17.
        let lines = fixtures::lines(&file).filter(|line| !line.starts_with(b"Name:"));
        let file = lines.collect::<Vec<_>>().join(&b'\n');
        let expected = by_procfs(&file);
        let totals = read(EXACT, &file);
        assert_eq!(rows(&totals), expected, "{name}");
        assert_eq!(totals.all.sums.0, sum(expected.values()), "{name}");
    }
}

/// Programs in Go, with glibc and in Java, recorded while they were stopped. The rows are sums of
/// whole KiB for each VMA, which makes those of PSS lower than what the kernel counts.
#[test]
fn recorded_programs_add_up_as_in_the_kernel() {
    for program in &named_programs::ALL {
        let file = |name| fs::read(recordings::program_path(program, name)).unwrap();
        let (smaps, rollup) = (file("smaps"), file("rollup"));
        let expected = by_procfs(&smaps);
        let totals = read(EXACT, &smaps);
        assert_eq!(rows(&totals), expected, "{}", program.name);
        let [vmas, _, rss, pss, private, swap] = totals.all.sums.0;
        let kernel = by_procfs(&rollup)["[rollup]"];
        assert_eq!(
            [rss, private, swap],
            [kernel[2], kernel[4], kernel[5]],
            "{}",
            program.name
        );
        assert!(
            pss <= kernel[3] && kernel[3] <= pss + vmas,
            "{}",
            program.name
        );
        assert!(rows(&read(SAVED, &smaps)).contains_key(program.label));
    }
}

/// Android numbers the names of its stacks by thread. Names have slashes and blanks, which no
/// part of a label is cut at.
#[test]
fn names_of_android_are_whole() {
    let rows = rows(&read(SAVED, &file("android-6.1")));
    for label in [
        "[anon:dalvik-/apex/com.android.art/javalib/boot.art]",
        "[anon:dalvik-main space (region space)]",
        "[anon:scudo:primary]",
        "[anon_shmem:dalvik-zygote-jit-code-cache]",
        "/memfd:jit-cache (deleted)",
    ] {
        assert_eq!(rows[label][0], 1, "{label}");
    }
    assert_eq!(rows["[anon:stack_and_tls:*]"], [2, 2016, 48, 48, 48, 4]);
}

/// A table of 2^44 bytes and more still has columns.
#[test]
fn columns_never_touch() {
    let mut file = Vec::new();
    for (start, label) in [(1_u64, "[anon:a]"), (1 << 62, "[anon:b]")] {
        let end = start + (1 << 52);
        let head = format!("{start:08x}-{end:08x} rw-p 00000000 00:00 0 ");
        file.extend(format!("{head:<73}{label}\n").into_bytes());
        for field in ["Rss", "Pss", "Private_Dirty", "Swap"] {
            file.extend(format!("{field}: 12345678901234 kB\n").into_bytes());
        }
    }
    for line in table(&read(SAVED, &file)).lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words.len(), 7, "{line}");
        assert!(words[1].parse::<u64>().unwrap() >= 1 << 42, "{line}");
    }
}

#[test]
fn lines_may_end_as_on_a_terminal() {
    for (name, file) in saved() {
        let text = String::from_utf8(file.clone()).unwrap();
        let with_returns = text.replace('\n', "\r\n");
        let totals = read(SAVED, with_returns.as_bytes());
        assert_eq!(table(&totals), table(&read(SAVED, &file)), "{name}");
    }
}

/// A file may contain the smaps of several processes, one after the other. Fields between them
/// are not counted.
#[test]
fn several_processes_in_one_file() {
    let files = [file("android-6.1"), file("x86_64-6.12")];
    let headings: [&[u8]; 2] = [
        b"==> a <==\nRss: 1 kB\n",
        b"\n==> /proc/7/smaps <==\nSwap: 2 kB\n",
    ];
    let joined = [headings[0], &files[0], headings[1], &files[1]].concat();
    let expected = files.each_ref().map(|file| read(EXACT, file).all.sums.0);
    let totals = read(EXACT, &joined);
    assert_eq!(totals.all.sums.0, sum(expected.iter()));
    assert_eq!(totals.overlaps, 0);
}

/// `smaps_rollup` has the sums of all VMAs. After a smaps, they would be counted twice.
#[test]
fn a_rollup_adds_nothing() {
    const ROLLUP: &str = "00400000-7ffd1a7ff000 ---p 00000000 00:00 0                              \
                          [rollup]\nRss: 100 kB\nPss: 100 kB\nSwap: 7 kB\n";
    let rollup = ROLLUP.as_bytes();
    assert_eq!(read(EXACT, rollup).all.sums.0, [0; 6]);
    let file = file("x86_64-6.12");
    let both = [&file, rollup].concat();
    assert_eq!(table(&read(SAVED, &both)), table(&read(SAVED, &file)));
}

/// A maps file has sizes alone; the rest is unknown, not 0.
#[test]
fn a_maps_file_has_sizes() {
    let file = file("x86_64-6.12");
    let lines = fixtures::lines(&file).filter(|line| !line[0].is_ascii_uppercase());
    let maps = lines.collect::<Vec<_>>().join(&b'\n');
    let text = table(&read(SAVED, &maps));
    let whole = read(SAVED, &file).all.sums.0;
    let [vmas, size] = [whole[0], whole[1]].map(|number| number.to_string());
    let total = text.lines().last().unwrap().split_whitespace();
    assert!(
        total.eq([&*vmas, &size, "-", "-", "-", "-", "TOTAL"]),
        "{text}"
    );
}

/// A field whose value is not a number of at most 19 digits is skipped, and sums saturate.
#[test]
fn numbers_without_end() {
    let head = "00001000-00002000 rw-p 00000000 00:00 0                                  [heap]\n";
    let field = |digits: &str| format!("{head}Rss: {digits} kB\nSwap: 4 kB\n");
    let sums = |text: String| read(EXACT, text.as_bytes()).all.sums.0;
    let most = "9".repeat(19);
    for beyond in [
        "18446744073709551615",
        "00000000000000000001",
        &"9".repeat(500),
        "0x9",
        "",
    ] {
        let [.., rss, _, _, swap] = sums(field(beyond));
        assert_eq!((rss, swap), (0, 4), "{beyond}");
    }
    assert_eq!(sums(field(&most))[2], 9_999_999_999_999_999_999);
    assert_eq!(
        sums(field(&most) + &field(&most).replace("00001000-00002000", "00003000-00004000"))[2],
        u64::MAX
    );
    // A line whose addresses need more than 64 bits is skipped.
    assert_eq!(
        sums(field("4").replace("00001000", "10000000000000000")),
        [0; 6]
    );
}

/// Of a line of a megabyte only the end is lost, wherever the line is.
#[test]
fn lines_without_end() {
    let file = file("android-6.1");
    let long = vec![b'x'; 1 << 20];
    let expected = table(&read(SAVED, &file));
    for junk in [&b"Zzz: "[..], b"VmFlags: "] {
        let with_field = [&file, junk, &long, b"\n"].concat();
        assert_eq!(table(&read(SAVED, &with_field)), expected);
    }
    // A long path: its VMA counts, and so do those after it.
    let head = b"00000100-00001100 r--p 00000000 00:01 5                                  /";
    let fields = b"\nRss: 4 kB\nPss: 4 kB\nPrivate_Clean: 4 kB\nSwap: 0 kB\n";
    let with_path = [&head[..], &long, fields, &file].concat();
    let whole = read(SAVED, &file).all.sums.0;
    let seen = read(SAVED, &with_path).all.sums.0;
    let more: Vec<u64> = seen
        .iter()
        .zip(whole)
        .map(|(seen, whole)| seen - whole)
        .collect();
    assert_eq!(more, [1, 4, 4, 4, 4, 0]);
    // A file without a newline.
    assert_eq!(read(SAVED, &long).all.sums.0, [0; 6]);
}

/// Labels may contain any byte. The table escapes it, and no other line is lost.
#[test]
fn binary_files() {
    let file = file("x86_64-6.12");
    let nul = String::from_utf8(file.clone())
        .unwrap()
        .replace("[heap]", "[he\0ap]\x1b[2J");
    let rows = rows(&read(EXACT, nul.as_bytes()));
    assert_eq!(rows[r"[he\x00ap]\x1b[2J"][0], 1);
    table(&read(SAVED, nul.as_bytes()));
    let noise: Vec<u8> = (0..1_u32 << 18)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8)
        .collect();
    assert_eq!(read(SAVED, &noise).all.sums.0, [0; 6]);
    let seen = read(SAVED, &[&noise, &b"\n"[..], &file, &noise].concat());
    assert_eq!(seen.all.sums.0, read(SAVED, &file).all.sums.0);
}

/// Wherever a file is cut, the sums are at most those of the whole, and the rows add up to them.
#[test]
fn files_that_were_cut() {
    let file = file("arm-3.10");
    let whole = read(SAVED, &file).all.sums.0;
    for end in 0..file.len() {
        let totals = read(SAVED, &file[..end]);
        let part = totals.all.sums.0;
        assert!(
            part.iter().zip(whole).all(|(part, whole)| *part <= whole),
            "{end}: {part:?}"
        );
        assert_eq!(sum(rows(&totals).values()), part, "{end}");
        table(&totals);
    }
}
