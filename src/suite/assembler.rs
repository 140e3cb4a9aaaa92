//! Assembler of the conformance suite: `cases.txt` and `verbs.txt` in, bytes out.
//!
//! It runs on the host: in the build script, in `cargo xtask check`, and in the tests. The
//! heads of the two texts describe their languages, `suite.rs` the bytes.

// The assembler uses only a part of these modules, the program the rest.
#[allow(dead_code, unreachable_pub)]
mod calls;
#[allow(dead_code, unreachable_pub)]
mod encoding;

use std::fmt;

use calls::{CONSTANTS, OPERATIONS};
use encoding::{MAX_OPERANDS, end, needs, register, sign, term};

/// The paths of the two texts, relative to the root of the repository.
pub const CASES: &str = "src/suite/cases.txt";
pub const VERBS: &str = "src/suite/verbs.txt";

/// The errors that a case may expect, or that may skip it
/// (`include/uapi/asm-generic/errno-base.h`, `errno.h`).
pub const ERRORS: &[(&str, u8)] = &[
    ("ENOENT", 2),
    ("E2BIG", 7),
    ("EBADF", 9),
    ("EAGAIN", 11),
    ("ENOMEM", 12),
    ("EACCES", 13),
    ("EFAULT", 14),
    ("EINVAL", 22),
    ("ENOTTY", 25),
    ("ENAMETOOLONG", 36),
    ("ENOSYS", 38),
];

/// A mistake in one of the texts.
#[derive(Debug, PartialEq)]
pub struct Mistake {
    file: &'static str,
    line: usize,
    what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Turns the texts of the cases and of the verbs into the bytes that the program reads.
///
/// # Errors
///
/// The first mistake in the verbs, or else in the cases.
pub fn assemble(cases: &str, verbs: &str) -> Result<Vec<u8>, Mistake> {
    let verbs = blocks(VERBS, verbs)?;
    let mut out = Vec::new();
    for Block { head, body } in &verbs {
        let mut steps = Vec::new();
        for line in body {
            step(line.text, head.text, &mut steps).map_err(|what| line.mistake(what))?;
        }
        let size =
            u8::try_from(steps.len()).map_err(|_| head.mistake("a verb has at most 255 bytes"))?;
        out.push(size);
        out.extend(steps);
    }
    out.push(0);
    let mut bodies = Vec::new();
    for Block { head, body } in blocks(CASES, cases)? {
        condition(head.text, &mut out).map_err(|what| head.mistake(what))?;
        let statements = statements(&mut body.iter(), head, false, &verbs)?;
        let size = u16::try_from(statements.len());
        let size = size.map_err(|_| head.mistake("a case has at most 65535 bytes"))?;
        out.extend(size.to_be_bytes());
        bodies.extend(statements);
    }
    out.push(0);
    out.extend(bodies);
    Ok(out)
}

/// A line of a text, or a part of it between semicolons.
#[derive(Clone, Copy)]
struct Line<'a> {
    file: &'static str,
    number: usize,
    text: &'a str,
}

impl Line<'_> {
    fn mistake(&self, what: impl Into<String>) -> Mistake {
        Mistake {
            file: self.file,
            line: self.number,
            what: what.into(),
        }
    }
}

/// A verb or a case: a head line, and the indented lines below it.
struct Block<'a> {
    head: Line<'a>,
    body: Vec<Line<'a>>,
}

/// The blocks of `text`, without comments.
fn blocks<'a>(file: &'static str, text: &'a str) -> Result<Vec<Block<'a>>, Mistake> {
    let mut blocks = Vec::<Block>::new();
    for (text, number) in text.lines().zip(1..) {
        let content = text.trim();
        let line = Line {
            file,
            number,
            text: content,
        };
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if text.starts_with(' ') {
            let block = blocks.last_mut();
            let block =
                block.ok_or_else(|| line.mistake("an indented line before the first head"))?;
            let parts = content.split(';').map(str::trim);
            block.body.extend(parts.map(|text| Line { text, ..line }));
        } else {
            let body = Vec::new();
            blocks.push(Block { head: line, body });
        }
    }
    match blocks.iter().find(|block| block.body.is_empty()) {
        Some(block) => Err(block.head.mistake("no indented line follows")),
        None => Ok(blocks),
    }
}

/// `NAME [>=X.Y] [<X.Y] [64-bit] [kernel-width] [memory]`.
fn condition(head: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let mut words = head.split_whitespace();
    let name = words.next().unwrap_or_default();
    let (mut since, mut before, mut needs) = ([0, 0], [u8::MAX; 2], 0);
    for word in words {
        if let Some(version) = word.strip_prefix(">=") {
            since = self::version(version)?;
        } else if let Some(version) = word.strip_prefix('<') {
            before = self::version(version)?;
        } else if word == "64-bit" {
            needs |= needs::ADDRESSES_OF_64_BITS;
        } else if word == "kernel-width" {
            needs |= needs::ADDRESSES_OF_THE_KERNEL;
        } else if word == "memory" {
            needs |= needs::MEMORY;
        } else {
            return Err(format!("unknown condition {word}"));
        }
    }
    if since >= before {
        return Err("no version fits".to_owned());
    }
    put_text(name, out);
    out.extend([since, before].as_flattened());
    out.push(needs);
    Ok(())
}

fn version(text: &str) -> Result<[u8; 2], String> {
    let (major, minor) = text.split_once('.').unwrap_or_default();
    match (major.parse(), minor.parse()) {
        (Ok(major), Ok(minor)) => Ok([major, minor]),
        _ => Err(format!("{text} is not a version X.Y")),
    }
}

/// The statements of a case, or of a child up to its `join`. `head` is the line of the case
/// or of the `fork`.
fn statements(
    lines: &mut dyn Iterator<Item = &Line>,
    head: Line,
    is_child: bool,
    verbs: &[Block],
) -> Result<Vec<u8>, Mistake> {
    let mut out = Vec::new();
    statement("read self", verbs, &mut out).map_err(|what| head.mistake(what))?;
    while let Some(line) = lines.next() {
        let mut text = line.text.to_owned();
        let mut child = Vec::new();
        // The parent could take this error for one of `fork`.
        if is_child && text.contains(" ? ") {
            return Err(line.mistake("a child cannot skip the case"));
        }
        match line.text {
            "join" if is_child => return Ok(out),
            "join" => return Err(line.mistake("join without fork")),
            "fork" => {
                child = statements(lines, *line, true, verbs)?;
                text = format!("fork {}", child.len());
            }
            _ if text.starts_with("fork ") => return Err(line.mistake("fork takes no words")),
            _ => {}
        }
        statement(&text, verbs, &mut out).map_err(|what| line.mistake(what))?;
        out.extend(child);
    }
    match is_child {
        true => Err(head.mistake("fork without join")),
        false => Ok(out),
    }
}

/// `VERB WORD... [= ERROR] [? ERROR]...`
fn statement(statement: &str, verbs: &[Block], out: &mut Vec<u8>) -> Result<(), String> {
    let words = words(statement)?;
    let is_mark = |word: &&str| ["=", "?"].contains(word);
    let (words, outcome) = words.split_at(words.iter().position(is_mark).unwrap_or(words.len()));
    let (mut expected, mut skips) = (0, Vec::new());
    for pair in outcome.chunks(2) {
        match pair {
            ["=", error] if expected == 0 => expected = self::error(error)?,
            ["?", error] => skips.push(self::error(error)?),
            _ => return Err("write one error after = and one after each ?".to_owned()),
        }
    }
    let name = words.first().ok_or("an empty statement")?;
    let fits = |verb: &Block| {
        let head: Vec<&str> = verb.head.text.split_whitespace().collect();
        let mut pairs = head.iter().zip(words);
        head.len() == words.len() && pairs.all(|(head, word)| is_parameter(head) || head == word)
    };
    let found = verbs.iter().zip(1..).find(|(verb, _)| fits(verb));
    let Some((verb, number)) = found else {
        let is_same = |verb: &&Block| verb.head.text.split(' ').next() == Some(name);
        return Err(match verbs.iter().find(is_same) {
            Some(Block { head, .. }) => {
                format!(
                    "'{statement}' is not a form of {name}, see {VERBS}:{}",
                    head.number
                )
            }
            None => format!("unknown verb {name}"),
        });
    };
    let head = verb.head.text.split_whitespace();
    let parameters = head.zip(words).filter(|(head, _)| is_parameter(head));
    let operands = parameters.map(|(parameter, word)| operand(parameter, word));
    let operands = operands.collect::<Result<Vec<_>, String>>()?;
    out.push(number);
    let mut flags = 0;
    let mut outcome = Vec::new();
    if expected != 0 {
        flags |= end::EXPECTED;
        outcome.push(expected);
    }
    if !skips.is_empty() {
        flags |= end::SKIPS;
        outcome.extend(skips);
        outcome.push(0);
    }
    list(&operands, flags, out)?;
    out.extend(outcome);
    Ok(())
}

/// `[REGISTER =] [try] OPERATION(ARGUMENT, ...)`, in a verb with this head.
fn step(step: &str, head: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let mut flags = 0;
    let mut call = step;
    let mut kept = None;
    if let Some((name, rest)) = step.split_once(" = ") {
        kept = Some(number_of(name, &register::NAMES).ok_or(format!("unknown register {name}"))?);
        call = rest;
        flags |= end::KEPT;
    }
    if let Some(rest) = call.strip_prefix("try ") {
        call = rest;
        flags |= end::TRIED;
    }
    let parts = call.strip_suffix(')').and_then(|call| call.split_once('('));
    let (name, arguments) = parts.ok_or("write a step as OPERATION(ARGUMENT, ...)")?;
    let operations: Vec<&str> = OPERATIONS.split(' ').collect();
    let code = number_of(name, &operations).ok_or(format!("unknown system call {name}"))?;
    let parameters: Vec<&str> = head
        .split_whitespace()
        .filter(|word| is_parameter(word))
        .collect();
    let arguments = arguments.split(", ").filter(|word| !word.is_empty());
    let arguments = arguments.map(|word| argument(word, &parameters));
    let arguments = arguments.collect::<Result<Vec<_>, String>>()?;
    out.push(code);
    list(&arguments, flags, out)?;
    out.extend(kept);
    Ok(())
}

/// Writes the operands, and ends the list of them with `flags`.
fn list(operands: &[Vec<u8>], flags: u8, out: &mut Vec<u8>) -> Result<(), String> {
    if operands.len() > MAX_OPERANDS {
        return Err(format!("more than {MAX_OPERANDS} operands"));
    }
    for operand in operands {
        match operand.as_slice() {
            [] => out.push(term::BYTES),
            terms => out.extend(terms),
        }
    }
    out.push(term::END | flags);
    Ok(())
}

fn is_parameter(word: &str) -> bool {
    word.len() > 1
        && word
            .chars()
            .all(|letter| letter.is_ascii_uppercase() || letter == '_')
}

/// Assembles the word that a statement has in the place of `parameter`.
fn operand(parameter: &str, word: &str) -> Result<Vec<u8>, String> {
    match (parameter, word.strip_prefix('&')) {
        ("NAME", Some(place)) => address(place),
        ("NAME", None) if word == "NULL" => Ok(Vec::new()),
        ("NAME" | "TEXT", _) => text(word),
        ("AT" | "TO", _) => address(word),
        ("LENGTH" | "NEW_LENGTH", _) => sum(Vec::new(), word, length_term),
        _ => sum(Vec::new(), word, |word| {
            let name = format!("{parameter}_{word}");
            constant(&name).map_or_else(|| plain_number(word, &name), Ok)
        }),
    }
}

/// An argument of a step.
fn argument(word: &str, parameters: &[&str]) -> Result<Vec<u8>, String> {
    if let Some(quoted) = word.strip_prefix('"') {
        let quoted = quoted
            .strip_suffix('"')
            .ok_or(format!("{word} lacks its second quote"))?;
        return text(quoted);
    }
    sum(Vec::new(), word, |word| {
        if let Some(place) = number_of(word, parameters) {
            return Ok(digits(place, term::PARAMETER));
        }
        if let Some(place) = number_of(word, &register::NAMES) {
            return Ok(digits(place, term::REGISTER));
        }
        let (count, unit) = word.split_once('*').unwrap_or(("1", word));
        match (constant(word), unit) {
            (Some(constant), _) => Ok(constant),
            (_, "page") => number(count, term::PAGES),
            (_, "word") => number(count, term::WORDS),
            _ => plain_number(word, word),
        }
    })
}

/// An address, counted from the window or, after `@`, from 0.
fn address(word: &str) -> Result<Vec<u8>, String> {
    match word.strip_prefix('@') {
        Some(length) => sum(Vec::new(), length, length_term),
        None => sum(length_term("window")?, word, length_term),
    }
}

/// Appends terms with `+`, `|` or `-` between them to those in `out`.
fn sum(
    mut out: Vec<u8>,
    word: &str,
    term: impl Fn(&str) -> Result<Vec<u8>, String>,
) -> Result<Vec<u8>, String> {
    let mut rest = word;
    loop {
        let positive = rest.strip_prefix('-').unwrap_or(rest);
        let (first, behind) =
            positive.split_at(positive.find(['+', '|', '-']).unwrap_or(positive.len()));
        let value = term(first)?;
        if !value.is_empty() {
            let joined = if out.is_empty() { 0 } else { sign::JOINED };
            let sign = match positive == rest {
                true => joined,
                false => joined | sign::NEGATIVE,
            };
            if sign != 0 {
                out.push(term::SIGN | sign);
            }
            out.extend(value);
        }
        if behind.is_empty() {
            return Ok(out);
        }
        rest = behind.strip_prefix(['+', '|']).unwrap_or(behind);
    }
}

/// `3` (pages), `3b`, `2^47` (bytes), or a word such as `huge`.
fn length_term(word: &str) -> Result<Vec<u8>, String> {
    match (word, word.strip_suffix('b')) {
        ("huge", _) => Ok(digits(1u8, term::HUGE)),
        ("window" | "length", _) => {
            let place = number_of(word, &register::NAMES).ok_or("no such register")?;
            Ok(digits(place, term::REGISTER))
        }
        (_, Some(bytes)) => number(bytes, term::BYTES),
        _ if word.starts_with("2^") => number(word, term::BYTES),
        _ => number(word, term::PAGES),
    }
}

/// A number of `unit`, in decimal digits or as a power of 2.
fn number(word: &str, unit: u8) -> Result<Vec<u8>, String> {
    let number = match word.strip_prefix("2^") {
        Some(power) => power.parse().ok().and_then(|power| 1u64.checked_shl(power)),
        None => word.parse().ok(),
    };
    match number.ok_or(format!("'{word}' is not a number"))? {
        0 => Ok(Vec::new()),
        number => Ok(digits(number, unit)),
    }
}

/// A number. A word that begins with a capital is an error: there is no constant `name`.
fn plain_number(word: &str, name: &str) -> Result<Vec<u8>, String> {
    match word.starts_with(|first: char| first.is_ascii_uppercase()) {
        true => Err(format!("unknown constant {name}")),
        false => number(word, term::BYTES),
    }
}

fn constant(name: &str) -> Option<Vec<u8>> {
    let names: Vec<&str> = CONSTANTS.split(' ').collect();
    number_of(name, &names).map(|place| digits(place, term::CONSTANT))
}

/// The place of a name in a list, counted from 1.
fn number_of(name: &str, names: &[&str]) -> Option<u8> {
    let place = names
        .iter()
        .position(|other| *other == name && !name.is_empty());
    place.map(|place| place as u8 + 1)
}

/// A number as hexadecimal digits, one byte each; the last byte also holds `term`.
fn digits(number: impl Into<u64>, term: u8) -> Vec<u8> {
    let digits = format!("{:x}", number.into());
    let digits = digits.chars().filter_map(|digit| digit.to_digit(16));
    let mut digits: Vec<u8> = digits.map(|digit| term::DIGIT | digit as u8).collect();
    if let Some(last) = digits.last_mut() {
        *last |= term;
    }
    digits
}

fn error(name: &str) -> Result<u8, String> {
    let found = ERRORS.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, number)| *number)
        .ok_or(format!("unknown error {name}"))
}

/// Splits `text` at blanks. A word between backquotes may contain blanks or be empty.
fn words(text: &str) -> Result<Vec<&str>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, behind) = match rest.strip_prefix('`') {
            Some(quoted) => quoted.split_once('`').ok_or("a backquote is not closed")?,
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word);
        rest = behind.trim_start();
    }
    Ok(words)
}

/// A text, in which `a*79` is 79 times `a`.
fn text(word: &str) -> Result<Vec<u8>, String> {
    let mut out = vec![term::TEXT];
    let mut expanded = String::new();
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        let count = rest.strip_prefix('*').unwrap_or_default();
        let end = count.find(|letter: char| !letter.is_ascii_digit());
        let (count, behind) = count.split_at(end.unwrap_or(count.len()));
        if count.is_empty() {
            expanded.push(first);
        } else {
            let count = count
                .parse()
                .map_err(|_| format!("'{count}' is not a number"))?;
            expanded.extend(std::iter::repeat_n(first, count));
            rest = behind;
        }
    }
    put_text(&expanded, &mut out);
    Ok(out)
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    out.extend(text.bytes().chain([0]));
}
