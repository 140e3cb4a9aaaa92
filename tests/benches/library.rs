//! Cost as the work grows: the library and its peers over ever longer maps.
//!
//! All parse the same bytes, but for proc-maps, which reads /proc/PID/maps and
//! nothing else. It gets as many mappings of this very process, and the time of
//! the reading alone is taken beside it, to be taken off. A result is reduced to
//! a number, so that nobody's work can be left out. The peers own what they read,
//! and procfs and proc-maps make a vector of it, because they offer nothing else;
//! the library borrows, which is a part of why it is faster.
//!
//! A line of the output is a length, a contender and its nanoseconds per line.
//! The contenders take turns, for a millisecond or once over the maps, and of
//! each the fastest turn counts: what else the machine does can make a turn
//! slower, never faster.

use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use memmap2::{Mmap, MmapMut};
use procfs::FromBufRead;
use vm_anon_name::text::Sink;
use vm_anon_name::{diff, maps};

/// Up to the default limit on mappings.
const LINES: [usize; 5] = [10, 100, 1_000, 10_000, 65_530];
/// How many turns each gets, and over how many lines at least.
const TURNS: usize = 60;
const LINES_A_TURN: usize = 10_000;

/// Gives a number that needs all of the work.
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
    // All of a VMA is wanted, not the start alone.
    maps::vmas(text).fold(0, |count, vma| {
        black_box(&vma);
        count + 1
    })
}

fn difference(old: &[u8], new: &[u8]) -> usize {
    let mut count = Count(0);
    assert!(diff::normal(old, new, b"", &mut count).is_ok());
    count.0
}

/// Counts what is printed, so that printing costs next to nothing.
struct Count(usize);

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// Maps as a large process has them: files, memory without a name, and memory
/// with one, of which one in a hundred is called `mark`; sizes and gaps vary.
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

/// Pages of this process, alternately writable and not, so that no two merge.
#[derive(Default)]
struct Mappings {
    writable: Vec<MmapMut>,
    readable: Vec<Mmap>,
}

impl Mappings {
    /// Maps until /proc/self/maps has so many lines, or nearly so: another thread
    /// or the allocator may map something, too.
    fn reach(&mut self, lines: usize) {
        // The vectors shall not grow at the limit.
        self.writable.reserve(lines);
        self.readable.reserve(lines);
        let text = fs::read_to_string("/proc/self/maps").expect("there is /proc");
        // A few are left for the allocator, for a vector of all mappings.
        let more = lines.saturating_sub(text.lines().count() + 8);
        drop(text);
        for index in 0..more {
            let page = MmapMut::map_anon(1).expect("there is memory");
            match index % 2 {
                0 => self.writable.push(page),
                _ => self
                    .readable
                    .push(page.make_read_only().expect("a right less")),
            }
        }
    }
}
