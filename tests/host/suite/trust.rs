//! What the suite is trusted with.
//!
//! The program makes the calls that the suite states, with the arguments that it
//! states, and writes to the addresses that it states: `check/act.rs` cannot tell
//! whether one of them hits what Rust refers to, its stack, its text, the descriptor
//! of its console. So each case is carried out here, with nothing behind it but a
//! [`Ward`], who keeps the books of what belongs to the case and objects to the first
//! step that changes anything else. What a case owns is
//!
//! - the pages that the program has reserved for it, with its window in their middle,
//! - the memory that it has mapped where the kernel wanted, which it never unmaps,
//! - the heap, up to where it has set its end,
//! - the files that it has opened and not closed.
//!
//! Every step is taken to succeed. One that fails changes less.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use linux_raw_sys::general::*;
use linux_raw_sys::prctl::{PR_SET_TAGGED_ADDR_CTRL, PR_SET_VMA};
use vm_anon_name::suite::{Step, Suite, Units, code::part};

use super::assembler::assemble_text;
use super::written::{DEFINITIONS, Definition, WRITTEN, words};
use super::{ACT, SUITE, cases, next_step, number_in};
use crate::shown;

/// The sizes that a page may have on arm64.
const PAGES: [u64; 3] = [0x1000, 0x4000, 0x1_0000];

/// How many pages the program reserves.
static RESERVED_PAGES: LazyLock<u64> =
    LazyLock::new(|| number_in(ACT, r"const RESERVED: \w+ = (\d+);") as u64);

/// Where the reserved pages, what is mapped anywhere, the heap, and the first VMA
/// with a certain label are: far from each other.
const RESERVED: u64 = 1 << 36;
const ANYWHERE: u64 = 1 << 40;
const HEAP: u64 = 1 << 41;
const LABELLED: u64 = 1 << 42;

/// Who watches a case.
#[derive(Clone)]
struct Ward<'a> {
    suite: Suite<'a>,
    page: u64,
    units: Units,
    /// Memory that belongs to the case, whether it is mapped or not.
    reserved: Range<u64>,
    /// Memory that belongs to it while it is mapped.
    mapped: Vec<Range<u64>>,
    heap: Range<u64>,
    /// Files that belong to the case, by descriptor.
    files: BTreeSet<u64>,
    /// System V shared memory that belongs to it, by identifier.
    segments: BTreeSet<u64>,
}

impl<'a> Ward<'a> {
    /// Before the first statement of a case.
    fn new(suite: Suite<'a>, page: u64) -> Self {
        let reserved = *RESERVED_PAGES * page;
        let mut units = Units::default();
        units[usize::from(part::BYTES)] = 1;
        units[usize::from(part::PAGES)] = page;
        units[usize::from(part::WINDOW)] = RESERVED + reserved / 2;
        units[usize::from(part::HUGE)] = page * page / 8;
        Ward {
            suite,
            page,
            units,
            reserved: RESERVED..RESERVED + reserved,
            mapped: Vec::new(),
            heap: HEAP..HEAP,
            files: BTreeSet::new(),
            segments: BTreeSet::new(),
        }
    }

    /// Carries `statements` out, or says which step changes what.
    fn run(&mut self, mut statements: &[u8]) -> Result<(), String> {
        while let Some(statement) = next_step(&mut statements, &self.units) {
            self.units[part::OPERANDS.into()..][..6].copy_from_slice(&statement.operands);
            let first = self.suite.definition(statement.place);
            let mut definition = first;
            while let Some(step) = next_step(&mut definition, &self.units) {
                let (_, name) = self.suite.operation(step.place);
                let result = self.act(&shown(name), &step, &mut statements);
                let value = result.map_err(|fault| {
                    let [a, b, c, d, e, _] = step.operands;
                    format!(
                        "{}({a:#x}, {b:#x}, {c:#x}, {d:#x}, {e:#x}): {fault}",
                        shown(name)
                    )
                })?;
                self.units[usize::from(step.kept)] = value;
                // What goes on until it fails is carried out once. Behind what `room`
                // maps, which is far below anything else, nothing is mapped.
                let [_, limit, ..] = step.operands;
                if shown(name) == "again" && limit != u64::MAX && value <= limit {
                    definition = first;
                }
            }
        }
        Ok(())
    }

    /// What a step gives, or what is wrong with it.
    fn act(&mut self, name: &str, step: &Step, rest: &mut &[u8]) -> Result<u64, String> {
        let [first, second, third, fourth, fifth, _] = step.operands;
        let has = |flag: u32| fourth & u64::from(flag) != 0;
        match name {
            // Whoever looks changes nothing.
            "see" => {}
            "label" => self.expect_text(first)?,
            "at" => {
                self.units[usize::from(part::LENGTH)] = 3 * self.page;
                return Ok(LABELLED);
            }
            "again" => return Ok(first),
            "fork" => {
                let (child, behind) = rest.split_at_checked(first as usize).ok_or("no child")?;
                *rest = behind;
                // What it does to the ward's books is its own.
                self.clone().run(child)?;
            }
            // What is executed is a case of its own, with memory of its own. It reads as
            // many words as have been stored.
            "execve" => self.expect_own(second, 32)?,
            "setresuid" | "chdir" => {}

            "prctl" if first == u64::from(PR_SET_TAGGED_ADDR_CTRL) => {}
            // The option is an int: what is added above its 32 bits is not looked at.
            "prctl" | "share" if first as u32 == PR_SET_VMA => {
                // Anything may have a name. No other attribute is known, so far.
                if second != 0 && fourth != 0 {
                    self.expect_own(third, fourth)?;
                }
            }
            "prctl" => return Err("not the call under test".to_owned()),

            "write" => {
                let text = self.suite.text(second).ok_or("it writes no text")?;
                self.expect_own(first, text.len() as u64)?;
            }
            "store" => self.expect_own(first, 8)?,
            // There is room for a name behind the struct.
            "ioctl" => {
                expect_among(&self.files, first)?;
                self.expect_own(third, 256)?;
            }
            "compare" => {
                self.expect_text(first)?;
                self.expect_own(second, 128)?;
            }
            "mmap" if !has(MAP_ANONYMOUS) && !self.files.contains(&fifth) => {
                return Err("of a file that is not its own".to_owned());
            }
            "mmap" if has(MAP_FIXED) => {
                self.expect_own(first, second)?;
                return Ok(first);
            }
            // It takes what is free, or fails.
            "mmap" if has(MAP_FIXED_NOREPLACE) => return Ok(first),
            "mmap" => {
                self.mapped.push(ANYWHERE..ANYWHERE + second);
                return Ok(ANYWHERE);
            }
            "shmat" => {
                expect_among(&self.segments, first)?;
                self.expect_own(second, 1)?;
                if third != 0 {
                    return Err("it may replace what is there".to_owned());
                }
            }
            "mprotect" | "madvise" | "mlock" | "munlock" | "mseal" => {
                self.expect_own(first, second)?;
            }
            // Where nothing is reserved, something else may come next.
            "munmap" => self.expect_reserved(first, second)?,
            "mremap" => {
                self.expect_reserved(first, second.max(third))?;
                if has(MREMAP_FIXED) {
                    self.expect_reserved(fifth, third)?;
                }
            }
            "brk" if first == 0 => return Ok(self.heap.end),
            "brk" => {
                if !(HEAP..HEAP + 1024 * self.page).contains(&first) {
                    return Err("no end for a heap".to_owned());
                }
                self.heap.end = first;
                return Ok(first);
            }

            "openat" | "memfd_create" | "memfd_secret" => {
                return Ok(add(&mut self.files, 100));
            }
            "dup" => {
                expect_among(&self.files, first)?;
                return Ok(add(&mut self.files, 100));
            }
            "ftruncate" => expect_among(&self.files, first)?,
            "close" => {
                expect_among(&self.files, first)?;
                self.files.remove(&first);
            }
            "shmget" => return Ok(add(&mut self.segments, 10_000)),
            "shmctl" => expect_among(&self.segments, first)?,
            "fcntl" => expect_among(&self.files, first)?,
            "unlinkat" if self.suite.text(second) == Some(b".vm_anon_name") => {}
            "read" => {
                expect_among(&self.files, first)?;
                self.expect_own(second, third)?;
            }
            // Which file that is, is said below.
            "pwrite64" => expect_among(&self.files, first)?,
            _ => return Err("who knows what that changes?".to_owned()),
        }
        Ok(0)
    }

    /// It is the address of one of the suite's texts, or of the case's memory.
    fn expect_text(&self, address: u64) -> Result<(), String> {
        match self.suite.text(address) {
            Some(_) => Ok(()),
            None => self.expect_own(address, 1),
        }
    }

    /// The pages of which so many bytes are a part belong to the case.
    fn expect_own(&self, start: u64, length: u64) -> Result<(), String> {
        let own = [&self.reserved, &self.heap].into_iter().chain(&self.mapped);
        self.expect_within(own, start, length)
    }

    /// They are among those that are reserved.
    fn expect_reserved(&self, start: u64, length: u64) -> Result<(), String> {
        self.expect_within([&self.reserved], start, length)
    }

    fn expect_within<'b>(
        &self,
        own: impl IntoIterator<Item = &'b Range<u64>>,
        start: u64,
        length: u64,
    ) -> Result<(), String> {
        let first = start / self.page * self.page;
        let end = start
            .checked_add(length)
            .and_then(|end| end.checked_next_multiple_of(self.page))
            .ok_or("it wraps around")?;
        let holds = |own: &Range<u64>| own.contains(&first) && end <= own.end;
        match own.into_iter().any(holds) {
            true => Ok(()),
            false => Err(format!("{first:#x}-{end:#x} is not its own")),
        }
    }
}

/// Adds a number that is not there, `first` or a larger one.
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

/// This is what the head of `check/act.rs` refers to.
#[test]
fn no_case_changes_what_is_not_its_own() {
    for page in PAGES {
        for case in cases(*SUITE) {
            if let Err(objection) = Ward::new(*SUITE, page).run(case.statements) {
                panic!("{}, pages of {page} bytes: {objection}", shown(case.name));
            }
        }
    }
}

/// What is everyone's is the limit, which two parts change that PID 1 runs.
#[test]
fn no_case_writes_to_a_file_but_those_of_pid_1() {
    let is_writing = |definition: &Definition| {
        let mut calls = definition.steps.iter().map(|step| step[0]);
        calls.any(|call| call == "pwrite64")
    };
    let writers = DEFINITIONS.iter().filter(|each| is_writing(each));
    let writers: Vec<&str> = writers.map(|each| each.head[0]).collect();
    assert_eq!(writers, ["lower", "restore"]);
    for case in WRITTEN.iter() {
        let has = |verb: &str| case.statements.iter().any(|each| words(each)[0] == verb);
        let statements = match case.name {
            "..lower" => ["read limit ? ENOENT ? EACCES ? EROFS ? EPERM", "lower 1024"],
            "..restore" => ["read limit", "restore"],
            _ => {
                assert!(!has("lower") && !has("restore"), "{}", case.name);
                continue;
            }
        };
        assert_eq!(case.statements, statements);
    }
}

/// Carries out a case that does nothing but `statements`.
fn run(statements: &str) -> Result<(), String> {
    let assembled = assemble_text(&format!("case\n  {statements}\n")).expect(statements);
    let suite = Suite::new(&assembled);
    let case = cases(suite).next().expect("a case");
    Ward::new(suite, PAGES[0]).run(case.statements)
}

#[test]
fn the_ward_lets_a_case_do_what_it_likes_with_its_own() {
    for statements in [
        "map 0 1; unmap 0 1; unmap 0-1024 2048; protect 0 1 rw; poke 1024-1b a",
        "unmap 0 0; poke 1023 ``; lock 1023 1b; label 0 a",
        "allow 255b; refuse 0b 3000b",
        "remap 0 1 1 0b @0; remap 0 1 1023 3b 1; remap 0 1 1 1b @0",
        "away h huge; protect 0 h ro; seal h-1 1; poke h-1b a",
        "heap; brk 2; poke 1 a; brk 1; poke 0 a",
        "name @0 ^47 a; name 0-1 1 NULL; prctl ^32 0 @0 1 a; prctl ^63 0 @0 1 a",
        "prctl 0 1b 0 1 a; tags; at [stack]; name 0 n a; see |?|; label 0 [stack]",
        "map 0 1 exe; map 0 1 memfd; map 0 1 sysv; keep; read kept",
        "create; map 0 1 created; remove; room; crowd; share @0 1 a; query 0 a 128b; exec .part",
        "fork; map 0 1; fork; unmap 0 1; join; join",
    ] {
        assert_eq!(run(statements), Ok(()), "{statements}");
    }
}

#[test]
fn the_ward_objects_to_anything_else() {
    let check = |statements: &str, expected: &str| {
        let objection = run(statements).expect_err(statements);
        assert!(objection.contains(expected), "{statements}: {objection}");
    };
    let foreign = "is not its own";
    for statements in [
        // Before the reserved pages, behind them, and at either end.
        "map @0 1",
        "map @^39 1",
        "unmap 0-1025 1",
        "unmap 0-1024-1b 1b",
        "unmap 1024 1",
        "unmap 1024 0",
        "unmap 1023 1+1b",
        "map 0-1024 2049",
        "poke 1024-1b ab",
        "poke 1024 a",
        "poke 0-1024-1b a",
        "at [stack]; allow 0b",
        "at [stack]; refuse 0b 0b",
        "touch 1023 2",
        "protect 1024 1 rw",
        "advise 1024 1 4b",
        "lock 1024 1",
        "unlock 1024 1",
        "seal 1024 1",
        "map 1024 1 memfd",
        "map 1024 1 sysv",
        "remap 1024 1 1 0b 0",
        "remap 1023 1 2 0b 0",
        "remap 1023 2 1 0b 0",
        "remap 0 1 1 3b @0",
        "remap 0 1 2 3b 1023",
        "prctl 0 1b @0 1 a",
        "prctl 0 ^32 @0 1 a",
        // Beside what it has mapped, and beyond the heap.
        "away h huge; unmap 0-1 1",
        "away h huge; lock h 1",
        "away h huge; unmap 0 h",
        "away h huge; remap 0 h h 3b 0",
        "heap; poke 0 a",
        "heap; brk 2; brk 1; poke 1 a",
        "heap; brk 1; map 1 1 beside; poke 1 a",
        // What the kernel has labelled.
        "at [stack]; unmap 0 1",
        "at [stack]; poke 0 a",
        "at [vdso]; protect 0 1 none",
        // In a child, or after one.
        "fork; unmap @0 1; join",
        "fork; away h huge; join; unmap @^40 h",
        "read kept",
        // What has not been opened or reserved before.
        "map 0 1 created",
        "crowd",
    ] {
        check(statements, foreign);
    }
    check("unmap @0-1 2", "it wraps around");
    check("unmap 0 0-1b", "it wraps around");
    check("heap; brk 0-1", "no end for a heap");
    check("heap; brk 1024", "no end for a heap");
    check("brk 0", "no end for a heap");
    check("prctl 1b 0 0 1 a", "not the call under test");
    check("prctl ^31 0 0 1 a", "not the call under test");
    check("prctl 0-1b 0 0 1 a", "not the call under test");
}
