//! Bytes from nowhere, the same every time: the fuzz corpus and mutations of it.
//!
//! `cargo xtask fuzz` looks for new input by coverage, for as long as one likes.
//! This is the fixed share of it that needs no more than `cargo test`.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::shown;

#[path = "../fuzz/targets.rs"]
mod targets;

/// How many mutated inputs each target gets.
const MUTANTS: u32 = 5_000;

/// More input than this finds nothing new.
const LONGEST: usize = 4096;

/// A change to an input, as libFuzzer makes them too.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// A line goes.
    RemoveLine(Index),
    /// A line comes twice, the second time elsewhere.
    CopyLine(Index, Index),
    /// The rest is another input's.
    Splice(Index, Index),
}

impl Mutation {
    fn make(&self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let place = |index: &Index| index.index(input.len() + 1);
        match self {
            Mutation::Flip(index, bits) => {
                let at = place(index);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Mutation::Insert(index, bytes) => {
                let at = place(index);
                input.splice(at..at, bytes.iter().copied());
            }
            Mutation::Remove(index, count) => {
                let at = place(index);
                input.drain(at..input.len().min(at + count));
            }
            Mutation::RemoveLine(index) => {
                let mut lines = lines(input);
                lines.remove(index.index(lines.len()));
                *input = lines.concat();
            }
            Mutation::CopyLine(from, to) => {
                let mut lines = lines(input);
                let line = lines[from.index(lines.len())];
                lines.insert(to.index(lines.len() + 1), line);
                *input = lines.concat();
            }
            Mutation::Splice(index, other) => {
                input.truncate(place(index));
                let other = other.get(corpus);
                input.extend_from_slice(&other[index.index(other.len() + 1)..]);
            }
        }
    }
}

/// The lines with their newlines; one at least, though it be empty.
fn lines(input: &[u8]) -> Vec<&[u8]> {
    let lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
    match lines.is_empty() {
        true => vec![b""],
        false => lines,
    }
}

/// Bytes that mean something to one target or another, or any.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known: [&[u8]; 12] = [
        b"\0",
        b"\n",
        b" ",
        b"-",
        b"--",
        b"=",
        b"[anon:",
        b"]",
        b"ffffffffffffffff",
        b"K",
        b"\x1b[m",
        b"",
    ];
    prop_oneof![
        prop::sample::select(known.to_vec()).prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 0..8),
    ]
}

fn mutations() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    prop_oneof![
        (index(), 1..=u8::MAX).prop_map(|(index, bits)| Mutation::Flip(index, bits)),
        (index(), pieces()).prop_map(|(index, bytes)| Mutation::Insert(index, bytes)),
        (index(), 1..40_usize).prop_map(|(index, count)| Mutation::Remove(index, count)),
        index().prop_map(Mutation::RemoveLine),
        (index(), index()).prop_map(|(from, to)| Mutation::CopyLine(from, to)),
        (index(), index()).prop_map(|(index, other)| Mutation::Splice(index, other)),
    ]
}

/// The corpus of a target, in a fixed order.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = format!("{}/fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Runs the target on its corpus and on mutations of it; the smallest input found
/// on which it fails is shown.
#[track_caller]
fn check(name: &str, target: fn(&[u8])) {
    let corpus = corpus(name);
    assert!(corpus.len() > 3, "{name} has a corpus");
    corpus.iter().for_each(|input| target(input));
    let config = Config {
        cases: MUTANTS,
        failure_persistence: None,
        ..Config::default()
    };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, random);
    let strategy = (any::<Index>(), prop::collection::vec(mutations(), 1..6));
    let outcome = runner.run(&strategy, |(index, mutations)| {
        let mut input = index.get(&corpus).clone();
        mutations
            .iter()
            .for_each(|mutation| mutation.make(&mut input, &corpus));
        input.truncate(LONGEST);
        let passed = catch_unwind(AssertUnwindSafe(|| target(&input)));
        passed.map_err(|_| TestCaseError::fail(shown(&input)))
    });
    if let Err(error) = outcome {
        panic!("{name}: {error}");
    }
}

#[test]
fn parse() {
    check("parse", targets::parse);
}

#[test]
fn diff() {
    check("diff", targets::diff);
}

#[test]
fn options() {
    check("options", targets::options);
}
