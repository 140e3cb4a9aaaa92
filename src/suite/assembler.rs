//! Assembles the suite: text in, the bytes that the program carries out.
//!
//! It runs on the host, in the build script and in the tests. `cases.txt` is
//! written for people; here its statements become steps, each a system call or one
//! of the program's own verbs with its operands (see `verbs.txt`, and `suite.rs`
//! for what the bytes mean).

use std::fmt::Write as _;

use super::encoding::{end, part, verb};

/// The texts it is made from.
const CASES: &str = include_str!("cases.txt");
const VERBS: &str = include_str!("verbs.txt");

/// What a step does: its name in `verbs.txt` and in reports, and its number. Those of
/// the calls are of `include/uapi/asm-generic/unistd.h`, which arm64 uses.
const OPERATIONS: &[(&str, u16)] = &[
    // What is done most often comes first, for they are counted.
    ("prctl", 167),
    ("store", verb::STORE),
    ("again", verb::AGAIN),
    ("see", verb::SEE),
    ("label", verb::LABEL),
    ("at", verb::AT),
    ("compare", verb::COMPARE),
    ("fork", verb::FORK),
    ("share", verb::SHARE),
    ("write", verb::WRITE),
    ("dup", 23),
    ("fcntl", 25),
    ("ioctl", 29),
    ("unlinkat", 35),
    ("ftruncate", 46),
    ("chdir", 49),
    ("openat", 56),
    ("close", 57),
    ("read", 63),
    ("pwrite64", 68),
    ("setresuid", 147),
    ("shmget", 194),
    ("shmctl", 195),
    ("shmat", 196),
    ("brk", 214),
    ("munmap", 215),
    ("mremap", 216),
    ("execve", 221),
    ("mmap", 222),
    ("mprotect", 226),
    ("mlock", 228),
    ("munlock", 229),
    ("madvise", 233),
    ("memfd_create", 279),
    ("memfd_secret", 447),
    ("mseal", 462),
];

/// What the constants stand for (`include/uapi/asm-generic/mman*.h`, `fcntl.h`,
/// `linux/memfd.h`, `linux/ipc.h`, `linux/prctl.h`, `linux/fs.h`).
const CONSTANTS: &[(&str, u64)] = &[
    ("NONE", 0),
    ("READ", 1),
    ("WRITE", 2),
    ("SHARED", 0x1),
    ("PRIVATE", 0x2),
    ("DROPPABLE", 0x8),
    ("FIXED", 0x10),
    ("ANONYMOUS", 0x20),
    ("GROWSDOWN", 0x100),
    ("NORESERVE", 0x4000),
    ("STACK", 0x2_0000),
    ("HUGETLB", 0x4_0000),
    ("FIXED_NOREPLACE", 0x10_0000),
    ("RDONLY", 0),
    ("RDWR", 2),
    ("CREAT", 0x40),
    ("EXCL", 0x80),
    ("CLOEXEC", 0x8_0000),
    ("GET_SEALS", 1034),
    ("PROCMAP_QUERY", 0xc068_6611),
    ("MFD_HUGETLB", 4),
    ("IPC_RMID", 0),
    ("SET_TAGGED_ADDR_CTRL", 55),
    ("SET_VMA", 0x5356_4d41),
];

/// What results are kept as, and go by.
const REGISTERS: &[(&str, u8)] = &[
    ("window", part::WINDOW),
    ("place", part::FILE),
    ("file", part::FILE),
    ("maps", part::MAPS),
    ("byte", part::LENGTH),
    ("count", part::COUNT),
];

const PROTECTIONS: &[(&str, &str)] = &[("none", "0b"), ("ro", "1b"), ("rw", "3b")];

/// The errors that cases expect, or are skipped for.
const ERRORS: &[(&str, u8)] = &[
    ("EPERM", 1),
    ("ENOENT", 2),
    ("EBADF", 9),
    ("EAGAIN", 11),
    ("ENOMEM", 12),
    ("EACCES", 13),
    ("EFAULT", 14),
    ("EINVAL", 22),
    ("EROFS", 30),
    ("ENAMETOOLONG", 36),
    ("ENOSYS", 38),
];

/// What went wrong, and where.
type Result<T> = std::result::Result<T, String>;

/// The suite as the program reads it.
///
/// # Errors
///
/// The first statement that means nothing, with its case.
pub fn assemble() -> Result<Vec<u8>> {
    assemble_text(CASES)
}

/// The same, of other cases.
pub fn assemble_text(cases: &str) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for (name, number) in OPERATIONS {
        head(0, *number, name, &mut out);
    }
    head(0, 0, "", &mut out);
    let cases = split_cases(cases)?;
    for (first_line, _) in &cases {
        let (name, since, before) =
            conditions(first_line).map_err(|fault| format!("{first_line}: {fault}"))?;
        head(since, before, name, &mut out);
    }
    head(0, 0, "", &mut out);
    for (head, steps) in definitions() {
        let parameters = words(head);
        for each in steps.split(';') {
            step(each, &parameters, &mut out).map_err(|fault| format!("{head}: {fault}"))?;
        }
        out.push(0);
    }
    out.push(0);
    for (head, statements) in cases {
        case(&statements, &mut out).map_err(|fault| format!("{head}: {fault}"))?;
    }
    Ok(out)
}

/// Two numbers and a name.
fn head(first: u16, second: u16, name: &str, out: &mut Vec<u8>) {
    out.extend(first.to_be_bytes());
    out.extend(second.to_be_bytes());
    text(name, out);
}

/// The definitions: the verb with its parameters, and its steps.
fn definitions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = VERBS
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_once(" = ").unwrap_or((line, "")))
}

/// The head of each case, and its statements.
fn split_cases(text: &str) -> Result<Vec<(&str, Vec<&str>)>> {
    let mut cases = Vec::<(&str, Vec<&str>)>::new();
    for line in text.lines() {
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if !line.starts_with(' ') {
            cases.push((content, Vec::new()));
            continue;
        }
        let (_, statements) = cases.last_mut().ok_or("a statement before all cases")?;
        statements.extend(content.split(';').map(str::trim));
    }
    Ok(cases)
}

/// `NAME [>=X.Y] [<X.Y]`: name, first and first not.
fn conditions(head: &str) -> Result<(&str, u16, u16)> {
    let mut words = head.split(' ');
    let name = words.next().unwrap_or_default();
    let (mut since, mut before) = ([0, 0], [u8::MAX; 2]);
    for word in words {
        let (place, version) = match (word.strip_prefix(">="), word.strip_prefix('<')) {
            (Some(version), _) => (&mut since, version),
            (_, Some(version)) => (&mut before, version),
            _ => return Err(format!("'{word}' is no range of versions")),
        };
        let (major, minor) = version.split_once('.').ok_or("a version is X.Y")?;
        *place = [parse(major)?, parse(minor)?];
    }
    Ok((name, u16::from_be_bytes(since), u16::from_be_bytes(before)))
}

/// The `statements` of a case.
fn case(statements: &[&str], out: &mut Vec<u8>) -> Result<()> {
    statement("read self", out)?;
    out.extend(body(&mut statements.iter(), false)?);
    out.push(0);
    Ok(())
}

/// The `statements` up to their end or, in a child, their `join`.
fn body<'a>(statements: &mut impl Iterator<Item = &'a &'a str>, is_child: bool) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    while let Some(each) = statements.next() {
        match *each {
            "join" if is_child => return Ok(out),
            "join" => return Err("a join without its fork".to_owned()),
            "fork" => {
                let mut child = Vec::new();
                statement("read self", &mut child)?;
                child.extend(body(statements, true)?);
                statement(&format!("fork {}b", child.len()), &mut out)?;
                out.extend(child);
            }
            _ if each.starts_with("fork ") => {
                return Err(format!("{each}: no words behind it"));
            }
            _ => statement(each, &mut out).map_err(|fault| format!("{each}: {fault}"))?,
        }
    }
    if is_child {
        return Err("a fork without its join".to_owned());
    }
    Ok(out)
}

/// `VERB WORD... [= ERROR] [? ERROR]...`
fn statement(statement: &str, out: &mut Vec<u8>) -> Result<()> {
    let words = words(statement);
    let is_mark = |word: &String| word == "=" || word == "?";
    let (words, outcome) = words.split_at(words.iter().position(is_mark).unwrap_or(words.len()));
    if let [verb, at, length] = words
        && verb == "touch"
        && outcome.is_empty()
    {
        let mut pages = 0..parse::<u64>(length)?;
        return pages.try_for_each(|page| self::statement(&format!("poke {at}+{page} t"), out));
    }
    let (mut expected, mut unless) = (0, Vec::new());
    for pair in outcome.chunks(2) {
        match pair {
            [mark, error] if mark == "=" && expected == 0 => expected = find(ERRORS, error)?,
            [mark, error] if mark == "?" => unless.push(find(ERRORS, error)?),
            _ => return Err("one error behind =, and one behind each ?".to_owned()),
        }
    }
    let is_fit = |head: &[String]| {
        let is_fit = |(stated, word): (&String, &String)| stated == word || is_parameter(stated);
        head.len() == words.len() && head.iter().zip(words).all(is_fit)
    };
    let heads = definitions().map(|(head, _)| self::words(head));
    let found = heads.enumerate().find(|(_, head)| is_fit(head));
    let (place, head) = found.ok_or("no such verb, or not with these words")?;
    out.push(place as u8 + 1);
    for (parameter, word) in head
        .iter()
        .zip(words)
        .filter(|(stated, _)| is_parameter(stated))
    {
        operand(parameter, word, out)?;
        out.push(part::END << 4);
    }
    let outcome = expected != 0 || !unless.is_empty();
    finish(if outcome { end::OUTCOME } else { 0 }, out);
    if outcome {
        out.push(expected);
        out.extend(unless);
        out.push(0);
    }
    Ok(())
}

/// Ends the operands. The last one needs no end of its own.
fn finish(flags: u8, out: &mut Vec<u8>) {
    if out.last() == Some(&(part::END << 4)) {
        out.pop();
    }
    out.push(part::END << 4 | end::LAST | flags);
}

fn is_parameter(word: &str) -> bool {
    word.len() > 1 && word.chars().all(|letter| letter.is_ascii_uppercase())
}

/// `CALL ARGUMENT... [-> KEPT] [= ERROR] [!]`
fn step(step: &str, parameters: &[String], out: &mut Vec<u8>) -> Result<()> {
    let mut words = words(step);
    let mut flags = 0;
    if words.last().is_some_and(|word| word == "!") {
        words.pop();
        flags |= end::ANY;
    }
    let mut ending = Vec::new();
    if let [.., mark, error] = &*words
        && mark == "="
    {
        ending.extend([find(ERRORS, error)?, 0]);
        flags |= end::OUTCOME;
        words.truncate(words.len() - 2);
    }
    if let [.., arrow, name] = &*words
        && arrow == "->"
    {
        ending.push(find(REGISTERS, name)?);
        flags |= end::KEPT;
        words.truncate(words.len() - 2);
    }
    let (call, arguments) = words.split_first().ok_or("a step is empty")?;
    let operation = OPERATIONS.iter().position(|(name, _)| name == call);
    out.push(operation.ok_or_else(|| format!("no operation {call}"))? as u8 + 1);
    for argument in arguments {
        self::argument(argument, parameters, out)?;
        out.push(part::END << 4);
    }
    finish(flags, out);
    out.extend(ending);
    Ok(())
}

/// The word that stands for a parameter in a statement.
fn operand(parameter: &str, word: &str, out: &mut Vec<u8>) -> Result<()> {
    match parameter {
        "AT" | "TO" => address(word, out),
        "TEXT" => pointer(word, out),
        "NAME" => match (word, word.strip_prefix('&')) {
            ("NULL", _) => Ok(()),
            (_, Some(place)) => address(place, out),
            _ => pointer(word, out),
        },
        "PROTECTION" => {
            let known = PROTECTIONS.iter().find(|(name, _)| *name == word);
            sum(known.map_or(word, |(_, number)| number), out)
        }
        _ => sum(word, out),
    }
}

/// What a step gets: words joined by `+` or `|`.
fn argument(word: &str, parameters: &[String], out: &mut Vec<u8>) -> Result<()> {
    let places = parameters.iter().filter(|word| is_parameter(word));
    let places = places.map(String::as_str).zip(part::OPERANDS..);
    let places = places.collect::<Vec<_>>();
    let mut constant = 0;
    for word in word.split(['+', '|']) {
        if let Ok(place) = find(&places, word).or_else(|_| find(REGISTERS, word)) {
            unit(1, place, out);
        } else if let Ok(value) = find(CONSTANTS, word) {
            constant |= value;
        } else if word.starts_with(|first: char| first.is_ascii_digit()) {
            sum(word, out)?;
        } else {
            pointer(word, out)?;
        }
    }
    unit(constant, part::BYTES, out);
    Ok(())
}

/// Words between blanks. One that stands between backquotes may hold blanks, or nothing.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, behind) = match rest.strip_prefix('`') {
            Some(quoted) => quoted.split_once('`').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = behind.trim_start();
    }
    words
}

/// A number counted from the window or, after `@`, from 0.
fn address(word: &str, out: &mut Vec<u8>) -> Result<()> {
    match word.strip_prefix('@') {
        Some(number) => sum(number, out),
        None => {
            sum(word, out)?;
            unit(1, part::WINDOW, out);
            Ok(())
        }
    }
}

/// Terms joined by `+` and `-`. Those that are subtracted come first, as only all that
/// is there can change its sign.
fn sum(word: &str, out: &mut Vec<u8>) -> Result<()> {
    let signed = word.replace('-', "+-");
    let (negative, positive): (Vec<&str>, Vec<&str>) =
        signed.split('+').partition(|term| term.starts_with('-'));
    for term in &negative {
        self::term(&term[1..], out)?;
    }
    if !negative.is_empty() {
        out.push(part::NEGATE << 4);
    }
    positive.iter().try_for_each(|term| self::term(term, out))
}

/// `3`, `3b`, `^47` or a letter.
fn term(text: &str, out: &mut Vec<u8>) -> Result<()> {
    let (count, unit) = match (text, text.strip_prefix('^'), text.strip_suffix('b')) {
        ("w", ..) => (1, part::WINDOW),
        ("n", ..) => (1, part::LENGTH),
        ("h", ..) => (1, part::HUGE),
        (_, Some(power), _) => {
            let count = 1u64.checked_shl(parse(power)?);
            (count.ok_or("a power from 0 to 63")?, part::BYTES)
        }
        (_, _, Some(bytes)) => (parse(bytes)?, part::BYTES),
        _ => (parse(text)?, part::PAGES),
    };
    self::unit(count, unit, out);
    Ok(())
}

/// `count` units, digit by digit.
fn unit(count: u64, unit: u8, out: &mut Vec<u8>) {
    if count == 0 {
        return;
    }
    let mut digits = String::new();
    let _ = write!(digits, "{count:x}");
    let digits = digits.chars().filter_map(|digit| digit.to_digit(16));
    out.extend(digits.map(|digit| part::DIGIT << 4 | digit as u8));
    if let Some(last) = out.last_mut() {
        *last |= unit << 4;
    }
}

/// The address of a text that is carried along, `a*79` being 79 times `a`.
fn pointer(word: &str, out: &mut Vec<u8>) -> Result<()> {
    out.push(part::TEXT << 4);
    text(&expand(word)?, out);
    Ok(())
}

/// A star behind nothing, or before no digit, stands for itself.
fn expand(word: &str) -> Result<String> {
    let mut expanded = String::new();
    let mut rest = word.chars();
    while let Some(first) = rest.next() {
        let digits = rest.as_str().strip_prefix('*').unwrap_or_default();
        let digits = &digits[..digits.len()
            - digits
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len()];
        if digits.is_empty() {
            expanded.push(first);
        } else {
            expanded.extend(std::iter::repeat_n(first, parse(digits)?));
            rest = rest.as_str()[1 + digits.len()..].chars();
        }
    }
    Ok(expanded)
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.extend(text.bytes().chain([0]));
}

fn find<T: Copy>(list: &[(&str, T)], word: &str) -> Result<T> {
    let found = list.iter().find(|(name, _)| *name == word);
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| format!("'{word}' is not known"))
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| format!("'{text}' is no number"))
}
