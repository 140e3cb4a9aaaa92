//! `cases.txt` and `verbs.txt` read a second time, by patterns: what the assembler
//! makes of them is compared with this.

use std::sync::LazyLock;

use linux_raw_sys::general::*;
use linux_raw_sys::prctl::{PR_SET_TAGGED_ADDR_CTRL, PR_SET_VMA};
use regex::Regex;
use vm_anon_name::errno;
use vm_anon_name::suite::{Units, code::part};

pub const CASES: &str = include_str!("../../../src/suite/cases.txt");
pub const VERBS: &str = include_str!("../../../src/suite/verbs.txt");

/// What the constants of `verbs.txt` stand for, as others wrote them down.
///
/// These are the host's numbers. On x86-64 they are the generic ones, which arm64
/// has too: of all `PROT_*`, `MAP_*`, `MFD_*`, `O_RD*` and `PR_SET_*`, the two differ in
/// `MAP_32BIT` and `MAP_ABOVE4G`, which are x86's, and `PROT_BTI` and `PROT_MTE`, which
/// are arm64's. None of the four is used.
pub const CONSTANTS: [(&str, u32); 24] = [
    ("NONE", PROT_NONE),
    ("READ", PROT_READ),
    ("WRITE", PROT_WRITE),
    ("SHARED", MAP_SHARED),
    ("PRIVATE", MAP_PRIVATE),
    ("DROPPABLE", MAP_DROPPABLE),
    ("FIXED", MAP_FIXED),
    ("ANONYMOUS", MAP_ANONYMOUS),
    ("GROWSDOWN", MAP_GROWSDOWN),
    ("NORESERVE", MAP_NORESERVE),
    ("STACK", MAP_STACK),
    ("HUGETLB", MAP_HUGETLB),
    ("FIXED_NOREPLACE", MAP_FIXED_NOREPLACE),
    ("RDONLY", O_RDONLY),
    ("RDWR", O_RDWR),
    ("CREAT", O_CREAT),
    ("EXCL", O_EXCL),
    ("CLOEXEC", O_CLOEXEC),
    ("GET_SEALS", 1034), // include/uapi/linux/fcntl.h, which the crate does not have.
    ("PROCMAP_QUERY", 0xc068_6611), // include/uapi/linux/fs.h: _IOWR('f', 17), 104 bytes.
    ("MFD_HUGETLB", MFD_HUGETLB),
    ("IPC_RMID", 0), // include/uapi/linux/ipc.h, which the crate does not have.
    ("SET_TAGGED_ADDR_CTRL", PR_SET_TAGGED_ADDR_CTRL),
    ("SET_VMA", PR_SET_VMA),
];

/// The words that are protections, and the numbers that they stand for.
pub const PROTECTIONS: [(&str, u32); 3] = [
    ("none", PROT_NONE),
    ("ro", PROT_READ),
    ("rw", PROT_READ | PROT_WRITE),
];

/// What results are kept as.
pub const REGISTERS: [(&str, u8); 6] = [
    ("window", part::WINDOW),
    ("file", part::FILE),
    ("place", part::FILE),
    ("maps", part::MAPS),
    ("byte", part::LENGTH),
    // A fourth operand, in what has three at most.
    ("count", part::OPERANDS + 3),
];

/// A case as it is written.
pub struct Case {
    pub name: &'static str,
    /// Major and minor number, a byte each.
    pub since: u16,
    pub before: u16,
    /// One after another, `join` among them.
    pub statements: Vec<&'static str>,
}

/// The cases, in order.
pub static WRITTEN: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let head = Regex::new(r"^(\S+)(?: >=([4-9])\.(\d+))?(?: <([4-9])\.(\d+))?$").unwrap();
    let mut cases = Vec::<Case>::new();
    let lines = CASES.lines().filter(|line| !is_comment(line));
    for line in lines {
        if let Some(statements) = line.strip_prefix("  ") {
            let case = cases.last_mut().expect("a head comes first");
            case.statements
                .extend(statements.split(';').map(|part| part.trim()));
            continue;
        }
        let parts = head.captures(line).expect(line);
        let number = |group: usize| {
            parts
                .get(group)
                .map(|it| it.as_str().parse::<u8>().unwrap())
        };
        let version = |major, otherwise| match (number(major), number(major + 1)) {
            (Some(major), Some(minor)) => u16::from_be_bytes([major, minor]),
            _ => otherwise,
        };
        cases.push(Case {
            name: parts.get(1).unwrap().as_str(),
            since: version(2, 0),
            before: version(4, u16::MAX),
            statements: Vec::new(),
        });
    }
    cases
});

/// A line of `verbs.txt`: what a statement looks like, and the steps that it comes to.
pub struct Definition {
    pub head: Vec<&'static str>,
    pub steps: Vec<Vec<&'static str>>,
}

/// The definitions, in order.
pub static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    let definition = Regex::new(r"^(\S.*?) += (.+)$").unwrap();
    let lines = VERBS.lines().filter(|line| !is_comment(line));
    lines
        .map(|line| {
            let parts = definition.captures(line).expect(line);
            let part = |index: usize| parts.get(index).unwrap().as_str();
            let steps = part(2).split(';').map(|step| words(step.trim()));
            Definition {
                head: words(part(1)),
                steps: steps.collect(),
            }
        })
        .collect()
});

fn is_comment(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

/// Whether a word of a definition's head stands for any.
pub fn is_parameter(word: &str) -> bool {
    static PARAMETER: LazyLock<Regex> = LazyLock::new(|| Regex::new("^[A-Z]{2,}$").unwrap());
    PARAMETER.is_match(word)
}

/// The words of a statement or a step.
pub fn words(text: &str) -> Vec<&str> {
    static WORD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^(?:`([^`]*)`|([^ `]\S*))(?: +|$)").unwrap());
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let found = WORD.captures(rest).expect(rest);
        words.push(found.get(1).or(found.get(2)).unwrap().as_str());
        rest = &rest[found[0].len()..];
    }
    words
}

/// The words of a statement, the error it must end with (0 for none), and those for
/// which its case is skipped.
pub fn outcome(text: &str) -> (Vec<&str>, i32, Vec<i32>) {
    static OUTCOME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^(.*?)((?: = [A-Z0-9]+)?)((?: \? [A-Z0-9]+)*)$").unwrap());
    let parts = OUTCOME.captures(text).expect(text);
    let what = parts.get(1).unwrap().as_str();
    let numbers = |text: &str| {
        let names = text.split([' ', '=', '?']).filter(|name| !name.is_empty());
        names.map(error).collect::<Vec<i32>>()
    };
    let expected = numbers(&parts[2]).first().copied();
    (words(what), expected.unwrap_or(0), numbers(&parts[3]))
}

/// The number of an error.
pub fn error(name: &str) -> i32 {
    let found = (1..=40).find(|number| errno::name(*number).text() == name);
    found.unwrap_or_else(|| panic!("no error: {name}"))
}

/// A number: terms joined by signs, whose sum wraps around.
pub fn number(word: &str, units: &Units) -> Option<u64> {
    static TERM: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^([+-]?)(?:([wnh])|\^(\d\d?)|(\d+)(b?))").unwrap());
    let unit = |part: u8| i128::from(units[usize::from(part)]);
    let (mut sum, mut rest) = (0, word);
    loop {
        let term = TERM.captures(rest)?;
        // All but the first have a sign.
        if term[1].is_empty() != (rest.len() == word.len()) {
            return None;
        }
        let value = match (term.get(2), term.get(3), term.get(4)) {
            (Some(letter), ..) => match letter.as_str() {
                "w" => unit(part::WINDOW),
                "n" => unit(part::LENGTH),
                _ => unit(part::HUGE),
            },
            (_, Some(power), _) => 1 << power.as_str().parse::<u32>().ok()?,
            (_, _, count) => {
                let count = i128::from(count?.as_str().parse::<u64>().ok()?);
                count
                    * if &term[5] == "b" {
                        1
                    } else {
                        unit(part::PAGES)
                    }
            }
        };
        sum += if &term[1] == "-" { -value } else { value };
        rest = &rest[term[0].len()..];
        if rest.is_empty() {
            return Some(sum as u64);
        }
    }
}

/// A number counted from the window or, after `@`, from 0.
pub fn address(word: &str, units: &Units) -> Option<u64> {
    match word.strip_prefix('@') {
        Some(word) => number(word, units),
        None => Some(number(word, units)?.wrapping_add(units[usize::from(part::WINDOW)])),
    }
}

/// What a word stands for.
#[derive(Debug, PartialEq)]
pub enum Value {
    Number(u64),
    Text(String),
}

/// The text that a word stands for: `a*3` for `aaa`.
pub fn text(word: &str) -> Value {
    static STAR: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(.)\*(\d+)").unwrap());
    let repeated = |found: &regex::Captures| found[1].repeat(found[2].parse().unwrap());
    Value::Text(STAR.replace_all(word, repeated).into_owned())
}

/// What a word of a statement stands for, where its definition has `parameter`.
pub fn operand(parameter: &str, word: &str, units: &Units) -> Value {
    let protection = PROTECTIONS.iter().find(|(name, _)| *name == word);
    let value = match (parameter, protection) {
        ("AT" | "TO", _) => address(word, units),
        ("TEXT", _) => return text(word),
        ("NAME", _) => match (word, word.strip_prefix('&')) {
            ("NULL", _) => Some(0),
            (_, Some(place)) => address(place, units),
            _ => return text(word),
        },
        ("PROTECTION", Some((_, protection))) => Some((*protection).into()),
        _ => number(word, units),
    };
    Value::Number(value.unwrap_or_else(|| panic!("{word} is no {parameter}")))
}

/// What an argument of a step stands for, given what the parameters do.
pub fn argument(word: &str, parameters: &[(&str, u64)], units: &Units) -> Value {
    let mut sum = 0u64;
    for part in word.split(['+', '|']) {
        let parameter = parameters.iter().find(|(name, _)| *name == part);
        let register = REGISTERS.iter().find(|(name, _)| *name == part);
        let constant = CONSTANTS.iter().find(|(name, _)| *name == part);
        let value = parameter.map(|(_, value)| *value);
        let value = value.or(register.map(|(_, unit)| units[usize::from(*unit)]));
        let value = value.or(constant.map(|(_, value)| (*value).into()));
        match value.or_else(|| number(part, units)) {
            Some(value) => sum = sum.wrapping_add(value),
            None => return Value::Text(word.to_owned()),
        }
    }
    Value::Number(sum)
}
