//! The parser: recorded and generated lines, the crate procfs as the judge.

use procfs::FromRead;
use procfs::process::{MMapPath, MemoryMap, MemoryMaps};
use proptest::prelude::*;
use vm_anon_name::maps::{self, Vma};

use crate::fixtures::{self, lines};
use crate::{shown, written};

/// The column at which the kernel writes a label if the fields leave room.
const LABEL_COLUMN: usize = 73;

/// A VMA that owns its label, for making lines of.
#[derive(Clone, Debug)]
pub struct Area {
    pub start: u64,
    pub end: u64,
    pub permissions: String,
    pub offset: u64,
    pub device: (u64, u64),
    pub inode: u64,
    pub label: Vec<u8>,
}

impl Area {
    /// The line as `show_map_vma` in Linux formats it, without newline.
    pub fn line(&self) -> Vec<u8> {
        let Area { start, end, .. } = self;
        let (permissions, offset, inode) = (&self.permissions, self.offset, self.inode);
        let (major, minor) = self.device;
        let mut line = format!(
            "{start:08x}-{end:08x} {permissions} {offset:08x} {major:02x}:{minor:02x} {inode} "
        );
        if !self.label.is_empty() {
            line = format!("{line:72} ");
        }
        [line.as_bytes(), &self.label].concat()
    }

    fn vma(&self) -> Vma<'_> {
        Vma {
            start: self.start,
            end: self.end,
            permissions: self.permissions.as_bytes().try_into().unwrap(),
            offset: self.offset,
            device: self.device,
            inode: self.inode,
            label: &self.label,
        }
    }
}

/// Any label: what the kernel prints, what looks like it, and any bytes.
pub fn labels() -> impl Strategy<Value = Vec<u8>> {
    let text = "\\[heap\\]|\\[stack\\]|\\[vdso\\]|\\[anon:[ -Z^-~]{0,79}\\]|\
                \\[anon_shmem:[ -~]{0,79}\\]|/[ -~]{0,99}|/dev/zero \\(deleted\\)| {0,9}";
    let bytes = prop::collection::vec(
        any::<u8>().prop_filter("ends a line", |b| *b != b'\n'),
        0..99,
    );
    prop_oneof![3 => text.prop_map(String::into_bytes), 1 => bytes]
}

prop_compose! {
    /// Any VMA that can be written down, the fields of any width.
    fn areas()(
        addresses in (any::<(u64, u64)>(), 0..64u32),
        permissions in "[r-][w-][x-][sp]",
        offset in any::<u64>().prop_flat_map(narrower),
        device in (0..=u64::from(u32::MAX), 0..=u64::from(u32::MAX)),
        inode in any::<u64>().prop_flat_map(narrower),
        label in labels(),
    ) -> Area {
        let ((one, other), shift) = addresses;
        let (one, other) = (one >> shift, other >> shift);
        let start = one.min(other).min(u64::MAX - 1);
        Area { start, end: one.max(other).max(start + 1), permissions, offset, device, inode, label }
    }
}

/// The number with fewer digits, any number of them.
fn narrower(number: u64) -> impl Strategy<Value = u64> {
    (0..64u32).prop_map(move |shift| number >> shift)
}

/// Parses what must be a maps line.
#[track_caller]
fn parsed(line: &[u8]) -> Vma<'_> {
    Vma::parse(line).unwrap_or_else(|| panic!("no VMA: {}", shown(line)))
}

fn printed(vma: &Vma) -> Vec<u8> {
    written(|out| vma.print(out))
}

/// Compares each field of the line with what procfs reads from it.
///
/// procfs wants UTF-8, so other bytes are replaced for it. It takes the blanks
/// off both ends of the label and gives some labels names of its own, so that
/// the label is compared as far as it can be told from what is left.
#[track_caller]
fn check_with_procfs(line: &[u8]) {
    let vma = parsed(line);
    let oracle = ask_procfs(line);
    assert_eq!((vma.start, vma.end), oracle.address);
    assert_eq!(vma.permissions, *oracle.perms.as_str().as_bytes());
    assert_eq!(vma.offset, oracle.offset);
    let (major, minor) = oracle.dev;
    assert_eq!(vma.device, (major as u64, minor as u64));
    assert_eq!(vma.inode, oracle.inode);
    let label = String::from_utf8_lossy(vma.label);
    assert_eq!(label.trim(), label_of(&oracle.pathname), "{}", shown(line));
}

#[track_caller]
fn ask_procfs(line: &[u8]) -> MemoryMap {
    let text = String::from_utf8_lossy(line) + "\n";
    let maps = MemoryMaps::from_read(text.as_bytes()).expect("procfs reads it");
    assert_eq!(maps.len(), 1);
    maps.into_iter().next().unwrap()
}

/// The label that procfs made this of.
fn label_of(path: &MMapPath) -> String {
    match path {
        MMapPath::Path(path) => path.to_str().unwrap().to_owned(),
        MMapPath::Heap => "[heap]".to_owned(),
        MMapPath::Stack => "[stack]".to_owned(),
        MMapPath::Vdso => "[vdso]".to_owned(),
        MMapPath::Vvar => "[vvar]".to_owned(),
        MMapPath::Vsyscall => "[vsyscall]".to_owned(),
        MMapPath::Anonymous => String::new(),
        MMapPath::Other(inside) => format!("[{inside}]"),
        other => panic!("no fixture and no strategy has {other:?}"),
    }
}

#[test]
fn recorded_lines_are_read_like_procfs_reads_them() {
    for recording in fixtures::all() {
        lines(&recording.maps).for_each(check_with_procfs);
    }
}

#[test]
fn recorded_files_are_read_line_by_line() {
    for recording in fixtures::all() {
        let vmas: Vec<Vma> = maps::vmas(&recording.maps).collect();
        let expected: Vec<Vma> = lines(&recording.maps).map(parsed).collect();
        assert!(vmas == expected);
        let mut rest = &recording.maps[..];
        while Vma::take(&mut rest).is_some() {}
        assert!(rest.is_empty());
    }
}

#[test]
fn reading_ends_at_what_is_no_line() {
    let text = b"0-1 r--s 0 0:0 8 \n1-2 r--s 0 0:0 8  /a\n\n3-4 r--s 0 0:0 8 \n";
    assert_eq!(maps::vmas(text).count(), 2);
    let mut rest = &text[..];
    while Vma::take(&mut rest).is_some() {}
    assert_eq!(rest, b"\n3-4 r--s 0 0:0 8 \n");
}

#[test]
fn recorded_labels_are_kept_byte_for_byte() {
    for recording in fixtures::all() {
        for line in lines(&recording.maps) {
            // In no recording the fields are so wide that they move the label.
            let label = line.get(LABEL_COLUMN..).unwrap_or_default();
            assert_eq!(parsed(line).label, label, "{}", shown(line));
        }
    }
}

#[test]
fn recorded_lines_are_printed_as_they_were() {
    for recording in fixtures::all() {
        for line in lines(&recording.maps) {
            assert_eq!(printed(&parsed(line)), line, "{}", shown(line));
        }
    }
}

#[test]
fn recorded_odd_path_is_kept() {
    for kernel in rig::kernels::matrix() {
        let first = lines(fixtures::get(kernel, "odd")).next().unwrap();
        let path = b"/busybox [anon:x] \x01\x1b[1m\xc3\xa9\xff\\n\\012rw-p 00:00 0   (deleted)";
        let vma = parsed(first);
        assert_eq!(vma.label, path);
        assert_eq!(vma.name(), None);
    }
}

/// The label of a line, and the name in it.
#[track_caller]
fn check_label(line: &[u8], label: &[u8], name: Option<&[u8]>) {
    let vma = parsed(line);
    assert_eq!(shown(vma.label), shown(label));
    assert_eq!(vma.name(), name);
    assert_eq!(vma.inode, 0);
}

/// A line of private anonymous memory with this behind its fields.
fn anonymous(rest: &[u8]) -> Vec<u8> {
    [b"ffffadaf5000-ffffadaf6000 rw-p 00000000 00:00 0 ", rest].concat()
}

/// Such a line with this label, at its column.
fn labelled(label: &[u8]) -> Vec<u8> {
    anonymous(&[&[b' '; 25], label].concat())
}

#[test]
fn names_are_kept_as_they_are() {
    let check = |name: &[u8]| {
        let label = [b"[anon:", name, b"]"].concat();
        check_label(&labelled(&label), &label, Some(name));
        let label = [b"[anon_shmem:", name, b"]"].concat();
        check_label(&labelled(&label), &label, Some(name));
    };
    check(b"/secret/mem/area");
    check(b"");
    check(b" ");
    check(b" Go: heap ");
    check(b"a  (deleted)");
    check(b"anon:x");
    check(b"heap");
    check(b"rw-p 00000000 00:00 0");
    check(&[b'a'; 79]);
    // No kernel accepts these; what prints them is still kept as it is.
    check(b"]");
    check(b"[anon:x]");
    check(b"\x1b[31m\xff\x00\t");
}

#[test]
fn other_labels_are_no_names() {
    let check = |label: &[u8]| check_label(&labelled(label), label, None);
    check(b"[heap]");
    check(b"[stack]");
    check(b"[vvar_vclock]");
    check(b"[anon:a] (deleted)");
    check(b" [anon:a]");
    check(b"[anon:a] ");
    check(b"[anon:a");
    check(b"[anon]");
    check(b"[anon_shmem]");
    check(b"[anon_shmem ");
    check(b"anon:a]");
    check(b"/tmp/[anon:a]");
    check(b"/tmp/a (deleted)");
    check(b"/dev/zero (deleted)");
    check(b"/memfd:[anon:a] (deleted)");
    check(b"/caf\xc3\xa9\xff\x01\x7f\x80 \\012 ");
    check(b"anon_inode:[perf_event]");
    check(b"]");
    check(b"   ");
}

#[test]
fn lines_without_a_label_may_end_in_any_padding() {
    let check = |rest: &[u8]| check_label(&anonymous(rest), b"", None);
    check(b"");
    // As qemu-user pads them.
    check(&[b' '; 24]);
    check(&[b' '; 25]);
}

#[test]
fn wide_fields_move_the_label() {
    let fields = b"ffffffffff600000-ffffffffff601000 r--s fffffffffffff000 103:fffff \
                   18446744073709551615 ";
    assert!(fields.len() > LABEL_COLUMN);
    let check = |rest: &[u8], label: &[u8]| {
        let line = [&fields[..], rest].concat();
        let vma = parsed(&line);
        assert_eq!(vma.start, 0xffff_ffff_ff60_0000);
        assert_eq!(vma.end, 0xffff_ffff_ff60_1000);
        assert_eq!(vma.permissions, *b"r--s");
        assert_eq!(vma.offset, 0xffff_ffff_ffff_f000);
        assert_eq!(vma.device, (0x103, 0xf_ffff));
        assert_eq!(vma.inode, u64::MAX);
        assert_eq!(vma.label, label);
        assert_eq!(printed(&vma), line);
    };
    check(b"", b"");
    check(b" /a", b"/a");
    check(b"  /a", b" /a");
}

#[test]
fn the_label_is_found_wherever_its_column_is() {
    // The fields take from 64 to 83 bytes, the space behind them included.
    for inode in (0..20).map(|digits| 10_u64.pow(digits)) {
        let fields =
            format!("ffffffffff600000-ffffffffff601000 r--s 123456789abcd 10:fffff {inode} ");
        for label in ["/a", " /a"] {
            let line = format!("{fields:72} {label}");
            let vma = parsed(line.as_bytes());
            assert_eq!(shown(vma.label), label, "{line}");
            assert_eq!(shown(&printed(&vma)), line);
        }
    }
}

#[track_caller]
fn check_malformed(line: &[u8]) {
    let vma = Vma::parse(line);
    assert!(vma.is_none(), "{} was read", shown(line));
}

#[test]
fn what_is_no_maps_line_is_refused() {
    let whole = "00400000-0040b000 r-xp 00001000 00:02 8 ";
    assert!(Vma::parse(whole.as_bytes()).is_some());
    for length in 0..whole.len() {
        check_malformed(&whole.as_bytes()[..length]);
    }
    check_malformed(b"\n");
    check_malformed(b"==> shell <==");
    check_malformed(b"Rss:                   4 kB");
    check_malformed(b"VmFlags: rd wr mr mw me ac");
    // A field too many in front, one less, and blanks where none belong.
    check_malformed(b" 00400000-0040b000 r-xp 00001000 00:02 8 ");
    check_malformed(b"00400000 -0040b000 r-xp 00001000 00:02 8 ");
    check_malformed(b"00400000- 0040b000 r-xp 00001000 00:02 8 ");
    check_malformed(b"00400000-0040b000  r-xp 00001000 00:02 8 ");
    check_malformed(b"00400000-0040b000 r-xp  00001000 00:02 8 ");
    check_malformed(b"00400000-0040b000 r-xp 00001000  00:02 8 ");
    check_malformed(b"00400000-0040b000 r-xp 00001000 00:02  8 ");
    check_malformed(b"00400000-0040b000 00001000 00:02 8 /a");
    check_malformed(b"00400000-0040b000 r-xps 00001000 00:02 8 ");
    check_malformed(b"00400000-0040b000\tr-xp\t00001000\t00:02\t8\t");
    check_malformed(b"00400000-0040b000 r-xp 00001000 00.02 8 ");
    // Digits that are none.
    check_malformed(b"+0400000-0040b000 r-xp 00001000 00:02 8 ");
    check_malformed(b"0x400000-0040b000 r-xp 00001000 00:02 8 ");
    check_malformed(b"0040000g-0040b000 r-xp 00001000 00:02 8 ");
    check_malformed(b"00400000-0040b000 r-xp 00001000 00:02 8a ");
    check_malformed(b"00400000-0040b000 r-xp 00001000 00:02 -8 ");
    check_malformed(b"00400000-0040b000 r-xp \xb2\xb2\xb2\xb2 00:02 8 ");
    // It does not begin, or ends before it begins.
    check_malformed(b"00400000-00400000 r-xp 00001000 00:02 8 ");
    check_malformed(b"0040b000-00400000 r-xp 00001000 00:02 8 ");
}

#[test]
fn no_line_goes_on_behind_its_newline() {
    let whole = b"0000000000400000-0000000000401000 r--s 00001000 103:fffff 8 ";
    for place in 0..whole.len() {
        let mut line = whole.to_vec();
        line[place] = b'\n';
        check_malformed(&line);
    }
    let label = parsed(b"0-1 r--s 0 0:0 8  /a\n-b").label;
    assert_eq!(label, b"/a");
}

#[test]
fn digits_are_digits_wherever_they_are() {
    for byte in 0..=u8::MAX {
        for place in 0..12 {
            let mut line = b"000000000000-ffffffffffff r-xp 0 0:0 0 ".to_vec();
            line[place] = byte;
            let start = (byte as char)
                .to_digit(16)
                .filter(|_| !byte.is_ascii_uppercase());
            let expected = start.map(|digit| u64::from(digit) << (4 * (11 - place)));
            let start = Vma::parse(&line).map(|vma| vma.start);
            assert_eq!(start, expected, "{}", shown(&line));
        }
    }
}

#[test]
fn numbers_of_more_than_64_bits_are_refused() {
    check_malformed(b"10000000000000000-10000000000001000 r-xp 0 0:0 0 ");
    check_malformed(b"0-10000000000000000 r-xp 0 0:0 0 ");
    check_malformed(b"0-1 r-xp 10000000000000000 0:0 0 ");
    check_malformed(b"0-1 r-xp 0 10000000000000000:0 0 ");
    check_malformed(b"0-1 r-xp 0 0:10000000000000000 0 ");
    check_malformed(b"0-1 r-xp 0 0:0 18446744073709551616 ");
    check_malformed(b"0-1 r-xp 0 0:0 99999999999999999999 ");
    let largest = parsed(b"0-ffffffffffffffff r-xp 0 0:0 18446744073709551615 ");
    assert_eq!((largest.end, largest.inode), (u64::MAX, u64::MAX));
    // Zeros in front make no number larger.
    assert_eq!(parsed(b"00000000000000000001-2 r-xp 0 0:0 0 ").start, 1);
}

proptest! {
    #[test]
    fn printing_and_parsing_gives_the_vma_back(area in areas()) {
        let vma = area.vma();
        let line = printed(&vma);
        prop_assert_eq!(parsed(&line), vma);
    }

    #[test]
    fn parsing_and_printing_gives_the_line_back(area in areas()) {
        let line = area.line();
        prop_assert_eq!(printed(&parsed(&line)), line);
    }

    #[test]
    fn generated_lines_are_read_like_procfs_reads_them(mut area in areas()) {
        // It keeps a device in two 32-bit integers with signs, and takes such
        // labels apart without looking at their lengths.
        area.device = (area.device.0 >> 1, area.device.1 >> 1);
        prop_assume!(!area.label.starts_with(b"/SYSV") && !area.label.starts_with(b"[stack:"));
        check_with_procfs(&area.line());
    }

    #[test]
    fn what_is_read_once_is_read_again(line in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(vma) = Vma::parse(&line) {
            let again = printed(&vma);
            prop_assert_eq!(parsed(&again), vma);
        }
    }

    #[test]
    fn a_damaged_line_is_read_or_refused(
        area in areas(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut line = area.line();
        *place.get_mut(&mut line) = byte;
        if let Some(vma) = Vma::parse(&line) {
            prop_assert!(vma.start < vma.end);
            let again = printed(&vma);
            prop_assert_eq!(parsed(&again), vma);
        }
    }
}
