//! Diagrams of VMAs, compared with the layouts that they were drawn from.

use proptest::prelude::*;
use vm_anon_name::diagram::Diagram;
use vm_anon_name::maps::Vma;

use crate::written_text;

const PAGE: u64 = 0x4000;

/// The first address of the diagrams, with space for VMAs below it.
const START: u64 = 0x100 * PAGE;

/// A VMA: its first page, the page after its last, and its label. The pages are counted
/// from the first page of the diagram.
struct Pages<'a>(i64, i64, &'a str);

/// The diagram of the first `count` pages.
fn drawn(vmas: &[Pages], count: u64) -> String {
    let address = |page: i64| START.wrapping_add_signed(page * PAGE as i64);
    written_text(|out| {
        let mut diagram = Diagram::new(out, PAGE, START, START + count * PAGE);
        for Pages(start, end, label) in vmas {
            diagram.add(&Vma {
                start: address(*start),
                end: address(*end),
                permissions: *b"rw-p",
                offset: 0,
                device: (0, 0),
                inode: 0,
                label: label.as_bytes(),
            });
        }
        diagram.finish();
    })
}

/// The number of pages in `diagram`.
fn pages(diagram: &str) -> u64 {
    diagram.bytes().filter(|byte| *byte != b'|').count() as u64
}

#[track_caller]
fn check(vmas: &[Pages], expected: &str) {
    assert_eq!(drawn(vmas, pages(expected)), expected);
}

#[test]
fn labels_have_their_characters() {
    let check = |label: &str, character: char| {
        check(&[Pages(0, 1, label)], &format!("|{character}|"));
    };
    check("", '.');
    check("[anon:a]", 'a');
    check("[anon:Z]", 'Z');
    check("[anon:7]", '7');
    check("[anon: ]", ' ');
    check("[anon_shmem:a]", 'A');
    check("[anon_shmem:7]", '7');
    check("[anon:]", '\'');
    check("[anon_shmem:]", '"');
    check("/dev/zero (deleted)", ':');
    check("/dev/zero", '/');
    check("/memfd:m (deleted)", '/');
    check("/a", '/');
    check("[heap]", '$');
    check("[stack]", '?');
    check("[anon:ab]", '?');
    check("[anon_shmem:ab]", '?');
    check("[anon:a", '?');
    check("heap", '?');
    check("?", '?');
}

#[test]
fn vmas_have_bars_at_their_ends() {
    check(
        &[Pages(0, 1, ""), Pages(1, 2, "[anon:a]"), Pages(2, 3, "")],
        "|.|a|.|",
    );
    check(
        &[Pages(0, 2, "[anon:a]"), Pages(3, 4, "[anon_shmem:a]")],
        "|aa|_|A|",
    );
    check(&[Pages(0, 1, ""), Pages(1, 2, "")], "|.|.|");
    check(&[Pages(0, 2, "")], "|..|");
}

#[test]
fn gaps_have_no_bars() {
    check(&[], "");
    check(&[], "____");
    check(&[Pages(2, 3, "")], "__|.|");
    check(&[Pages(0, 1, "")], "|.|__");
    check(&[Pages(1, 2, ""), Pages(4, 5, "")], "_|.|__|.|_");
}

#[test]
fn a_vma_that_continues_outside_has_no_bar_there() {
    check(&[Pages(-1, 2, "")], "..|_");
    check(&[Pages(1, 9, "/a")], "_|//");
    check(&[Pages(-9, 9, "")], "...");
    check(&[Pages(-2, 1, "[heap]"), Pages(1, 8, "/a")], "$|//");
}

#[test]
fn vmas_outside_the_diagram_are_not_drawn() {
    check(&[Pages(-3, -1, "")], "__");
    check(&[Pages(-3, 0, "")], "__");
    check(&[Pages(2, 3, "")], "__");
    check(&[Pages(5, 6, "")], "__");
    check(
        &[Pages(-3, 0, ""), Pages(0, 1, "[anon:a]"), Pages(1, 2, "")],
        "|a|",
    );
    check(
        &[Pages(-3, 0, ""), Pages(1, 2, "[anon:a]"), Pages(2, 3, "")],
        "_|a|",
    );
}

#[test]
fn a_diagram_may_end_at_the_last_address() {
    let last = u64::MAX - (PAGE - 1);
    let mut vma = Vma::parse(b"0-1 rw-p 0 0:0 0 ").unwrap();
    (vma.start, vma.end) = (last - 2 * PAGE, last);
    let diagram = written_text(|out| {
        let mut diagram = Diagram::new(out, PAGE, last - 3 * PAGE, last);
        diagram.add(&vma);
        diagram.finish();
    });
    assert_eq!(diagram, "_|..|");
}

/// Adjacent ranges of pages: the character of each, and how many pages it has.
fn layouts() -> impl Strategy<Value = Vec<(u8, usize)>> {
    let characters = prop::sample::select(b"__.aZ'\":/$?".to_vec());
    prop::collection::vec((characters, 1..4_usize), 0..12)
}

fn label_of(character: u8) -> String {
    match character {
        b'.' => String::new(),
        b'\'' => "[anon:]".to_owned(),
        b'"' => "[anon_shmem:]".to_owned(),
        b':' => "/dev/zero (deleted)".to_owned(),
        b'/' => "/bin/busybox".to_owned(),
        b'$' => "[heap]".to_owned(),
        b'?' => "[stack]".to_owned(),
        b'Z' => "[anon_shmem:z]".to_owned(),
        letter => format!("[anon:{}]", char::from(letter)),
    }
}

/// The diagram of a layout: a bar wherever a VMA begins or ends.
fn diagram_of(layout: &[(u8, usize)]) -> String {
    let mut diagram = String::new();
    for (character, pages) in layout {
        let range = char::from(*character).to_string().repeat(*pages);
        if *character == b'_' {
            diagram += &range;
            continue;
        }
        if !diagram.ends_with('|') {
            diagram.push('|');
        }
        diagram = diagram + &range + "|";
    }
    diagram
}

/// The layout that a diagram shows.
fn layout_in(diagram: &str) -> Vec<(u8, usize)> {
    let ranges = diagram.split('|').map(str::as_bytes);
    let layout = ranges.filter_map(|range| Some((*range.first()?, range.len())));
    layout.collect()
}

proptest! {
    #[test]
    fn a_layout_is_drawn_and_read_back(layout in layouts()) {
        let mut page = 0;
        let mut vmas = Vec::new();
        let labels: Vec<String> = layout.iter().map(|(character, _)| label_of(*character)).collect();
        for ((character, pages), label) in layout.iter().zip(&labels) {
            let end = page + *pages as i64;
            if *character != b'_' {
                vmas.push(Pages(page, end, label));
            }
            page = end;
        }
        let expected = diagram_of(&layout);
        let diagram = drawn(&vmas, page as u64);
        prop_assert_eq!(&diagram, &expected);
        prop_assert_eq!(pages(&diagram), page as u64);
        prop_assert_eq!(diagram_of(&layout_in(&diagram)), diagram);
    }
}
