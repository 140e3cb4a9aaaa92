//! The list of mappings.

use vm_anon_name::listing::{HEADS, Listing};
use vm_anon_name::maps::Vma;

use crate::fixtures;
use crate::{written, written_text};

#[test]
fn each_vma_has_a_line() {
    let maps = "\
00400000-00406000 r-xp 00000000 00:02 25                                 /vm_anon_name
ffff8b350000-ffff8b351000 rw-p 00000000 00:00 0                          [anon:/secret/mem/area]
ffff8b351000-ffff8b357000 rw-p 00000000 00:00 0 
ffff8c000000-ffffffff0000 ---s 00000000 00:00 0                          /a \u{1b}[2J
";
    let mut listing = Listing::default();
    let text = written_text(|out| {
        maps.lines()
            .for_each(|line| listing.line(line.as_bytes(), out));
    });
    let expected = "  00400000-00406000 r-xp                 24 /vm_anon_name
* ffff8b350000-ffff8b351000 rw-p          4 [anon:/secret/mem/area]
  ffff8b351000-ffff8b357000 rw-p         24
  ffff8c000000-ffffffff0000 ---s    1900480 /a \\x1b[2J
";
    assert_eq!(
        text,
        expected.replace(
            "1900480",
            &((0xffff_ffff_0000_u64 - 0xffff_8c00_0000) >> 10).to_string()
        )
    );
    assert_eq!((listing.vmas, listing.named, listing.overlaps), (4, 1, 0));
    let heads = String::from_utf8(HEADS.to_vec()).unwrap();
    let line = expected.lines().nth(1).unwrap();
    assert_eq!(heads.find("Start"), line.find("ffff8b35"));
    assert_eq!(heads.find("Perm"), line.find("rw-p"));
    assert_eq!(heads.find("Label"), line.find('['));
}

#[test]
fn recordings_are_listed_whole() {
    for recording in fixtures::all() {
        let mut listing = Listing::default();
        let text = written(|out| {
            fixtures::lines(&recording.maps).for_each(|line| listing.line(line, out));
        });
        let vmas: Vec<Vma> = fixtures::lines(&recording.maps)
            .filter_map(Vma::parse)
            .collect();
        assert_eq!(listing.vmas, vmas.len() as u64);
        let size: u64 = vmas.iter().map(|vma| (vma.end - vma.start) >> 10).sum();
        assert_eq!(listing.kibibytes, size);
        let named = vmas.iter().filter(|vma| vma.name().is_some()).count();
        assert_eq!(listing.named, named as u64);
        let marked = text
            .split(|byte| *byte == b'\n')
            .filter(|line| line.starts_with(b"* "));
        assert_eq!(marked.count(), named);
    }
}

#[test]
fn overlaps_count_once() {
    let mut listing = Listing::default();
    for line in ["1000-5000", "2000-3000", "4000-6000"] {
        let line = format!("{line} rw-p 00000000 00:00 0 ");
        written(|out| listing.line(line.as_bytes(), out));
    }
    assert_eq!(
        (listing.vmas, listing.overlaps, listing.kibibytes),
        (3, 2, 20)
    );
}

#[test]
fn other_lines_are_passed_over() {
    let mut listing = Listing::default();
    let text = written(|out| listing.line(b"Rss: 4 kB", out));
    assert!(text.is_empty());
    assert_eq!(listing, Listing::default());
}
