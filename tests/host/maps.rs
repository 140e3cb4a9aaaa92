//! The parser of maps lines: recorded and generated lines, with the crate procfs as
//! the reference.

use procfs::FromRead;
use procfs::process::{MMapPath, MemoryMap, MemoryMaps};
use proptest::prelude::*;
use vm_anon_name::maps::{self, Vma};

use crate::fixtures::{self, lines};
use crate::fuzz::targets::{line, line_of};
use crate::shown;

/// The column at which the kernel prints a label if the fields are shorter.
const LABEL_COLUMN: usize = 73;
const LABEL_COLUMN_OF_32_BITS: usize = 49;

/// A VMA that owns its label.
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
    pub fn vma(&self) -> Vma<'_> {
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

/// Labels of the kernel, similar ones, and arbitrary bytes.
pub fn labels() -> impl Strategy<Value = Vec<u8>> {
    let text = "\\[heap\\]|\\[stack\\]|\\[vdso\\]|\\[anon:[ -Z^-~]{0,79}\\]|\
                \\[anon_shmem:[ -~]{0,79}\\]|/[ -~]{0,99}|/dev/zero \\(deleted\\)| {0,9}";
    let bytes = prop::collection::vec(
        any::<u8>().prop_filter("no newline", |b| *b != b'\n'),
        0..99,
    );
    prop_oneof![3 => text.prop_map(String::into_bytes), 1 => bytes]
}

prop_compose! {
    /// VMAs with fields of any width.
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

/// `number` with fewer digits.
fn narrower(number: u64) -> impl Strategy<Value = u64> {
    (0..64u32).prop_map(move |shift| number >> shift)
}

/// Parses a line of a maps file.
#[track_caller]
fn parsed(line: &[u8]) -> Vma<'_> {
    Vma::parse(line).unwrap_or_else(|| panic!("not parsed: {}", shown(line)))
}

/// Compares each field of the line with the result of procfs.
///
/// procfs expects UTF-8, so other bytes are replaced for it. It trims the label and
/// turns some labels into enum variants, so the label is compared without spaces at
/// its ends.
#[track_caller]
fn check_with_procfs(line: &[u8]) {
    let vma = parsed(line);
    let oracle = parsed_by_procfs(line);
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
fn parsed_by_procfs(line: &[u8]) -> MemoryMap {
    let text = String::from_utf8_lossy(line) + "\n";
    let maps = MemoryMaps::from_read(text.as_bytes()).expect("procfs parses the line");
    assert_eq!(maps.len(), 1);
    maps.into_iter().next().unwrap()
}

/// The label that procfs turned into `path`.
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
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn recorded_lines_are_parsed_as_procfs_does() {
    for recording in fixtures::all() {
        lines(&recording.maps).for_each(check_with_procfs);
    }
}

#[test]
fn recorded_files_are_parsed_line_by_line() {
    for recording in fixtures::all() {
        let mut rest = &recording.maps[..];
        for line in lines(&recording.maps) {
            assert_eq!(Vma::take(&mut rest), Some(parsed(line)));
        }
        assert!(rest.is_empty());
    }
}

#[test]
fn a_malformed_line_is_not_removed() {
    let text = b"0-1 r--s 0 0:0 8 \n1-2 r--s 0 0:0 8  /a\n\n3-4 r--s 0 0:0 8 \n";
    let mut rest = &text[..];
    assert!(Vma::take(&mut rest).is_some());
    assert!(Vma::take(&mut rest).is_some());
    assert!(Vma::take(&mut rest).is_none());
    assert_eq!(rest, b"\n3-4 r--s 0 0:0 8 \n");
}

#[test]
fn vmas_are_found_by_address() {
    let text = b"1000-2000 r--s 0 0:0 8  /a\n2000-3000 r--s 0 0:0 8  /b\n\
                 5000-6000 r--s 0 0:0 8  /c\n?\n7000-8000 r--s 0 0:0 8  /d\n";
    let check = |address, label: Option<&str>| {
        let found = maps::find(text, address).map(|vma| vma.label);
        assert_eq!(found, label.map(str::as_bytes), "{address:#x}");
    };
    check(0, None);
    check(0xfff, None);
    check(0x1000, Some("/a"));
    check(0x1fff, Some("/a"));
    check(0x2000, Some("/b"));
    check(0x3000, None);
    check(0x5fff, Some("/c"));
    check(0x6000, None);
    // After a malformed line
    check(0x7000, None);
    assert_eq!(maps::find(b"", 0), None);
}

#[test]
fn recorded_vmas_are_found_by_address() {
    for recording in fixtures::all() {
        for vma in lines(&recording.maps).map(parsed) {
            assert_eq!(maps::find(&recording.maps, vma.start), Some(vma));
            assert_eq!(maps::find(&recording.maps, vma.end - 1), Some(vma));
        }
    }
}

#[test]
fn recorded_labels_are_kept_byte_for_byte() {
    for recording in fixtures::all() {
        for line in lines(&recording.maps) {
            // No recording has fields that are wider than the column.
            let column = match recording.kernel.address_bits() {
                32 => LABEL_COLUMN_OF_32_BITS,
                _ => LABEL_COLUMN,
            };
            let label = line.get(column..).unwrap_or_default();
            assert_eq!(parsed(line).label, label, "{}", shown(line));
        }
    }
}

/// Shows that the tests format lines as the kernel does.
#[test]
fn recorded_lines_are_formatted_as_the_kernel_does() {
    for recording in fixtures::all() {
        for text in lines(&recording.maps) {
            let formatted = line_of(&parsed(text), recording.kernel.address_bits());
            assert_eq!(shown(&formatted), shown(text));
        }
    }
}

#[test]
fn recorded_labels_tell_the_width_of_the_kernels_addresses() {
    for recording in fixtures::all() {
        let labelled = |line: &&[u8]| !parsed(line).label.is_empty();
        for line in lines(&recording.maps).filter(labelled) {
            let is_64_bits = recording.kernel.address_bits() == 64;
            assert_eq!(maps::is_of_64_bits(line), is_64_bits, "{}", shown(line));
        }
    }
    assert!(!maps::is_of_64_bits(b"no line"));
}

#[test]
fn recorded_odd_path_is_kept() {
    for kernel in fixtures::kernels() {
        let first = lines(fixtures::get(kernel, "odd")).next().unwrap();
        let path = b"/busybox [anon:x] \x01\x1b[1m\xc3\xa9\xff\\n\\012rw-p 00:00 0   (deleted)";
        let vma = parsed(first);
        assert_eq!(vma.label, path);
        assert_eq!(vma.name(), None);
    }
}

/// Checks the label of a line and the name in it.
#[track_caller]
fn check_label(line: &[u8], label: &[u8], name: Option<&[u8]>) {
    let vma = parsed(line);
    assert_eq!(shown(vma.label), shown(label));
    assert_eq!(vma.name(), name);
    assert_eq!(vma.inode, 0);
}

/// A line of private anonymous memory that ends in `rest`.
fn anonymous(rest: &[u8]) -> Vec<u8> {
    [b"ffffadaf5000-ffffadaf6000 rw-p 00000000 00:00 0 ", rest].concat()
}

/// A line of private anonymous memory with this label.
fn labelled(label: &[u8]) -> Vec<u8> {
    anonymous(&[&[b' '; 25], label].concat())
}

#[test]
fn names_are_kept_byte_for_byte() {
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
    // The kernel refuses these, but the parser does not depend on that.
    check(b"]");
    check(b"[anon:x]");
    check(b"\x1b[31m\xff\x00\t");
}

#[test]
fn other_labels_are_not_names() {
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
fn a_line_without_a_label_may_end_in_padding() {
    let check = |rest: &[u8]| check_label(&anonymous(rest), b"", None);
    check(b"");
    // qemu-user pads its lines.
    check(&[b' '; 24]);
    check(&[b' '; 25]);
}

#[test]
fn a_label_follows_wide_fields_after_one_space() {
    let fields = b"ffffffffff600000-ffffffffff601000 r--s fffffffffffff000 103:fffff \
                   18446744073709551615 ";
    assert!(fields.len() > LABEL_COLUMN);
    let check = |rest: &[u8], label: &[u8]| {
        let text = [&fields[..], rest].concat();
        let vma = parsed(&text);
        assert_eq!(vma.start, 0xffff_ffff_ff60_0000);
        assert_eq!(vma.end, 0xffff_ffff_ff60_1000);
        assert_eq!(vma.permissions, *b"r--s");
        assert_eq!(vma.offset, 0xffff_ffff_ffff_f000);
        assert_eq!(vma.device, (0x103, 0xf_ffff));
        assert_eq!(vma.inode, u64::MAX);
        assert_eq!(vma.label, label);
        assert_eq!(line(&vma), text);
    };
    check(b"", b"");
    check(b" /a", b"/a");
    check(b"  /a", b" /a");
}

#[test]
fn the_label_is_found_after_fields_of_any_width() {
    // The fields have 64 to 83 bytes, including the space after them.
    for inode in (0..20).map(|digits| 10_u64.pow(digits)) {
        let fields =
            format!("ffffffffff600000-ffffffffff601000 r--s 123456789abcd 10:fffff {inode} ");
        for label in ["/a", " /a"] {
            let text = format!("{fields:72} {label}");
            let vma = parsed(text.as_bytes());
            assert_eq!(shown(vma.label), label, "{text}");
            assert_eq!(shown(&line(&vma)), text);
        }
    }
}

/// A 32-bit kernel pads the fields to 49 columns. Its lines are parsed, too.
#[test]
fn lines_of_32_bit_kernels_are_parsed() {
    let text = b"b6ff0000-b6ff1000 rw-p 00000000 00:00 0          [anon:a b]";
    check_label(text, b"[anon:a b]", Some(b"a b"));
    let text = b"b6ff0000-b6ff1000 r-xp 00001000 b3:02 1234567    /lib/libc.so.6";
    assert_eq!(parsed(text).label, b"/lib/libc.so.6");
}

#[track_caller]
fn check_malformed(line: &[u8]) {
    let vma = Vma::parse(line);
    assert!(vma.is_none(), "{} was parsed", shown(line));
}

#[test]
fn malformed_lines_are_refused() {
    let whole = "00400000-0040b000 r-xp 00001000 00:02 8 ";
    assert!(Vma::parse(whole.as_bytes()).is_some());
    for length in 0..whole.len() {
        check_malformed(&whole.as_bytes()[..length]);
    }
    check_malformed(b"\n");
    check_malformed(b"==> shell <==");
    check_malformed(b"Rss:                   4 kB");
    check_malformed(b"VmFlags: rd wr mr mw me ac");
    // A missing field, and spaces at wrong places
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
    // Bytes that are not digits
    check_malformed(b"+0400000-0040b000 r-xp 00001000 00:02 8 ");
    check_malformed(b"0x400000-0040b000 r-xp 00001000 00:02 8 ");
    check_malformed(b"0040000g-0040b000 r-xp 00001000 00:02 8 ");
    check_malformed(b"00400000-0040b000 r-xp 00001000 00:02 8a ");
    check_malformed(b"00400000-0040b000 r-xp 00001000 00:02 -8 ");
    check_malformed(b"00400000-0040b000 r-xp \xb2\xb2\xb2\xb2 00:02 8 ");
    // Empty, or the end below the start
    check_malformed(b"00400000-00400000 r-xp 00001000 00:02 8 ");
    check_malformed(b"0040b000-00400000 r-xp 00001000 00:02 8 ");
}

#[test]
fn a_line_ends_at_its_newline() {
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
fn only_lower_case_hexadecimal_digits_are_accepted() {
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
    // Leading zeros do not count.
    assert_eq!(parsed(b"00000000000000000001-2 r-xp 0 0:0 0 ").start, 1);
}

proptest! {
    #[test]
    fn formatting_and_parsing_returns_the_vma(area in areas()) {
        let text = line(&area.vma());
        prop_assert_eq!(parsed(&text), area.vma());
    }

    #[test]
    fn generated_lines_are_parsed_as_procfs_does(mut area in areas()) {
        // procfs keeps device numbers in signed 32-bit integers, and panics on some
        // labels of these kinds.
        area.device = (area.device.0 >> 1, area.device.1 >> 1);
        prop_assume!(!area.label.starts_with(b"/SYSV") && !area.label.starts_with(b"[stack:"));
        check_with_procfs(&line(&area.vma()));
    }

    #[test]
    fn any_parsed_line_can_be_formatted_and_parsed_again(
        text in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Some(vma) = Vma::parse(&text) {
            let again = line(&vma);
            prop_assert_eq!(parsed(&again), vma);
        }
    }

    #[test]
    fn a_damaged_line_is_parsed_or_refused(
        area in areas(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut text = line(&area.vma());
        *place.get_mut(&mut text) = byte;
        if let Some(vma) = Vma::parse(&text) {
            prop_assert!(vma.start < vma.end);
            let again = line(&vma);
            prop_assert_eq!(parsed(&again), vma);
        }
    }
}
