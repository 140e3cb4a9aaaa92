//! The fuzz targets on their corpus and on random mutations of it.
//!
//! The mutations are the same in each run. `cargo xtask fuzz` searches for new
//! inputs by coverage, for as long as it runs.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::shown;

#[path = "../fuzz/targets.rs"]
pub mod targets;

/// Number of mutated inputs for each of proptest's cases; in total 5120 by default.
const INPUTS_PER_CASE: u32 = 20;

/// The length in bytes that a mutated input is cut to.
const MAX_INPUT: usize = 4096;

/// A change to an input, of the kinds that libFuzzer makes.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// Removes a line.
    RemoveLine(Index),
    /// Inserts a copy of a line at another place.
    CopyLine(Index, Index),
    /// Replaces the rest by the rest of another input.
    Splice(Index, Index),
}

impl Mutation {
    fn apply(&self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
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

/// The lines with their newlines. An empty input counts as one empty line.
fn lines(input: &[u8]) -> Vec<&[u8]> {
    let lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
    match lines.is_empty() {
        true => vec![b""],
        false => lines,
    }
}

/// Bytes with a meaning to one of the targets, or arbitrary bytes.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known: [&[u8]; 14] = [
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
        b"Rss: ",
        b" kB",
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

/// The corpus of a target, sorted by file name.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = format!("{}/fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Runs the target on its corpus and on mutations of it. Panics with a minimal input
/// if it fails.
#[track_caller]
fn check(name: &str, target: fn(&[u8])) {
    let corpus = corpus(name);
    assert!(corpus.len() > 3, "the corpus of {name} is too small");
    corpus.iter().for_each(|input| target(input));
    let default = Config::default();
    let config = Config {
        cases: default.cases * INPUTS_PER_CASE,
        failure_persistence: None,
        ..default
    };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, random);
    let strategy = (any::<Index>(), prop::collection::vec(mutations(), 1..6));
    let result = runner.run(&strategy, |(index, mutations)| {
        let mut input = index.get(&corpus).clone();
        mutations
            .iter()
            .for_each(|mutation| mutation.apply(&mut input, &corpus));
        input.truncate(MAX_INPUT);
        let passed = catch_unwind(AssertUnwindSafe(|| target(&input)));
        passed.map_err(|_| TestCaseError::fail(shown(&input)))
    });
    if let Err(error) = result {
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

#[test]
fn smaps() {
    check("smaps", targets::smaps);
}
