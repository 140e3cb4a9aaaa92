//! The conformance suite: what is assembled is what is written, and nothing else.
//!
//! A misspelt verb or a wrong number in a case would show on a real kernel, but
//! perhaps only on one that is not at hand, or not at all: what takes a bad number
//! for 0 may pass by chance. So the two texts are read twice, by the assembler and by
//! patterns (module `written`), and compared word by word with what the program
//! reads. What the words mean is in the module `language`; what a case may do to
//! the process that it runs in, in the module `trust`; and which bytes are tried in
//! names, in the module `bytes`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use regex::Regex;
use syscalls::aarch64::Sysno;
use vm_anon_name::suite::{
    Case, Step, Suite, Units, Verdict,
    code::{self, part},
};

use crate::shown;
use written::{CASES, CONSTANTS, DEFINITIONS, PROTECTIONS, REGISTERS, VERBS, Value, WRITTEN};

#[path = "../../src/suite/assembler.rs"]
mod assembler;
mod bytes;
mod language;
mod trust;
mod written;

/// Sources that say how much room there is, and what there is.
const ACT: &str = include_str!("../../src/program/full/check/act.rs");
const CHECK: &str = include_str!("../../src/program/full/check.rs");
const ASSEMBLER: &str = include_str!("../../src/suite/assembler.rs");
const CODE: &str = include_str!("../../src/suite/code.rs");

/// Rows of the conformance table, and the range of their numbers.
const ROWS: std::ops::RangeInclusive<u32> = 1..=116;

/// Rows that no case cites, and why.
const NOT_CITED: [(u32, &str); 6] = [
    (47, "memfd: the cases of shared memory have it"),
    (55, ".bss: the program has none"),
    (
        66,
        "a heap right behind .bss: needs 6.1 booted without randomisation",
    ),
    (69, "how many pages vvar has: no promise"),
    (
        111,
        "numa_maps: shows no names, and needs a kernel with NUMA",
    ),
    (112, "smaps_rollup and map_files: show no names"),
];

/// Units that stand out when they are mixed up.
const UNITS: Units = {
    let mut units = [0; 16];
    units[part::BYTES as usize] = 1;
    units[part::PAGES as usize] = 0x1000;
    units[part::WINDOW as usize] = 0x7000_0000;
    units[part::LENGTH as usize] = 0x3000;
    units[part::HUGE as usize] = 0x20_0000;
    units[part::FILE as usize] = 0xf11e;
    units[part::MAPS as usize] = 0x3a95;
    units
};

/// The suite as the build script packs it.
pub static ASSEMBLED: LazyLock<Vec<u8>> =
    LazyLock::new(|| assembler::assemble().expect("it is assembled"));

static SUITE: LazyLock<Suite> = LazyLock::new(|| Suite::new(&ASSEMBLED));

/// Takes the cases off, one after another.
fn cases<'a>(suite: Suite<'a>) -> impl Iterator<Item = Case<'a>> {
    let mut cases = suite.cases;
    std::iter::from_fn(move || cases.take())
}

/// Takes a step or a statement off `steps`.
fn next_step<'a>(steps: &mut &'a [u8], units: &Units) -> Option<Step<'a>> {
    let mut step = Step::default();
    step.read(steps, units).map(|()| step)
}

/// The steps of a definition, or the statements of a case.
fn steps<'a>(mut body: &'a [u8], units: &Units) -> impl Iterator<Item = Step<'a>> {
    std::iter::from_fn(move || next_step(&mut body, units))
}

/// Numbers and names of the operations, in the order of their places.
fn operations<'a>(suite: Suite<'a>) -> impl Iterator<Item = (u16, &'a str)> {
    let each = (1..).map(move |place| suite.operation(place));
    let each = each.take_while(|(number, _)| *number != 0);
    each.map(|(number, name)| (number, std::str::from_utf8(name).unwrap()))
}

/// The number that the only match of `pattern` in a source finds.
fn number_in(source: &str, pattern: &str) -> usize {
    let pattern = Regex::new(pattern).unwrap();
    let found: Vec<_> = pattern.captures_iter(source).collect();
    assert_eq!(found.len(), 1, "{pattern}");
    found[0][1].replace('_', "").parse().unwrap()
}

/// Names and numbers in a list of the assembler's.
fn listed(list: &str) -> Vec<(&'static str, u64)> {
    let (_, body) = ASSEMBLER.split_once(&format!("const {list}: ")).unwrap();
    let (body, _) = body.split_once("];").unwrap();
    let entry = Regex::new(r#"\("(\w+)", (?:0x([0-9a-f_]+)|(\d+))\)"#).unwrap();
    let entries = entry.captures_iter(body).map(|entry| {
        let digits = |group: usize| entry.get(group).map(|it| it.as_str().replace('_', ""));
        let number = match (digits(2), digits(3)) {
            (Some(digits), _) => u64::from_str_radix(&digits, 16),
            (_, digits) => digits.unwrap().parse(),
        };
        (entry.get(1).unwrap().as_str(), number.unwrap())
    });
    entries.collect()
}

#[test]
fn every_case_is_read_as_it_is_written() {
    assert_eq!(cases(*SUITE).count(), WRITTEN.len());
    for (case, written) in cases(*SUITE).zip(WRITTEN.iter()) {
        let name = written.name;
        assert_eq!(shown(case.name), name);
        assert_eq!(
            (case.since.0, case.before.0),
            (written.since, written.before),
            "{name}"
        );
        assert!(!written.statements.is_empty(), "{name} does nothing");
        let (mut read, mut texts) = (case.statements, written.statements.iter());
        compare(&mut read, "read self", name);
        let ending = compare_all(&mut read, &mut texts, name);
        assert_eq!(ending, Ending::Last, "{name}: join without fork");
        assert_eq!(shown(read), "", "{name}: more is read than written");
    }
}

/// Where the statements of a case or a child end.
#[derive(Debug, PartialEq)]
enum Ending {
    Join,
    Last,
}

/// Compares statements up to the last, or to the `join` of the child whose they are.
fn compare_all<'a>(
    read: &mut &[u8],
    texts: &mut impl Iterator<Item = &'a &'static str>,
    case: &str,
) -> Ending {
    while let Some(text) = texts.next() {
        match written::words(text)[..] {
            ["join"] => return Ending::Join,
            ["fork"] => {
                let size = next_step(read, &UNITS).expect(text).operands[0] as usize;
                let (mut child, behind) = read.split_at_checked(size).expect(text);
                *read = behind;
                compare(&mut child, "read self", case);
                let ending = compare_all(&mut child, &mut *texts, case);
                assert_eq!(ending, Ending::Join, "{case}: fork without join");
                assert_eq!(shown(child), "", "{case}: a child ends in a statement");
            }
            ["touch", at, pages] => {
                for page in 0..pages.parse::<u32>().unwrap() {
                    compare(read, &format!("poke {at}+{page} t"), case);
                }
            }
            _ => compare(read, text, case),
        }
    }
    Ending::Last
}

/// Compares the next statement with its text.
fn compare(read: &mut &[u8], text: &str, case: &str) {
    let step = next_step(read, &UNITS).unwrap_or_else(|| panic!("{case}: {text} is missing"));
    let (words, expected, unless) = written::outcome(text);
    let definition = &DEFINITIONS[usize::from(step.place) - 1];
    assert_eq!(words.len(), definition.head.len(), "{case}: {text}");
    let mut operands = step.operands.into_iter();
    for (parameter, word) in definition.head.iter().zip(words) {
        if !written::is_parameter(parameter) {
            assert_eq!(*parameter, word, "{case}: {text}");
            continue;
        }
        let seen = operands.next().expect("six are enough");
        let stated = written::operand(parameter, word, &UNITS);
        assert_eq!(value(*SUITE, seen), stated, "{case}: {text}");
    }
    assert!(operands.all(|rest| rest == 0), "{case}: {text}");
    assert_eq!((step.kept, step.any), (0, false), "{case}: {text}");
    for error in 0..=200 {
        let verdict = match error {
            _ if error == expected => Verdict::Right,
            _ if unless.contains(&error) => Verdict::Unavailable,
            _ => Verdict::Wrong,
        };
        assert_eq!(step.judge(error), verdict, "{case}: {text}: {error}");
    }
}

/// An operand, or the text that it is the address of.
fn value(suite: Suite, operand: u64) -> Value {
    match suite.text(operand) {
        Some(text) => Value::Text(String::from_utf8(text.to_vec()).unwrap()),
        None => Value::Number(operand),
    }
}

#[test]
fn every_definition_is_read_as_it_is_written() {
    let operations: Vec<&str> = operations(*SUITE).map(|(_, name)| name).collect();
    for (definition, place) in DEFINITIONS.iter().zip(1..) {
        let head = definition.head.join(" ");
        let mut units = UNITS;
        let operands = (usize::from(part::OPERANDS)..).zip((1..).map(|index| index << 40));
        let parameters = definition
            .head
            .iter()
            .filter(|word| written::is_parameter(word));
        let parameters: Vec<(&str, u64)> = parameters
            .zip(operands)
            .map(|(parameter, (unit, value))| {
                units[unit] = value;
                (*parameter, value)
            })
            .collect();
        let read: Vec<Step> = steps(SUITE.definition(place), &units).collect();
        assert_eq!(read.len(), definition.steps.len(), "{head}");
        let mut words = definition.steps.iter().flatten();
        let counts = words.any(|word| word.split('+').any(|part| part == "count"));
        assert!(
            !counts || parameters.len() < 4,
            "{head}: count is a parameter"
        );
        for (step, words) in read.iter().zip(&definition.steps) {
            let (words, any) = match words.split_last() {
                Some((&"!", words)) => (words, true),
                _ => (&words[..], false),
            };
            let (words, expected) = match words {
                [words @ .., "=", error] => (words, written::error(error)),
                _ => (words, 0),
            };
            let (words, kept) = match words {
                [words @ .., "->", kept] => (words, *kept),
                _ => (words, ""),
            };
            let register = REGISTERS.iter().find(|(name, _)| *name == kept);
            assert_eq!(register.is_some(), !kept.is_empty(), "{head}");
            assert_eq!(step.kept, register.map_or(0, |(_, unit)| *unit), "{head}");
            assert_eq!(step.any, any, "{head}");
            assert_eq!(operations[usize::from(step.place) - 1], words[0], "{head}");
            let mut operands = step.operands.into_iter();
            for word in &words[1..] {
                let seen = value(*SUITE, operands.next().expect("six are enough"));
                let stated = written::argument(word, &parameters, &units);
                // A constant that is misspelt would become a text, too.
                if let Value::Text(text) = &stated {
                    let known = ["m", "check", ".vm_anon_name"];
                    let is_known = known.contains(&text.as_str());
                    assert!(text.starts_with('/') || is_known, "{head}: {text}?");
                }
                assert_eq!(seen, stated, "{head}: {word}");
            }
            assert!(operands.all(|rest| rest == 0), "{head}");
            assert_eq!(i32::from(step.expected), expected, "{head}");
            assert_eq!(step.judge(expected), Verdict::Right, "{head}");
            assert!(any || step.judge(11) == Verdict::Wrong, "{head}");
        }
    }
    let beyond = DEFINITIONS.len() as u8 + 1;
    assert_eq!(shown(SUITE.definition(beyond)), "", "there are no more");
}

#[test]
fn operations_are_system_calls_of_arm64_or_verbs_of_the_program() {
    let verbs = Regex::new(r"pub const (\w+): u16 = 0x([0-9a-f]+);").unwrap();
    let mut verbs: BTreeSet<(String, u16)> = verbs
        .captures_iter(CODE)
        .map(|verb| {
            let number = u16::from_str_radix(&verb[2], 16).unwrap();
            assert!(ACT.contains(&format!("verb::{}", &verb[1])));
            (verb[1].to_lowercase(), number)
        })
        .collect();
    assert!(!verbs.is_empty());
    for (number, name) in operations(*SUITE) {
        if number >= 0x400 {
            assert!(verbs.remove(&(name.to_owned(), number)), "{name}: {number}");
        } else {
            let call: Sysno = name.parse().expect(name);
            assert_eq!(i32::from(number), call.id(), "{name}");
        }
    }
    assert_eq!(verbs, BTreeSet::new());
}

#[test]
fn constants_protections_and_errors_are_those_of_linux() {
    let listed_constants = BTreeSet::from_iter(listed("CONSTANTS"));
    let constants = CONSTANTS.map(|(name, number)| (name, number.into()));
    assert_eq!(listed_constants, BTreeSet::from(constants));
    assert_eq!(listed("CONSTANTS").len(), CONSTANTS.len());
    let errors = listed("ERRORS");
    assert!(!errors.is_empty());
    for (name, number) in errors {
        assert_eq!(u64::from(written::error(name).unsigned_abs()), number);
    }
}

#[test]
fn nothing_is_there_that_no_case_uses() {
    fn note(body: &[u8], used: &mut BTreeSet<u8>) {
        used.extend(steps(body, &UNITS).map(|step| step.place));
    }
    let (mut definitions, mut operations) = (BTreeSet::new(), BTreeSet::new());
    cases(*SUITE).for_each(|case| note(case.statements, &mut definitions));
    for place in 1..=DEFINITIONS.len() as u8 {
        let head = DEFINITIONS[usize::from(place) - 1].head.join(" ");
        assert!(definitions.contains(&place), "no case has {head}");
        note(SUITE.definition(place), &mut operations);
    }
    assert_eq!(definitions.len(), DEFINITIONS.len());
    for ((_, name), place) in self::operations(*SUITE).zip(1..) {
        assert!(operations.contains(&place), "no definition has {name}");
    }
    let is_there = |text: &str, word: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let words = lines.flat_map(|line| line.split([' ', '|', '+', ';']));
        words.into_iter().any(|other| other == word)
    };
    for (name, _) in CONSTANTS.iter() {
        assert!(is_there(VERBS, name), "no definition has {name}");
    }
    let errors = listed("ERRORS").into_iter().map(|(name, _)| name);
    for name in errors.chain(PROTECTIONS.map(|(name, _)| name)) {
        assert!(is_there(CASES, name), "no case has {name}");
    }
}

#[test]
fn there_are_enough_cases_with_good_names() {
    let pattern = Regex::new(r"^\.{0,2}[a-z0-9][a-z0-9.-]*$").unwrap();
    let mut names = BTreeSet::new();
    let mut public = 0;
    for case in cases(*SUITE) {
        let name = std::str::from_utf8(case.name).unwrap();
        assert!(pattern.is_match(name) && name.len() <= 64, "{name}");
        assert_eq!(case.is_part(), name.starts_with('.'));
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        public += u32::from(!case.is_part());
    }
    assert!(public >= 90, "{public} cases");
}

#[test]
fn conditions_are_ranges_of_versions() {
    for case in cases(*SUITE) {
        assert!(case.since < case.before, "{}", shown(case.name));
    }
}

#[test]
fn every_part_is_executed_and_nothing_follows_exec() {
    let (mut parts, mut executed) = (BTreeSet::new(), BTreeSet::new());
    for case in WRITTEN.iter() {
        if case.name.starts_with('.') {
            parts.insert(case.name);
        }
        for (statement, behind) in case.statements.iter().zip(1..) {
            if let ["exec", part] = written::words(statement)[..] {
                executed.insert(part);
                assert_eq!(behind, case.statements.len(), "{}", case.name);
            }
        }
    }
    // PID 1 does so itself.
    let named = Regex::new(r#"c"(\.\.[a-z-]+)""#).unwrap();
    for part in named.captures_iter(CHECK) {
        executed.insert(part.get(1).unwrap().as_str());
    }
    assert_eq!(parts, executed);
}

#[test]
fn every_row_of_the_conformance_table_is_cited_or_excused() {
    let row = Regex::new(r"\bC(\d+)\b").unwrap();
    let comments = CASES.lines().filter(|line| line.starts_with('#'));
    let numbers =
        comments.flat_map(|line| row.captures_iter(line).map(|found| found[1].parse::<u32>()));
    let cited: BTreeSet<u32> = numbers.map(Result::unwrap).collect();
    for (row, reason) in NOT_CITED {
        assert!(
            !cited.contains(&row),
            "C{row} is cited now, and needs no excuse: {reason}"
        );
    }
    let excused = NOT_CITED.map(|(row, _)| row);
    let accounted: BTreeSet<u32> = cited.into_iter().chain(excused).collect();
    assert_eq!(accounted, ROWS.collect());
}

#[test]
fn the_program_has_room_for_what_a_statement_states() {
    let picture_room = number_in(ACT, r"let mut seen = Vec::<u8, (\d+)>::new\(\);");
    for case in cases(*SUITE) {
        let name = shown(case.name);
        for statement in steps(case.statements, &UNITS) {
            let definition = &DEFINITIONS[usize::from(statement.place) - 1];
            let [_, second, third, ..] = statement.operands;
            // Of what is expected, one byte more would have to show, too.
            let texts = statement.operands.iter();
            let texts = texts.filter_map(|operand| SUITE.text(*operand));
            let text = texts.map(<[u8]>::len).sum::<usize>();
            match definition.head[..] {
                ["see", ..] => assert!(text < picture_room, "{name}: a picture of {text}"),
                ["query", ..] => assert!(third <= 128, "{name}: room for {third}"),
                ["refuse", ..] => assert!(second < 0x1000, "{name}: {second} bytes"),
                _ => assert!(text <= 250, "{name}: {text} bytes"),
            }
        }
    }
}

#[test]
fn every_picture_could_be_seen() {
    let statements = WRITTEN.iter().flat_map(|case| &case.statements);
    let mut count = 0;
    for statement in statements {
        if let ["see", picture] = written::words(statement)[..] {
            assert!(is_picture(picture), "{picture}");
            count += 1;
        }
    }
    assert!(count > 90);
    for wrong in [
        "", "|", "|a||b|", "|_|a|", "_|a|_|", "|ab|", "|a|!|", "_a|", "|1|",
    ] {
        assert!(!is_picture(wrong), "{wrong}");
    }
}

/// Whether a picture could be drawn: so many pages, no bar beside a bar, and bars around VMAs
/// but for one that reaches beyond the picture.
fn is_picture(word: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphabetic() || b"_.'\":/$?|".contains(&byte);
    let pages = word.bytes().filter(|byte| *byte != b'|').count();
    let shown = number_in(ACT, r"const SHOWN: u64 = (\d+);");
    let stretches_differ = |stretch: &str| stretch.bytes().collect::<BTreeSet<u8>>().len() > 1;
    word.bytes().all(is_known)
        && (1..=shown).contains(&pages)
        && !word.contains("||")
        && !word.starts_with("|_")
        && !word.ends_with("_|")
        && !word.split('|').any(stretches_differ)
}

/// Reads all of a suite, whatever it is.
fn read_whole(assembled: &[u8]) {
    let suite = Suite::new(assembled);
    for place in [0, 1, 2, 3, 30, u8::MAX] {
        suite.operation(place);
        let mut definition = suite.definition(place);
        while let Some(step) = next_step(&mut definition, &UNITS) {
            assert!(step.place > 0 && step.count <= step.operands.len());
        }
    }
    for address in [0, u64::MAX] {
        assert_eq!(suite.text(address), None);
    }
    for case in cases(suite) {
        assert!(!case.name.is_empty());
        let mut statements = case.statements;
        while let Some(statement) = next_step(&mut statements, &UNITS) {
            assert!(case.statements.ends_with(statements));
            for error in [i32::MIN, -1, 0, 22, i32::MAX] {
                statement.judge(error);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(assembled in prop::collection::vec(any::<u8>(), 0..400)) {
        read_whole(&assembled);
        let mut rest = &assembled[..];
        while let Some(step) = next_step(&mut rest, &UNITS) {
            prop_assert!(assembled.ends_with(rest) && rest.len() < assembled.len());
            step.judge(0);
        }
    }

    #[test]
    fn a_damaged_suite_is_read(
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        length in any::<prop::sample::Index>(),
    ) {
        let mut assembled = ASSEMBLED.clone();
        for (place, byte) in damages {
            *place.get_mut(&mut assembled) = byte;
        }
        read_whole(&assembled);
        read_whole(&assembled[..length.index(assembled.len())]);
    }
}
