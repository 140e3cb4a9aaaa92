//! Confinement check of the conformance suite.
//!
//! The program makes any system call and any write that the suite contains.
//! `src/program/interpreter.rs` does not check whether one of them changes the program's
//! own stack or code, or the descriptor of its console. So every case runs here on a
//! [`MemoryModel`], which fails at the first step that changes anything that does not
//! belong to the case. These belong to a case:
//!
//! - the pages that the program reserves around the window,
//! - memory that the case has mapped at an address that the kernel chose, and never unmaps,
//! - the heap, up to the end that the case has set with brk(2),
//! - files and System V memory that the case has opened and not closed.
//!
//! The model assumes that every step succeeds, because a step that fails changes less.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::LazyLock;

use linux_raw_sys::general::*;
use linux_raw_sys::prctl::{PR_SET_TAGGED_ADDR_CTRL, PR_SET_VMA};
use vm_anon_name::suite::encoding::register::{LENGTH, WINDOW};
use vm_anon_name::suite::{Context, Operand, Step, Steps, Suite};

use super::{INTERPRETER, PRINTED, SUITE, VERBS, number_in, operation_name, show};
use crate::shown;
use rig::assembler::assemble;

/// The page sizes of arm64.
const PAGES: [u64; 3] = [0x1000, 0x4000, 0x1_0000];

/// How many pages the program reserves.
static RESERVED_PAGES: LazyLock<u64> =
    LazyLock::new(|| number_in(INTERPRETER, r"const RESERVED: \w+ = (\d+);") as u64);

/// A layout of memory for one width of addresses: ranges that are far from each other.
struct Layout {
    /// The largest address.
    mask: u64,
    /// The reserved pages.
    reserved: u64,
    /// Mappings at addresses that the kernel chooses.
    anywhere: u64,
    /// The heap.
    heap: u64,
    /// The first VMA with a certain label.
    labelled: u64,
}

const BITS_64: Layout = Layout {
    mask: u64::MAX,
    reserved: 1 << 36,
    anywhere: 1 << 40,
    heap: 1 << 41,
    labelled: 1 << 42,
};

const BITS_32: Layout = Layout {
    mask: u32::MAX as u64,
    reserved: 0x1000_0000,
    anywhere: 0x4000_0000,
    heap: 0x8000_0000,
    labelled: 0xa000_0000,
};

/// Requests of ioctl(2), from `include/uapi/linux/fs.h` and `userfaultfd.h`.
const PROCMAP_QUERY: u32 = 0xc068_6611;
/// No request of a maps file.
const NO_REQUEST: u32 = PROCMAP_QUERY + 1;
const UFFDIO_API: u32 = 0xc018_aa3f;
const UFFDIO_REGISTER: u32 = 0xc020_aa00;
const UFFDIO_UNREGISTER: u32 = 0x8010_aa01;

/// Files that a case may open.
const PATHS: [&[u8]; 4] = [
    b"/proc/self/maps",
    b"/proc/self/smaps",
    b"/proc/thread-self/maps",
    b"/dev/zero",
];

/// The memory and the files of a process that runs a case.
#[derive(Clone)]
struct MemoryModel<'a> {
    suite: Suite<'a>,
    layout: &'static Layout,
    context: Context<'a>,
    /// Memory that belongs to the case, whether it is mapped or not.
    reserved: Range<u64>,
    /// Memory that belongs to the case while mapped.
    mapped: Vec<Range<u64>>,
    heap: Range<u64>,
    /// Numbers of 64 bits that the case has written, by address.
    stored: BTreeMap<u64, u64>,
    /// Addresses at which the case has stored a path: that of the executable, or of its own file.
    paths: BTreeSet<u64>,
    /// Files that belong to the case, by descriptor.
    files: BTreeSet<u64>,
    /// System V shared memory that belongs to it, by identifier.
    segments: BTreeSet<u64>,
}

impl<'a> MemoryModel<'a> {
    /// The model before the first statement of a case.
    fn new(suite: Suite<'a>, layout: &'static Layout, page: u64) -> Self {
        let size = *RESERVED_PAGES * page;
        let mut context = Context::ZERO;
        context.page = page;
        context.huge = page * page / 4;
        context.registers[WINDOW] = layout.reserved + size / 2;
        MemoryModel {
            suite,
            layout,
            context,
            reserved: layout.reserved..layout.reserved + size,
            mapped: Vec::new(),
            heap: layout.heap..layout.heap,
            stored: BTreeMap::new(),
            paths: BTreeSet::new(),
            files: BTreeSet::new(),
            segments: BTreeSet::new(),
        }
    }

    /// Runs `statements`. Fails at the first step that changes what does not belong to the case.
    fn run(&mut self, mut statements: Steps<'a>) -> Result<(), String> {
        while let Some(statement) = statements.next(&self.context) {
            self.context.parameters = statement.operands;
            let mut steps = self.suite.verb(statement.code);
            let (mut count, mut stride, mut place) = (1, 0, 0);
            while let Some(mut step) = steps.next(&self.context) {
                if operation_name(step.code) == "repeat" {
                    // A step that repeats until it fails (-1) is executed once. Its mapping
                    // has nothing above it that later repetitions could change.
                    [count, stride, place, ..] = self.numbers(&step);
                    count = if count == self.layout.mask { 1 } else { count };
                    continue;
                }
                for _ in 0..count {
                    let whole = self.expect_whole(&step);
                    let result = whole.and_then(|()| self.take(&step, &mut statements));
                    let value = result.map_err(|fault| format!("{}: {fault}", show(&step)))?;
                    if step.kept != 0 {
                        self.context.registers[usize::from(step.kept) - 1] = value;
                    }
                    if let Operand::Number(number) = &mut step.operands[place as usize] {
                        *number += stride;
                    }
                }
                (count, stride, place) = (1, 0, 0);
            }
        }
        Ok(())
    }

    /// The operands as numbers; texts and missing operands are 0.
    fn numbers(&self, step: &Step) -> [u64; 6] {
        let mut numbers = [0; 6];
        for (number, operand) in numbers.iter_mut().zip(&step.operands) {
            if let Operand::Number(operand) = operand {
                *number = operand & self.layout.mask;
            }
        }
        numbers
    }

    /// Fails if a number loses bits as an address or an argument, and is another number then.
    /// The upper bits of a negative number do not count. The interpreter's own operations on
    /// memory take numbers of 64 bits.
    fn expect_whole(&self, step: &Step) -> Result<(), String> {
        let is_cut = !["store64", "expect"].contains(&operation_name(step.code));
        for operand in step.operands.iter().filter(|_| is_cut) {
            if let Operand::Number(number) = *operand {
                let cut = number & self.layout.mask;
                let negative = number | !(self.layout.mask >> 1);
                if cut != number && negative != number {
                    return Err(format!("{number:#x} is cut to {cut:#x}"));
                }
            }
        }
        Ok(())
    }

    /// Executes a step on the model and returns its result. The error says what the step must
    /// not do.
    fn take(&mut self, step: &Step<'a>, rest: &mut Steps<'a>) -> Result<u64, String> {
        let [first, second, third, fourth, fifth, _] = self.numbers(step);
        let has = |flag: u32| fourth & u64::from(flag) != 0;
        let text = |place: usize| match step.operands[place] {
            Operand::Text(text) => Some(text),
            Operand::Number(_) => None,
        };
        match operation_name(step.code) {
            // These read the maps.
            "see" => drop(text(0).ok_or(NO_TEXT)?),
            "label" | "line" => drop(text(1).ok_or(NO_TEXT)?),
            "count" => drop(text(0).ok_or(NO_TEXT)?),
            "note_flags" | "same_flags" => {}
            "find" => {
                text(0).ok_or(NO_TEXT)?;
                self.context.registers[LENGTH] = 3 * self.context.page;
                return Ok(self.layout.labelled);
            }
            // These read memory: a text up to its NUL, or a number.
            "compare" => {
                text(1).ok_or(NO_TEXT)?;
                self.expect_own(first, 128)?;
            }
            "expect" => self.expect_own(first, third)?,
            "same" => {
                self.expect_own(first, 8)?;
                self.expect_own(second, 8)?;
            }
            "of_file" => self.expect_own(second, 256)?,
            "store" | "store64" => {
                self.expect_own(first, 8)?;
                self.stored.insert(first, second);
            }
            "poke" => {
                let text = text(1).ok_or(NO_TEXT)?;
                self.expect_own(first, text.len() as u64)?;
            }
            // This writes the unique name of a file.
            "unique" => {
                self.expect_own(first, 17)?;
                self.paths.insert(first);
            }
            "statx" if text(1) == Some(b"") => {
                expect_among(&self.files, first)?;
                self.expect_own(fifth, 256)?;
            }
            "readlinkat" if text(1) == Some(b"/proc/self/exe") => {
                self.expect_own(third, fourth)?;
                self.paths.insert(third);
            }
            // This splits a mapping of the case. It changes no page above that mapping.
            "exhaust" => self.expect_own(first, self.context.page)?,
            // These name the window's first page.
            "accept" | "reject" => {}
            // A child's changes to its own copy of the memory end with it.
            "fork" => self.clone().run(rest.take(first as usize))?,
            "prctl" if first == u64::from(PR_SET_TAGGED_ADDR_CTRL) => {}
            // The option is an int: the kernel ignores the upper 32 bits.
            "prctl" | "vfork_prctl" | "thread_prctl" if first as u32 == PR_SET_VMA => {
                // Any memory may get a name. Other attributes have unknown effects.
                if second != 0 && fourth != 0 {
                    self.expect_own(third, fourth)?;
                }
            }
            "prctl" | "vfork_prctl" | "thread_prctl" => {
                return Err("not the call under test".to_owned());
            }
            "setresuid" | "chdir" => {}
            // The new program runs a case with memory of its own. The call reads the words
            // that have been stored.
            "execve" if text(0) == Some(b"/proc/self/exe") => self.expect_own(second, 32)?,

            "ioctl" => {
                expect_among(&self.files, first)?;
                self.expect_own(third, 104)?;
                let stored = |offset| self.stored.get(&(third + offset)).copied();
                let ranges = match second as u32 {
                    // The addresses and sizes of the buffers for the name and the build ID.
                    PROCMAP_QUERY => [(stored(88), stored(80)), (stored(96), stored(84))],
                    NO_REQUEST | UFFDIO_API => return Ok(0),
                    UFFDIO_REGISTER | UFFDIO_UNREGISTER => [(stored(0), stored(8)), (None, None)],
                    request => return Err(format!("unknown request {request:#x}")),
                };
                for range in ranges {
                    // Page 0 is never mapped, so the kernel cannot write there.
                    if let (Some(start), Some(size)) = range
                        && start >= self.context.page
                    {
                        self.expect_own(start, size)?;
                    }
                }
            }
            "userfaultfd" => return Ok(add(&mut self.files, 100)),
            "mmap" if !has(MAP_ANONYMOUS) && !self.files.contains(&fifth) => {
                return Err("of a file that is not its own".to_owned());
            }
            "mmap" if has(MAP_FIXED) => {
                self.expect_own(first, second)?;
                return Ok(first);
            }
            // This maps free addresses, or fails.
            "mmap" if has(MAP_FIXED_NOREPLACE) => return Ok(first),
            "mmap" => {
                let start = self.layout.anywhere;
                self.mapped.push(start..start + second);
                // New memory is zero.
                self.stored
                    .retain(|address, _| !(start..start + second).contains(address));
                return Ok(start);
            }
            "shmat" => {
                expect_among(&self.segments, first)?;
                self.expect_own(second, 1)?;
                if third != 0 {
                    return Err("it may replace what is mapped there".to_owned());
                }
            }
            "mprotect" | "madvise" | "mlock" | "munlock" | "mseal" | "mbind" => {
                self.expect_own(first, second)?;
            }
            // Addresses that are not reserved may be used for something else afterwards.
            "munmap" => self.expect_reserved(first, second)?,
            "mremap" => {
                self.expect_reserved(first, second.max(third))?;
                if has(MREMAP_FIXED) {
                    self.expect_reserved(fifth, third)?;
                }
            }
            "brk" if first == 0 => return Ok(self.heap.end),
            "brk" => {
                let start = self.layout.heap;
                if !(start..start + 1024 * self.context.page).contains(&first) {
                    return Err("not the end of a heap".to_owned());
                }
                self.heap.end = first;
                return Ok(first);
            }

            "openat" if text(1).is_some_and(|path| PATHS.contains(&path)) => {
                return Ok(add(&mut self.files, 100));
            }
            "openat" if text(1) == Some(LIMIT) => return Ok(add(&mut self.files, 100)),
            "openat" | "unlinkat" if !self.paths.contains(&second) => {
                let here = "PATHS in tests/host/suite/confinement.rs";
                return Err(format!(
                    "unknown to the confinement check: add the path to {here}"
                ));
            }
            "unlinkat" => {}
            "openat" | "memfd_create" | "memfd_secret" => {
                return Ok(add(&mut self.files, 100));
            }
            "dup" => {
                expect_among(&self.files, first)?;
                return Ok(add(&mut self.files, 100));
            }
            "close" => {
                expect_among(&self.files, first)?;
                self.files.remove(&first);
            }
            "shmget" => return Ok(add(&mut self.segments, 10_000)),
            "shmctl" => expect_among(&self.segments, first)?,
            // `no_case_writes_to_a_file_of_others_but_those_of_pid_1` checks which file that is.
            "ftruncate" | "fcntl" | "lseek" | "pwrite64" => expect_among(&self.files, first)?,
            "read" => {
                expect_among(&self.files, first)?;
                self.expect_own(second, third)?;
            }
            name => {
                let here = "MemoryModel::take in tests/host/suite/confinement.rs";
                return Err(format!(
                    "unknown to the confinement check: add {name} to {here}"
                ));
            }
        }
        Ok(0)
    }

    /// Fails unless the pages of this range belong to the case.
    fn expect_own(&self, start: u64, length: u64) -> Result<(), String> {
        let own = [&self.reserved, &self.heap].into_iter().chain(&self.mapped);
        self.expect_within(own, start, length)
    }

    /// Fails unless the pages of this range are reserved.
    fn expect_reserved(&self, start: u64, length: u64) -> Result<(), String> {
        self.expect_within([&self.reserved], start, length)
    }

    fn expect_within<'b>(
        &self,
        own: impl IntoIterator<Item = &'b Range<u64>>,
        start: u64,
        length: u64,
    ) -> Result<(), String> {
        let page = self.context.page;
        let first = start / page * page;
        let end = start
            .checked_add(length)
            .and_then(|end| end.checked_next_multiple_of(page))
            .filter(|end| *end <= self.layout.mask)
            .ok_or("it wraps around")?;
        let holds = |own: &Range<u64>| own.contains(&first) && end <= own.end;
        match own.into_iter().any(holds) {
            true => Ok(()),
            false => Err(format!("{first:#x}-{end:#x} is not its own")),
        }
    }
}

/// The message about a number in place of a text.
const NO_TEXT: &str = "a text is missing";

/// The file that only PID 1 writes to.
const LIMIT: &[u8] = b"/proc/sys/vm/max_map_count";

/// Adds a number that is larger than all others, or `first` if there are none.
fn add(numbers: &mut BTreeSet<u64>, first: u64) -> u64 {
    let number = numbers.last().map_or(first, |last| last + 1);
    numbers.insert(number);
    number
}

fn expect_among(numbers: &BTreeSet<u64>, number: u64) -> Result<(), String> {
    match numbers.contains(&number) {
        true => Ok(()),
        false => Err(format!("{number} is not its own")),
    }
}

#[test]
fn no_case_changes_what_is_not_its_own() {
    for (layout, page) in PAGES
        .map(|page| (&BITS_64, page))
        .into_iter()
        .chain([(&BITS_32, PAGES[0])])
    {
        for case in SUITE.cases {
            if case.needs_64_bits() && layout.mask < u64::MAX {
                continue;
            }
            if let Err(objection) = MemoryModel::new(*SUITE, layout, page).run(case.statements) {
                let (name, bits) = (shown(case.name), layout.mask.count_ones());
                panic!("{name}, pages of {page} bytes, {bits} bits: {objection}");
            }
        }
    }
}

/// The limit on mappings belongs to the whole system; two helper cases of PID 1 change it.
#[test]
fn no_case_writes_to_a_file_of_others_but_those_of_pid_1() {
    let heads = VERBS
        .lines()
        .filter(|line| !line.starts_with([' ', '#']) && !line.is_empty());
    let writers = heads.zip(&PRINTED.verbs);
    let writers = writers.filter(|(_, steps)| steps.iter().any(|step| step.contains("pwrite64")));
    let writers: Vec<&str> = writers.map(|(head, _)| head).collect();
    // These two verbs write to the file that `create` has made.
    let own = ["map AT LENGTH tmpfs", "map AT LENGTH tmpfs private"];
    assert_eq!(writers, [&own[..], &["lower TEXT", "restore"]].concat());
    for (name, statements) in &PRINTED.cases {
        let statements: Vec<String> = statements.iter().map(|words| words.join(" ")).collect();
        let expected = match name.as_str() {
            "..lower" => ["read limit", "lower  720"],
            "..restore" => ["read limit", "restore"],
            _ => {
                let is_one = |statement: &String| {
                    let verb = statement.split(' ').next();
                    verb == Some("lower")
                        || verb == Some("restore")
                        || statement.starts_with("read limit")
                };
                assert!(!statements.iter().any(is_one), "{name}");
                continue;
            }
        };
        assert_eq!(statements, expected);
    }
}

/// Runs a case that consists of `statements`.
fn run(statements: &str) -> Result<(), String> {
    run_in(&BITS_64, statements)
}

fn run_in(layout: &'static Layout, statements: &str) -> Result<(), String> {
    let assembled = assemble(&format!("case\n  {statements}\n"), &VERBS).expect(statements);
    let suite = Suite::new(&assembled);
    let case = suite.cases.into_iter().next().expect("a case");
    MemoryModel::new(suite, layout, PAGES[0]).run(case.statements)
}

#[test]
fn a_case_may_change_what_is_its_own() {
    for statements in [
        "map 0 1; munmap 0 1; munmap -1024 2048; mprotect 0 1 READ|WRITE; poke 1024-1b a",
        "munmap 0 0; poke 1023 ``; mlock 1023 1b; label 0 a",
        "accept 1 255 79; reject 1 255 79; touch -1024 2048",
        "mremap 0 1 1; mremap 0 1 1023 MAYMOVE|FIXED 1; mremap 0 1 1 MAYMOVE @0",
        "map anywhere huge hugetlb; mprotect 0 huge READ; mseal huge-1 1; poke huge-1b a",
        "heap; brk 2; poke 1 a; brk 1; poke 0 a",
        "name @0 2^47 a; name -1 1 NULL; prctl SET_VMA+2^32 ANON_NAME @0 1 a",
        "prctl SET_VMA 1 0 1 a; tagged-addresses; at [stack]; name 0 length a; see |?|; label 0 [stack]",
        "map 0 1 exe; map 0 1 memfd; map 0 1 sysv; keep; read kept",
        "create; map 0 1 tmpfs; remove; exhaust; vfork-name @0 1 a; query 0 a 128; exec .part",
        "query 0 a 3968; name-size 1",
        "question 0; field NAME_SIZE 128b; field NAME 1b; ask; ask 1; ask-read-only",
        "userfaultfd; register 0 1; unregister 1023 1",
        "fork; map 0 1; fork; munmap 0 1; join; join",
    ] {
        assert_eq!(run(statements), Ok(()), "{statements}");
    }
}

/// What a case calls with a number that 32 bits cut is another call there.
#[test]
fn a_case_for_32_bits_has_no_number_that_they_cut() {
    for statements in [
        "name @2^32 1 a",
        "name 2^56 1 a",
        "name 0 2^47 a",
        "name 0 1 &@2^63",
        "prctl SET_VMA 2^32 0 1 a",
        "prctl SET_VMA+2^32 ANON_NAME 0 1 a",
    ] {
        let objection = run_in(&BITS_32, statements).expect_err(statements);
        assert!(objection.contains("is cut to"), "{statements}: {objection}");
        assert_eq!(run(statements), Ok(()), "{statements}");
    }
    for statements in [
        "name @-1 1 a; name 0 -window a; name 0 1 &@-1b",
        "prctl SET_VMA 2^31 @0 0 a; prctl SET_VMA -1 @0 0 a; name @0 2^31 a",
        "question 0; field NAME_SIZE 2^32",
    ] {
        assert_eq!(run_in(&BITS_32, statements), Ok(()), "{statements}");
    }
}

#[test]
fn a_case_may_change_nothing_else() {
    let check = |statements: &str, expected: &str| {
        let objection = run(statements).expect_err(statements);
        assert!(objection.contains(expected), "{statements}: {objection}");
    };
    let foreign = "is not its own";
    for statements in [
        // Before the reserved pages, after them, and at either end.
        "map @0 1",
        "map @2^39 1",
        "munmap -1025 1",
        "munmap -1024-1b 1b",
        "munmap 1024 1",
        "munmap 1024 0",
        "munmap 1023 1+1b",
        "map -1024 2049",
        "poke 1024-1b ab",
        "poke 1024 a",
        "poke -1024-1b a",
        "touch 1023 2",
        "mprotect 1024 1 READ|WRITE",
        "madvise 1024 1 DONTNEED",
        "mlock 1024 1",
        "munlock 1024 1",
        "mseal 1024 1",
        "map 1024 1 memfd",
        "map 1024 1 sysv",
        "mremap 1024 1 1",
        "mremap 1023 1 2",
        "mremap 1023 2 1",
        "mremap 0 1 1 MAYMOVE|FIXED @0",
        "mremap 0 1 2 MAYMOVE|FIXED 1023",
        "prctl SET_VMA 1 @0 1 a",
        "prctl SET_VMA 2^32 @0 1 a",
        "query 0 a 3969",
        "question 0; field NAME_SIZE 128b; field NAME 3; ask",
        "question 0; field BUILD_ID_SIZE 20b; field BUILD_ID 3; ask",
        "ask 1024",
        "userfaultfd; register 1024 1",
        "userfaultfd; unregister 1023 2",
        "name-size 1",
        // Next to its mappings, and beyond the heap.
        "map anywhere huge hugetlb; munmap -1 1",
        "map anywhere huge hugetlb; mlock huge 1",
        "map anywhere huge hugetlb; munmap 0 huge",
        "map anywhere huge hugetlb; mremap 0 huge huge MAYMOVE|FIXED 0",
        "heap; poke 0 a",
        "heap; brk 2; brk 1; poke 1 a",
        "heap; brk 1; map 1 1 noreplace; poke 1 a",
        // Memory with a label of the kernel.
        "at [stack]; munmap 0 1",
        "at [stack]; poke 0 a",
        "at [vdso]; mprotect 0 1 NONE",
        // In a child, or after one.
        "fork; munmap @0 1; join",
        "fork; map anywhere huge hugetlb; join; munmap @2^40 huge",
        "read kept",
        // Descriptors that were not opened before.
        "map 0 1 tmpfs",
    ] {
        check(statements, foreign);
    }
    check("munmap @-1 2", "it wraps around");
    check("munmap 0 -1b", "it wraps around");
    check("heap; brk -1", "not the end of a heap");
    check("heap; brk 1024", "not the end of a heap");
    check("brk 0", "not the end of a heap");
    check("prctl SET_VMA+1 0 0 1 a", "not the call under test");
    check("prctl SET_VMA+2^31 0 0 1 a", "not the call under test");
    check("prctl -1 0 0 1 a", "not the call under test");
}
