//! Time per line of the core's parser and diff, and of other parsers.
//!
//! All parse the same bytes, except proc-maps, which always reads /proc/PID/maps. For
//! proc-maps, this process creates the same number of mappings, and `read-alone` is the
//! time of reading, which `rig::measure::library` subtracts. The other crates return owned
//! values, and procfs and proc-maps a vector of them; the core borrows, which explains part
//! of the difference.
//!
//! A line of the output has the number of lines, the contender, and its nanoseconds per
//! line. The contenders take turns, and the fastest turn of each counts, because
//! other load on the machine can only make a turn slower.

use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use memmap2::{Mmap, MmapMut};
use procfs::FromBufRead;
use vm_anon_name::diff;
use vm_anon_name::format::Sink;
use vm_anon_name::maps::Vma;

/// Lengths of the maps files, up to the default of `vm.max_map_count`.
const LINES: [usize; 5] = [10, 100, 1_000, 10_000, 65_530];
/// The number of turns, and the least number of lines in each.
const TURNS: usize = 60;
const LINES_PER_TURN: usize = 10_000;

/// A name, and a function to measure. The function returns a number that depends on all
/// of its work, so that the compiler cannot remove a part.
type Contender<'a> = (&'a str, &'a dyn Fn() -> usize);

fn main() {
    let mut mappings = Mappings::default();
    for lines in LINES {
        let (old, new) = (generated(lines, "before"), generated(lines, "after"));
        race(
            lines,
            &[
                ("vm_anon_name", &|| parse(black_box(&old))),
                ("diff", &|| difference(black_box(&old), black_box(&new))),
                ("procfs", &|| {
                    let maps = procfs::process::MemoryMaps::from_buf_read(black_box(&old[..]));
                    maps.expect("the maps file is valid").len()
                }),
                ("rsprocmaps", &|| {
                    let maps = rsprocmaps::Maps::new(black_box(&old[..]));
                    maps.fold(0, |count, map| {
                        black_box(&map.expect("the maps file is valid"));
                        count + 1
                    })
                }),
            ],
        );
        mappings.reach(lines);
        let pid = std::process::id() as i32;
        race(
            lines,
            &[
                ("proc-maps", &|| {
                    let maps = proc_maps::get_process_maps(black_box(pid));
                    maps.expect("a process can read its own maps").len()
                }),
                ("read-alone", &|| {
                    fs::read_to_string("/proc/self/maps").map_or(0, |text| text.len())
                }),
            ],
        );
    }
}

fn race(lines: usize, contenders: &[Contender]) {
    let rounds = LINES_PER_TURN.div_ceil(lines);
    let mut fastest = vec![f64::INFINITY; contenders.len()];
    for _ in 0..TURNS {
        for ((_, work), fastest) in contenders.iter().zip(&mut fastest) {
            let before = Instant::now();
            for _ in 0..rounds {
                black_box(work());
            }
            *fastest = fastest.min(before.elapsed().as_nanos() as f64);
        }
    }
    for ((name, _), fastest) in contenders.iter().zip(fastest) {
        println!("{lines} {name} {:.3}", fastest / (rounds * lines) as f64);
    }
}

fn parse(text: &[u8]) -> usize {
    let mut rest = text;
    let mut count = 0;
    while let Some(vma) = Vma::take(&mut rest) {
        black_box(&vma);
        count += 1;
    }
    count
}

fn difference(old: &[u8], new: &[u8]) -> usize {
    let mut count = Count(0);
    assert!(diff::normal(old, new, b"", &mut count).is_ok());
    count.0
}

/// A sink that counts bytes, at almost no cost.
struct Count(usize);

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// A maps file like that of a large process: files, anonymous and named memory, of various
/// sizes and with gaps. One line in a hundred has the name `mark`.
fn generated(lines: usize, mark: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let mut start = 0xffff_0000_0000_u64;
    for index in 0..lines {
        // The upper bits of a product with 2^64 / golden ratio look random.
        let random = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        let end = start + 0x1000 * (1 + random % 16);
        let (permissions, offset, device, inode, label) = match index % 100 {
            0 => ("rw-p", 0, "00:00", 0, format!("[anon:{mark}]")),
            n if n % 4 == 1 => (
                "r-xp",
                n << 12,
                "fe:01",
                131_842,
                "/usr/lib/libc.so.6".to_owned(),
            ),
            n if n % 4 == 2 => (
                "rw-p",
                0,
                "00:00",
                0,
                "[anon:stack_and_tls:4711]".to_owned(),
            ),
            _ => ("rw-p", 0, "00:00", 0, String::new()),
        };
        let fields = format!("{start:08x}-{end:08x} {permissions} {offset:08x} {device} {inode} ");
        let written = match label.is_empty() {
            true => writeln!(text, "{fields}"),
            false => writeln!(text, "{fields:<73}{label}"),
        };
        written.expect("a vector can be written to");
        start = end + 0x1000 * (random / 16 % 4);
    }
    assert_eq!(parse(&text), lines);
    text
}

/// Pages of this process, alternately writable and read-only, so that no two VMAs
/// merge.
#[derive(Default)]
struct Mappings {
    writable: Vec<MmapMut>,
    readable: Vec<Mmap>,
}

impl Mappings {
    /// Maps pages until /proc/self/maps has about this number of lines.
    fn reach(&mut self, lines: usize) {
        // Reserve now: at vm.max_map_count the allocator cannot map memory to grow the vectors.
        self.writable.reserve(lines);
        self.readable.reserve(lines);
        let text = fs::read_to_string("/proc/self/maps").expect("/proc is mounted");
        // The allocator needs a few mappings for the results.
        let more = lines.saturating_sub(text.lines().count() + 8);
        drop(text);
        for index in 0..more {
            let page = MmapMut::map_anon(1).expect("a page can be mapped");
            match index % 2 {
                0 => self.writable.push(page),
                _ => self
                    .readable
                    .push(page.make_read_only().expect("a page can be made read-only")),
            }
        }
    }
}
