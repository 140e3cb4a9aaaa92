//! Time per line of the parser, the diff and other crates, for growing maps.
//!
//! All crates parse the same bytes, except proc-maps, which only reads
//! /proc/PID/maps. For it, this process gets as many mappings, and the time of
//! reading alone is measured too, for subtraction. Each result is reduced to a
//! number, so that the compiler cannot remove the work. The other crates own what
//! they read, and procfs and proc-maps collect it in a vector, because they have no
//! other interface; the library borrows, which is a part of its advantage.
//!
//! A line of the output is a number of lines, a contender and its nanoseconds per
//! line. The contenders take turns, and the fastest turn of each counts: other load
//! on the machine makes a turn slower, never faster.

use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use memmap2::{Mmap, MmapMut};
use procfs::FromBufRead;
use vm_anon_name::format::Sink;
use vm_anon_name::{diff, maps::Vma};

/// Up to the default limit on mappings.
const LINES: [usize; 5] = [10, 100, 1_000, 10_000, 65_530];
/// The number of turns of each contender, and of lines in a turn, at least.
const TURNS: usize = 60;
const LINES_A_TURN: usize = 10_000;

/// A name, and the work, which results in a number.
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
                    maps.expect("these are maps").len()
                }),
                ("rsprocmaps", &|| {
                    let maps = rsprocmaps::Maps::new(black_box(&old[..]));
                    maps.fold(0, |count, map| {
                        black_box(&map.expect("these are maps"));
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
                    maps.expect("a process can read its maps").len()
                }),
                ("read-alone", &|| {
                    fs::read_to_string("/proc/self/maps").map_or(0, |text| text.len())
                }),
            ],
        );
    }
}

fn race(lines: usize, contenders: &[Contender]) {
    let rounds = LINES_A_TURN.div_ceil(lines);
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
    // All fields of the VMA have to be parsed.
    let mut rest = text;
    let vmas = std::iter::from_fn(|| Vma::take(&mut rest));
    vmas.fold(0, |count, vma| {
        black_box(&vma);
        count + 1
    })
}

fn difference(old: &[u8], new: &[u8]) -> usize {
    let mut count = Count(0);
    assert!(diff::normal(old, new, b"", &mut count).is_ok());
    count.0
}

/// Counts bytes instead of printing them.
struct Count(usize);

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// Maps of a large process: files, memory without a name, and named memory. One
/// in a hundred is named `mark`. Sizes and gaps vary.
fn generated(lines: usize, mark: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let mut start = 0xffff_0000_0000_u64;
    for index in 0..lines {
        // The upper bits of a product by 2^64 over the golden ratio look random.
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
        written.expect("memory takes what is written");
        start = end + 0x1000 * (random / 16 % 4);
    }
    assert_eq!(parse(&text), lines);
    text
}

/// Mappings of this process. Their permissions alternate, so that none merge.
#[derive(Default)]
struct Mappings {
    writable: Vec<MmapMut>,
    readable: Vec<Mmap>,
}

impl Mappings {
    /// Adds mappings until /proc/self/maps has about `lines` lines.
    fn reach(&mut self, lines: usize) {
        // Growing the vectors could fail at the limit on mappings.
        self.writable.reserve(lines);
        self.readable.reserve(lines);
        let text = fs::read_to_string("/proc/self/maps").expect("there is /proc");
        // The allocator needs a few for the vector of all mappings.
        let more = lines.saturating_sub(text.lines().count() + 8);
        drop(text);
        for index in 0..more {
            let page = MmapMut::map_anon(1).expect("there is memory");
            match index % 2 {
                0 => self.writable.push(page),
                _ => self
                    .readable
                    .push(page.make_read_only().expect("mprotect works")),
            }
        }
    }
}
