//! Tests of the conformance suite, as text and as assembled bytes.
//!
//! - [`printer`] turns the assembled bytes back into text, which must be the text that was
//!   assembled.
//! - [`language`] tests the meaning of each word of cases and verbs, and the messages about
//!   mistakes.
//! - [`confinement`] checks that no case touches memory or files that are not its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use rig::assembler;
use vm_anon_name::suite::calls::{CONSTANTS, OPERATIONS};
use vm_anon_name::suite::{Case, Context, Operand, Step, Steps, Suite, operation};
use vm_anon_name::{errno, name};

use crate::shown;
use printer::{Printed, is_parameter};

mod confinement;
mod language;
mod printer;

/// The sources that contain the sizes of buffers, and the helper cases of PID 1.
const INTERPRETER: &str = "src/program/interpreter.rs";
const CHECK: &str = "src/program/check.rs";

/// The file at this path of the repository.
fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).expect(path)
}

static CASES: LazyLock<String> = LazyLock::new(|| read(assembler::CASES));
static VERBS: LazyLock<String> = LazyLock::new(|| read(assembler::VERBS));

/// The suite as the build script assembles it.
static ASSEMBLED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let assembled = assembler::assemble(&CASES, &VERBS);
    assembled.unwrap_or_else(|mistake| panic!("{mistake}"))
});

static SUITE: LazyLock<Suite> = LazyLock::new(|| Suite::new(&ASSEMBLED));

static PRINTED: LazyLock<Printed> = LazyLock::new(|| {
    let heads: Vec<Vec<String>> = blocks(&VERBS)
        .into_iter()
        .map(|(head, _)| words(head))
        .collect();
    printer::print(&ASSEMBLED, &heads)
});

/// The heads in a text, and the lines below each. A `;` ends a line.
fn blocks(text: &'static str) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut blocks = Vec::<(&str, Vec<&str>)>::new();
    for line in text.lines() {
        if line.is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        match line.strip_prefix("  ") {
            Some(line) => blocks.last_mut().unwrap().1.extend(line.split(';')),
            None => blocks.push((line, Vec::new())),
        }
    }
    blocks
}

/// The words of a line, separated by spaces or between backquotes. `a*3` becomes `aaa`.
fn words(line: &str) -> Vec<String> {
    static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"`([^`]*)`|(\S+)").unwrap());
    static STAR: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(.)\*(\d+)").unwrap());
    let words = WORD.captures_iter(line).map(|word| {
        let word = word.get(1).or(word.get(2)).unwrap().as_str();
        let repeated = |star: &regex::Captures| star[1].repeat(star[2].parse().unwrap());
        STAR.replace_all(word, repeated).into_owned()
    });
    words.collect()
}

/// The steps of a verb, or the statements of a case.
fn steps<'a>(mut steps: Steps<'a>, context: Context<'a>) -> impl Iterator<Item = Step<'a>> {
    std::iter::from_fn(move || steps.next(&context))
}

/// A step in the form in which the program reports a failure.
fn show(step: &Step) -> String {
    let operands = step
        .operands
        .iter()
        .take(step.count)
        .map(|operand| match operand {
            Operand::Number(number) => format!("{number:#x}"),
            Operand::Text(text) => format!("\"{}\"", shown(text)),
        });
    let operands: Vec<String> = operands.collect();
    format!("{}({})", operation_name(step.code), operands.join(", "))
}

fn operation_name(code: u8) -> &'static str {
    std::str::from_utf8(operation(code)).unwrap()
}

fn error_name(number: u8) -> String {
    String::from_utf8(errno::name(number.into()).to_vec()).unwrap()
}

/// The number that `pattern` captures at its only match in a source.
fn number_in(source: &str, pattern: &str) -> usize {
    let (text, pattern) = (read(source), Regex::new(pattern).unwrap());
    let found: Vec<_> = pattern.captures_iter(&text).collect();
    assert_eq!(found.len(), 1, "{pattern} in {source}");
    found[0][1].replace('_', "").parse().unwrap()
}

#[test]
fn every_case_reads_back_as_it_is_written() {
    for ((head, lines), (printed, statements)) in blocks(&CASES).iter().zip(&PRINTED.cases) {
        assert_eq!(printed, head);
        let written: Vec<Vec<String>> = lines.iter().map(|line| words(line)).collect();
        assert_eq!(statements, &written, "{head}");
    }
    assert_eq!(PRINTED.cases.len(), blocks(&CASES).len());
}

#[test]
fn every_verb_reads_back_as_it_is_written() {
    for ((head, written), steps) in blocks(&VERBS).iter().zip(&PRINTED.verbs) {
        assert_eq!(steps, written, "{head}");
    }
    assert_eq!(PRINTED.verbs.len(), blocks(&VERBS).len());
}

#[test]
fn every_verb_is_described() {
    for paragraph in VERBS.split("\n\n") {
        assert!(paragraph.starts_with('#'), "no comment above: {paragraph}");
    }
}

#[test]
fn every_verb_operation_constant_and_error_is_used() {
    let statements: Vec<&Vec<String>> = PRINTED.cases.iter().flat_map(|case| &case.1).collect();
    for (head, _) in blocks(&VERBS) {
        let head = words(head);
        let fits = |statement: &&&Vec<String>| {
            let mut pairs = head.iter().zip(**statement);
            statement
                .iter()
                .take_while(|word| !["=", "?"].contains(&word.as_str()))
                .count()
                == head.len()
                && pairs.all(|(head, word)| is_parameter(head) || head == word)
        };
        let is_used = head[0] == "fork" || head == ["read", "self"];
        assert!(
            is_used || statements.iter().any(|it| fits(&it)),
            "no case has {head:?}"
        );
    }
    let names: BTreeSet<&str> = VERBS
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .collect();
    for name in OPERATIONS.split_whitespace() {
        assert!(names.contains(name), "no verb has {name}");
    }
    let words: BTreeSet<&str> = statements
        .iter()
        .flat_map(|words| words.iter())
        .flat_map(|word| word.split(['|', '+']))
        .collect();
    for name in CONSTANTS.split_whitespace() {
        let is_there = |(at, _)| words.contains(&name[at + 1..]);
        let is_written = name.match_indices('_').any(is_there);
        assert!(
            is_written || names.contains(name),
            "neither a verb nor a case has {name}"
        );
    }
    for (name, number) in assembler::ERRORS {
        assert_eq!(error_name(*number), *name);
        assert!(words.contains(name), "no case has {name}");
    }
}

#[test]
fn every_case_has_a_good_name_of_its_own() {
    let pattern = Regex::new(r"^\.{0,2}[a-z0-9][a-z0-9.-]*$").unwrap();
    let mut names = BTreeSet::new();
    for case in SUITE.cases {
        let name = shown(case.name);
        assert!(pattern.is_match(&name) && name.len() <= 64, "{name}");
        assert!(names.insert(name.clone()), "{name} is there twice");
    }
}

#[test]
fn every_helper_is_run_and_nothing_follows_exec() {
    let helpers = SUITE
        .cases
        .filter(Case::is_helper)
        .map(|case| shown(case.name));
    let mut run = BTreeSet::new();
    for (head, statements) in &PRINTED.cases {
        for (statement, after) in statements.iter().zip(1..) {
            if let [verb, helper, ..] = &statement[..]
                && verb == "exec"
            {
                run.insert(helper.clone());
                assert_eq!(after, statements.len(), "{head}");
            }
        }
    }
    // PID 1 runs these.
    let named = Regex::new(r#"c"(\.\.[a-z-]+)""#).unwrap();
    run.extend(
        named
            .captures_iter(&read(CHECK))
            .map(|name| name[1].to_owned()),
    );
    assert_eq!(helpers.collect::<BTreeSet<String>>(), run);
}

#[test]
fn the_cases_with_many_mappings_are_those_that_need_memory() {
    const MANY: [&str; 3] = ["exhaust", "split", "name-every-other"];
    for (case, (head, statements)) in SUITE.cases.zip(&PRINTED.cases) {
        let mut verbs = statements.iter().map(|words| &*words[0]);
        let has_many = verbs.any(|verb| MANY.contains(&verb));
        assert_eq!(has_many, case.needs_memory(), "{head}");
    }
}

/// A case is skipped if it cannot map a file because of what the process inherits, such as an
/// executable that it may not read. After a call under test, the same error fails the case.
#[test]
fn files_are_mapped_before_memory_is_named() {
    for (head, statements) in &PRINTED.cases {
        let is_named = |words: &Vec<String>| words[0].ends_with("name") || words[0] == "prctl";
        let is_file = |words: &Vec<String>| {
            words[0] == "map"
                && words
                    .iter()
                    .any(|word| ["exe", "zero", "memfd", "hugetlb"].contains(&word.as_str()))
        };
        let first_name = statements.iter().position(is_named);
        let last_file = statements.iter().rposition(is_file);
        if let (Some(name), Some(file)) = (first_name, last_file) {
            assert!(file < name, "{head}");
        }
    }
}

/// `tests/conformance.md` has the rows, and the cases that test each.
#[test]
fn every_row_of_the_conformance_table_is_cited_or_not_tested() {
    let row = Regex::new(r"\bC(\d+)\b").unwrap();
    let comments = CASES.lines().filter(|line| line.starts_with('#'));
    let cited = comments.flat_map(|line| row.find_iter(line).map(|row| row.as_str()));
    let cited: BTreeSet<&str> = cited.collect();
    let names: BTreeSet<String> = SUITE.cases.map(|case| shown(case.name)).collect();
    let table = read("tests/conformance.md");
    let mut tested = BTreeSet::new();
    for line in table.lines().filter(|line| line.starts_with("| C")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let (row, cases) = (cells[0], cells.last().unwrap().trim_end_matches(" |"));
        if cases.starts_with("not tested: ") {
            continue;
        }
        tested.insert(row);
        for case in cases.split(", ") {
            assert!(names.contains(case), "{row}: there is no case {case}");
        }
    }
    assert_eq!(cited, tested);
}

#[test]
fn every_diagram_could_be_drawn() {
    let statements = PRINTED.cases.iter().flat_map(|case| &case.1);
    for statement in statements.filter(|statement| statement[0] == "see") {
        assert!(is_diagram(&statement[1]), "{}", statement[1]);
    }
    for wrong in [
        "", "|", "|a||b|", "|_|a|", "_|a|_|", "|ab|", "|a|!|", "_a|", "|1|",
    ] {
        assert!(!is_diagram(wrong), "{wrong}");
    }
}

/// Whether the program could draw this diagram: characters of pages, no two bars in a row,
/// and bars around VMAs, except one that continues outside.
fn is_diagram(word: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphabetic() || b"_.'\":/$?|".contains(&byte);
    let pages = word.bytes().filter(|byte| *byte != b'|').count();
    let drawn = number_in(INTERPRETER, r"const DRAWN: u64 = (\d+);");
    let is_mixed = |stretch: &str| stretch.bytes().collect::<BTreeSet<u8>>().len() > 1;
    word.bytes().all(is_known)
        && (1..=drawn).contains(&pages)
        && !word.contains("||")
        && !word.starts_with("|_")
        && !word.ends_with("_|")
        && !word.split('|').any(is_mixed)
}

/// The cases about the bytes of a name try each byte once, and each forbidden byte at every
/// place.
#[test]
fn every_byte_of_a_name_is_accepted_or_rejected() {
    for (case, size) in [
        ("one-byte-names-are-printable-and-not-forbidden", 1),
        (
            "forbidden-bytes-are-refused-at-every-place",
            name::MAX_LENGTH,
        ),
    ] {
        let (_, statements) = PRINTED
            .cases
            .iter()
            .find(|(head, _)| head == case)
            .expect(case);
        let mut next = 1;
        for statement in statements {
            let is_accepted = match statement[0].as_str() {
                "accept" => true,
                "reject" => false,
                _ => continue,
            };
            let [first, last, length] =
                [1, 2, 3].map(|word| statement[word].parse::<usize>().unwrap());
            assert_eq!((first, length), (next, size), "{case}");
            for byte in first..=last {
                assert_eq!(name::is_allowed(byte as u8), is_accepted, "{case}: {byte}");
            }
            next = last + 1;
        }
        assert_eq!(next, 256, "{case}");
    }
}
