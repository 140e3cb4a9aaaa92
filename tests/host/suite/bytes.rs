//! Which names the two cases try that are about the bytes of a name.
//!
//! They are loops over numbers in `cases.txt`. Here they are carried out on a kernel of a
//! few lines, which writes down the names that it is given and when it is looked at.

use std::collections::BTreeMap;

use vm_anon_name::name;
use vm_anon_name::suite::{Units, code::part};

use super::{SUITE, UNITS, cases, next_step};
use crate::shown;

#[derive(Debug, PartialEq)]
enum Event {
    /// A name is given.
    Name(Vec<u8>),
    /// The label is compared.
    Look,
}

/// What comes of the names of `length` bytes: each byte at the first place, if no name may
/// hold it at each place, and a look after each byte; before all of them the bare name.
fn expected(length: usize) -> Vec<Event> {
    let bare = vec![b'a'; length];
    let mut events = vec![Event::Name(bare.clone()), Event::Look];
    for byte in 1..=u8::MAX {
        let places = if name::is_allowed(byte) { 1 } else { length };
        for place in 0..places {
            let mut name = bare.clone();
            name[place] = byte;
            events.push(Event::Name(name));
        }
        events.push(Event::Look);
    }
    events
}

/// The bytes at `address`, up to a NUL.
fn text(memory: &BTreeMap<u64, u8>, address: u64) -> Vec<u8> {
    let bytes = (address..).map_while(|address| memory.get(&address));
    bytes.copied().collect()
}

fn put(memory: &mut BTreeMap<u64, u8>, address: u64, bytes: &[u8]) {
    memory.extend((address..).zip(bytes.iter().copied()));
}

/// Carries out the case of this name.
fn events(case: &str) -> Vec<Event> {
    let case = cases(*SUITE).find(|other| shown(other.name) == case);
    let mut statements = case.expect("it is there").statements;
    let mut units: Units = UNITS;
    units[usize::from(part::LENGTH)] = 0;
    let (mut memory, mut label, mut events) = (BTreeMap::new(), Vec::new(), Vec::new());
    while let Some(statement) = next_step(&mut statements, &units) {
        assert_eq!(statement.expected, 0, "all of it succeeds");
        units[part::OPERANDS.into()..][..6].copy_from_slice(&statement.operands);
        let first = SUITE.definition(statement.place);
        let mut definition = first;
        while let Some(step) = next_step(&mut definition, &units) {
            let [a, b, _, _, e, _] = step.operands;
            let (mut value, mut error) = (0, 0);
            match shown(SUITE.operation(step.place).1).as_str() {
                "openat" | "mmap" => {}
                "write" => put(&mut memory, a, SUITE.text(b).expect("a text")),
                "store" => {
                    let bytes = b.to_le_bytes();
                    let length = bytes.iter().rposition(|byte| *byte != 0);
                    put(&mut memory, a, &bytes[..length.map_or(0, |last| last + 1)]);
                }
                "prctl" => {
                    let name = text(&memory, e);
                    match name::fault(&name) {
                        None => label = [b"[anon:", &name[..], b"]"].concat(),
                        Some(_) => error = 22,
                    }
                    events.push(Event::Name(name));
                }
                "label" => {
                    assert_eq!(shown(&text(&memory, a)), shown(&label));
                    events.push(Event::Look);
                }
                "again" => {
                    value = a;
                    if a <= b {
                        definition = first;
                    }
                }
                other => panic!("{other} is not known here"),
            }
            assert_eq!(error, step.expected, "of {:?}", events.last());
            units[usize::from(step.kept)] = value;
        }
    }
    events
}

#[test]
fn each_byte_is_tried_and_looked_at() {
    for (case, length) in [
        ("one-byte-names-are-printable-and-not-forbidden", 1),
        ("forbidden-bytes-are-refused-at-every-place", name::LONGEST),
    ] {
        let (events, expected) = (events(case), expected(length));
        // All of them would be too many to be shown.
        for (seen, stated) in events.iter().zip(&expected) {
            assert_eq!(seen, stated, "{case}");
        }
        assert_eq!(events.len(), expected.len(), "{case}");
    }
}
