//! Cost as the work grows: the library and its peers over ever longer maps.
//!
//! All parse the same bytes, but for proc-maps, which reads /proc/PID/maps and
//! nothing else. It gets as many mappings of this very process, and the time of
//! the reading alone is measured beside it, to be taken off. A result is reduced
//! to a number, so that nobody's work can be left out; the crates that build a
//! vector must, because they offer nothing else.

use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group,
    criterion_main,
};
use memmap2::{Mmap, MmapMut};
use procfs::FromBufRead;
use vm_anon_name::diff;
use vm_anon_name::maps::Vma;
use vm_anon_name::text::Sink;

/// Up to the default limit on mappings.
const LINES: [usize; 5] = [10, 100, 1_000, 10_000, 65_530];

fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("maps");
    // Enough to tell one from five.
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(100));
    group.measurement_time(Duration::from_millis(400));
    for lines in LINES {
        group.throughput(Throughput::Elements(lines as u64));
        of_bytes(&mut group, lines);
    }
    let mut mappings = Mappings::default();
    for lines in LINES {
        group.throughput(Throughput::Elements(lines as u64));
        of_this_process(&mut group, lines, &mut mappings);
    }
    group.finish();
}

fn of_bytes(group: &mut BenchmarkGroup<WallTime>, lines: usize) {
    let (old, new) = (maps(lines, "before"), maps(lines, "after"));
    let id = |name| BenchmarkId::new(name, lines);
    group.bench_function(id("vm_anon_name"), |b| b.iter(|| parse(black_box(&old))));
    group.bench_function(id("vm_anon_name-diff"), |b| {
        b.iter(|| difference(black_box(&old), black_box(&new)));
    });
    group.bench_function(id("procfs"), |b| {
        b.iter(|| {
            let maps = procfs::process::MemoryMaps::from_buf_read(black_box(&old[..]));
            maps.expect("these are maps").len()
        });
    });
    group.bench_function(id("rsprocmaps"), |b| {
        b.iter(|| {
            let maps = rsprocmaps::Maps::new(black_box(&old[..]));
            maps.map(|map| map.expect("these are maps").address_range.begin)
                .fold(0, u64::wrapping_add)
        });
    });
}

fn of_this_process(group: &mut BenchmarkGroup<WallTime>, lines: usize, mappings: &mut Mappings) {
    mappings.reach(lines);
    let id = |name| BenchmarkId::new(name, lines);
    let pid = std::process::id() as i32;
    group.bench_function(id("proc-maps"), |b| {
        b.iter(|| {
            let maps = proc_maps::get_process_maps(black_box(pid));
            maps.expect("a process can read its maps").len()
        });
    });
    group.bench_function(id("read-alone"), |b| {
        b.iter(|| fs::read_to_string("/proc/self/maps").map_or(0, |text| text.len()));
    });
}

/// Lines are found as std's readers find them for the others.
fn parse(maps: &[u8]) -> u64 {
    let mut sum = 0u64;
    let mut from = 0;
    for end in memchr::memchr_iter(b'\n', maps) {
        let vma = Vma::parse(&maps[from..end]).expect("these are maps");
        // All of it is wanted, not the start alone.
        sum = sum.wrapping_add(black_box(&vma).start);
        from = end + 1;
    }
    sum
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
/// with one, of which one in a hundred is called `mark`.
fn maps(lines: usize, mark: &str) -> Vec<u8> {
    let mut text = Vec::new();
    for index in 0..lines {
        let start = 0xffff_0000_0000_u64 + index as u64 * 0x3000;
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
        let fields = format!(
            "{start:08x}-{:08x} {permissions} {offset:08x} {device} {inode} ",
            start + 0x2000
        );
        let written = match label.is_empty() {
            true => writeln!(text, "{fields}"),
            false => writeln!(text, "{fields:<73}{label}"),
        };
        written.expect("memory takes what is written");
    }
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

criterion_group!(benches, all);
criterion_main!(benches);
