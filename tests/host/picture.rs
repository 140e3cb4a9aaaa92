//! The picture of the stages, on recorded maps and on maps of any page size.

use vm_anon_name::maps::Vma;
use vm_anon_name::picture::Picture;

use crate::fixtures::{self, STAGES};
use crate::written_text;

/// A VMA: its first page, the page after its last, its label.
type Pages = (u64, u64, &'static str);

const FIRST: u64 = 0x1000;

fn maps(page: u64, vmas: &[Pages]) -> Vec<u8> {
    maps_from(FIRST, page, vmas)
}

/// The lines of VMAs whose pages are counted from page `first`.
fn maps_from(first: u64, page: u64, vmas: &[Pages]) -> Vec<u8> {
    let line = |(start, end, label): &Pages| {
        let (start, end) = ((first + start) * page, (first + end) * page);
        let head = format!("{start:08x}-{end:08x} rw-p 00000000 00:00 0 ");
        format!("{head:<73}{label}\n")
    };
    vmas.iter().map(line).collect::<String>().into_bytes()
}

/// The picture of `block` pages below six others, at these stages.
#[track_caller]
fn check(block: u64, stages: &[(&[Pages], &str)]) {
    for page in [0x1000, 0x4000, 0x10000] {
        let start = FIRST * page;
        let mut picture = Picture::new(page, start, block * page, start + (block + 6) * page);
        for (number, (vmas, expected)) in (1..).zip(stages) {
            let line = written_text(|out| picture.put(number, "stage", &maps(page, vmas), out));
            let expected = format!(" {number} stage  {expected}\n");
            assert_eq!(line, expected);
            assert!(line.len() <= 81, "{line}");
        }
    }
}

#[test]
fn a_page_is_joined_named_and_split_off() {
    check(
        1,
        &[
            (&[(1, 7, "")], "    | .   .   .   .   .   . |  6 pages"),
            (
                &[(0, 7, "")],
                "| .   .   .   .   .   .   . |  7 pages: grown",
            ),
            (
                &[(0, 1, "[anon:a]"), (1, 7, "")],
                "| # | .   .   .   .   .   . |  1 + 6 pages: split",
            ),
            (
                &[(0, 7, "")],
                "| .   .   .   .   .   .   . |  7 pages: merged",
            ),
            (&[(0, 7, "")], "| .   .   .   .   .   .   . |  7 pages"),
            (
                &[(1, 7, "")],
                "    | .   .   .   .   .   . |  6 pages: shrunk",
            ),
            (&[], "                               no pages: gone"),
        ],
    );
}

#[test]
fn large_blocks_are_shortened() {
    check(
        4,
        &[(
            &[(0, 4, "[anon:a]"), (4, 10, "")],
            "| #   #   #   # | .   .   .   .   .   . |  4 + 6 pages",
        )],
    );
    check(
        5,
        &[
            (
                &[(0, 11, "")],
                "| .   ~   .   .   .   .   .   .   .   . |  11 pages",
            ),
            (
                &[(0, 5, "[anon:a]"), (5, 11, "")],
                "| #   ~   #   # | .   .   .   .   .   . |  5 + 6 pages: split",
            ),
        ],
    );
    // The longest caption
    check(
        1 << 31,
        &[
            (
                &[(1 << 31, (1 << 31) + 6, "")],
                "                | .   .   .   .   .   . |  6 pages",
            ),
            (
                &[(0, 1 << 31, "[anon:a]"), (1 << 31, (1 << 31) + 6, "")],
                "| #   ~   #   # | .   .   .   .   .   . |  2147483648 + 6 pages: added",
            ),
        ],
    );
}

#[test]
fn shared_memory_joins_nothing() {
    check(
        2,
        &[(
            &[(0, 2, "/dev/zero (deleted)"), (2, 8, "")],
            "| /   / | .   .   .   .   .   . |  2 + 6 pages",
        )],
    );
}

/// A VMA that continues outside the range has no bar there, and its whole size counts.
#[test]
fn vmas_around_the_range() {
    check(
        1,
        &[
            (&[(0, 9, "")], "| .   .   .   .   .   .   .    9 pages"),
            (
                &[(1, 7, ""), (7, 9, "[stack]")],
                "    | .   .   .   .   .   . |  6 pages: shrunk",
            ),
        ],
    );
}

#[test]
fn the_addresses_are_those_of_the_ends() {
    let mut picture = Picture::new(0x1000, 0x5000, 0x1000, 0xc000);
    let text = written_text(|out| picture.restart(out));
    assert_eq!(text, " from 0x5000 to 0xc000\n");
    // After a restart, the next line states no change.
    let vmas = maps(0x1000, &[]);
    let line = written_text(|out| picture.put(1, "a", &vmas, out));
    assert!(line.ends_with("no pages\n"), "{line}");
}

/// On every kernel, the recorded stages show the same lines.
#[test]
fn recorded_stages() {
    for kernel in fixtures::kernels() {
        let copies = STAGES.map(|name| fixtures::get(kernel, name));
        let page = kernel.pages.bytes() as u64;
        let vmas = fixtures::lines(copies[0]).filter_map(Vma::parse);
        let neighbour = vmas
            .filter(|vma| vma.label.is_empty() && vma.end - vma.start == 6 * page)
            .last()
            .expect("the maps have six pages");
        let start = neighbour.start - page;
        let mut picture = Picture::new(page, start, page, neighbour.end);
        let text = written_text(|out| {
            for (number, copy) in (1..).zip(copies) {
                picture.put(number, "stage", copy, out);
            }
        });
        let (name, change) = match kernel.names {
            true => ("| # | .   .   .   .   .   . |  1 + 6 pages: split", "gone"),
            false => ("| .   .   .   .   .   .   . |  7 pages", "shrunk"),
        };
        let expected = format!(
            " 1 stage      | .   .   .   .   .   . |  6 pages
 2 stage  | .   .   .   .   .   .   . |  7 pages: grown
 3 stage  {name}
 4 stage      | .   .   .   .   .   . |  6 pages: {change}
"
        );
        assert_eq!(text, expected, "{}", kernel.name);
    }
}

/// With memory from one page to 1 GiB, no line is wider than a console of 80 columns, wherever
/// the memory is and whatever joins it.
#[test]
fn lines_fit_on_a_console() {
    const TOP: u64 = 1 << 52;
    for page in [0x1000, 0x4000, 0x10000] {
        let pages = (0..)
            .map(|power| 1 << power)
            .take_while(|count| count * page <= 1 << 30);
        for block in pages.flat_map(|count| [count, count + 1]) {
            let (first, end) = (TOP / page - block - 6, TOP / page);
            let middle = end - 6;
            let neighbour = (middle, end, "");
            let stages: [&[Pages]; 6] = [
                &[neighbour],
                &[(first, end, "")],
                &[(first, middle, "[anon:a]"), neighbour],
                &[(first, middle, "/dev/zero (deleted)"), neighbour],
                // Memory far below joins it.
                &[(1, end, "")],
                &[],
            ];
            let mut picture = Picture::new(page, first * page, block * page, TOP);
            let text = written_text(|out| {
                picture.restart(out);
                for (number, vmas) in (1..).zip(stages) {
                    picture.put(number, "munmap", &maps_from(0, page, vmas), out);
                }
            });
            assert_eq!(text.lines().count(), 1 + stages.len());
            for line in text.lines() {
                assert!(line.len() <= 80, "{} columns: {line}", line.len());
            }
        }
    }
}
