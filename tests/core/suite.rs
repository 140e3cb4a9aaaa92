//! The conformance suite: its text read as the program reads it, and its language.
//!
//! A misspelt verb or a wrong number in a case would show on a real kernel, but
//! perhaps only on one that is not at hand, or not at all: what takes a bad
//! number for 0 may pass by chance. So the text is checked here, word by word.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use proptest::prelude::*;
use regex::Regex;
use vm_anon_name::kernel::Version;
use vm_anon_name::suite::{Case, Scale, Statement, Verdict, expand};
use vm_anon_name::{errno, picture};

use crate::packing::{self, pack};
use crate::{shown, written, written_text};

/// The cases as they were written.
pub const CASES: &str = include_str!("../../src/suite/cases.txt");

/// The program's own lists of verbs, kinds of memory and protections.
const ACT: &str = include_str!("../../src/program/full/check/act.rs");
const MAPPINGS: &str = include_str!("../../src/program/full/check/mappings.rs");

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

/// What the program has room for: `CaseText` in check.rs.
const CASE_ROOM: usize = 1024;

/// What the program has room for: `Buffer` in act.rs, the NUL included.
const NAME_ROOM: usize = 256;

/// What a word of a statement must look like.
#[derive(Clone, Copy, Debug)]
enum Word {
    /// A number, as [`Scale`] reads it.
    Number,
    /// A number, or one behind `@`.
    Address,
    /// Any text, which may be expanded.
    Text,
    /// A [`Word::Text`], `NULL`, or `&` and an address.
    Name,
    Picture,
    Protection,
    Kind,
    /// The name of another case.
    Case,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// The one that follows, or no more words.
    Optional(&'static Word),
}

/// The verbs, and the words behind each, as the head of the cases explains them.
const VERBS: &[(&str, &[Word])] = &[
    (
        "map",
        &[Word::Address, Word::Number, Word::Optional(&Word::Kind)],
    ),
    ("away", &[Word::Number, Word::Kind]),
    ("name", &[Word::Address, Word::Number, Word::Name]),
    ("see", &[Word::Picture]),
    ("label", &[Word::Address, Word::Text]),
    ("at", &[Word::Text]),
    ("brk", &[Word::Number]),
    ("option", &[Word::Number]),
    ("attribute", &[Word::Number]),
    ("touch", &[Word::Address, Word::Number]),
    ("poke", &[Word::Address, Word::Text]),
    ("fill", &[Word::Address, Word::Text]),
    ("bytes", &[]),
    ("places", &[]),
    ("user", &[]),
    ("tags", &[]),
    ("crowd", &[Word::Number]),
    ("fork", &[]),
    ("share", &[]),
    ("exec", &[Word::Case]),
    ("read", &[Word::OneOf(&["smaps", "thread", "parent"])]),
    (
        "query",
        &[Word::Address, Word::Text, Word::Optional(&Word::Number)],
    ),
    ("unnamed", &[]),
    ("unmap", &[Word::Address, Word::Number]),
    ("lock", &[Word::Address, Word::Number]),
    ("unlock", &[Word::Address, Word::Number]),
    ("seal", &[Word::Address, Word::Number]),
    ("protect", &[Word::Address, Word::Number, Word::Protection]),
    ("advise", &[Word::Address, Word::Number, Word::Number]),
    (
        "remap",
        &[
            Word::Address,
            Word::Number,
            Word::Number,
            Word::Number,
            Word::Address,
        ],
    ),
];

/// The verb that ends `fork` and `share`, which the interpreter itself knows.
const JOIN: &str = "join";

/// Numbers that stand out when letters are mixed up.
const SCALE: Scale = Scale {
    page: 0x1000,
    window: 0x7000_0000,
    length: 0x3000,
    huge: 0x20_0000,
};

/// The text of every case as the program has it, unpacked.
static UNPACKED: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let text = packing::round_trip(&pack::strip(CASES));
    let cases = text
        .split(|byte| *byte == b'\n')
        .filter(|case| !case.is_empty());
    cases.map(<[u8]>::to_vec).collect()
});

/// Hands each case to `with`, its statements read.
fn each_case(mut with: impl FnMut(&Case, &[Statement])) {
    for text in UNPACKED.iter() {
        let case = Case::of(text);
        with(&case, &statements(case.statements));
    }
}

fn statements(mut text: &[u8]) -> Vec<Statement<'_>> {
    std::iter::from_fn(|| Statement::next(&mut text)).collect()
}

fn words<'a>(statement: &Statement<'a>) -> Vec<&'a str> {
    let words = statement
        .words
        .map(|word| std::str::from_utf8(word).unwrap());
    let count = words.iter().rposition(|word| !word.is_empty());
    words[..count.map_or(0, |last| last + 1)].to_vec()
}

/// The words of what `words!` declares like this in a source of the program.
fn words_of(source: &str, declared: &str) -> BTreeSet<String> {
    let (_, body) = source.split_once(declared).expect("it is declared");
    let (body, _) = body.split_once("\n    }").expect("it ends");
    let entry = Regex::new(r#"(?m)^ *"(.*?)" => "#).unwrap();
    let entries = entry.captures_iter(body);
    entries.map(|entry| entry[1].to_owned()).collect()
}

static PROTECTIONS: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| words_of(ACT, "enum Protection {"));
static KINDS: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| words_of(MAPPINGS, "fn kind() -> Kind {"));

#[test]
fn verbs_are_those_of_the_program() {
    let here: BTreeSet<String> = VERBS.iter().map(|(verb, _)| (*verb).to_owned()).collect();
    assert_eq!(words_of(ACT, "enum Verb {"), here);
}

#[test]
fn every_case_is_read_whole() {
    // What is written, counted without the library.
    let content = CASES
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let (body, heads): (Vec<&str>, Vec<&str>) = content.partition(|line| line.starts_with(' '));
    let body = body.iter().filter(|line| !line.trim().starts_with('#'));
    let written: usize = body
        .map(|line| {
            line.split(';')
                .filter(|part| !part.trim().is_empty())
                .count()
        })
        .sum();
    let (mut cases, mut read) = (0, 0);
    each_case(|_, statements| {
        cases += 1;
        read += statements.len();
    });
    assert_eq!((cases, read), (heads.len(), written));
}

#[test]
fn there_are_enough_cases_with_good_names() {
    let pattern = Regex::new(r"^\.?[a-z0-9][a-z0-9.-]*$").unwrap();
    let mut names = BTreeSet::new();
    let mut public = 0;
    each_case(|case, _| {
        let name = std::str::from_utf8(case.name).unwrap();
        assert!(pattern.is_match(name) && name.len() <= 64, "{name}");
        assert_eq!(case.is_part(), name.starts_with('.'));
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        public += u32::from(!case.is_part());
    });
    assert!(public >= 90, "{public} cases");
}

#[test]
fn every_case_fits_the_programs_buffer() {
    for case in UNPACKED.iter() {
        assert!(
            case.len() <= CASE_ROOM,
            "{} bytes: {}",
            case.len(),
            shown(case)
        );
    }
}

#[test]
fn conditions_are_versions() {
    let pattern = Regex::new(r"^\S+( >=[4-9]\.\d+)?( <[4-9]\.\d+)?$").unwrap();
    for line in pack::strip(CASES).lines().filter(|line| !line.is_empty()) {
        let head = line.split(';').next().unwrap();
        assert!(pattern.is_match(head), "{head}");
    }
    each_case(|case, _| assert!(case.since < case.before, "{}", shown(case.name)));
}

#[test]
fn every_statement_is_one_the_program_knows() {
    let mut cases = BTreeSet::new();
    each_case(|case, _| {
        cases.insert(shown(case.name));
    });
    each_case(|case, statements| {
        assert!(!statements.is_empty(), "{} does nothing", shown(case.name));
        for statement in statements {
            if let Err(error) = check_statement(statement, &cases) {
                panic!("{}: {}: {error}", shown(case.name), shown(statement.text));
            }
        }
    });
}

/// Checks the words and what must come of them.
fn check_statement(statement: &Statement, cases: &BTreeSet<String>) -> Result<(), String> {
    let text = std::str::from_utf8(statement.text).unwrap();
    let (words, errors) = split_statement(text)?;
    check_errors(&errors)?;
    let seen: Vec<&str> = self::words(statement);
    let trimmed = words
        .iter()
        .rposition(|word| !word.is_empty())
        .map_or(0, |last| last + 1);
    if seen != words[..trimmed] {
        return Err(format!("the library reads {seen:?}"));
    }
    let (verb, words) = words.split_first().ok_or("no verb")?;
    if *verb == JOIN {
        return words
            .is_empty()
            .then_some(())
            .ok_or("join takes no words".to_owned());
    }
    let known = VERBS.iter().find(|(name, _)| name == verb);
    let (_, grammar) = known.ok_or(format!("no such verb: {verb}"))?;
    let mut words = words.iter().copied();
    for expected in *grammar {
        check_word(*expected, words.next(), cases)?;
    }
    match words.next() {
        Some(word) => Err(format!("one word too many: {word}")),
        None => Ok(()),
    }
}

/// The words up to the first `=` or `?`, and the marks and errors from there. Read
/// by a pattern, so that the library is compared with something.
fn split_statement(text: &str) -> Result<(Vec<&str>, Vec<&str>), String> {
    static WORD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^(?:`([^`]*)`|([^ `]\S*))( +|$)").unwrap());
    let (mut words, mut errors) = (Vec::new(), Vec::new());
    let mut rest = text;
    while !rest.is_empty() {
        let found = WORD.captures(rest).ok_or(format!("no word: {rest}"))?;
        let word = found.get(1).or(found.get(2)).unwrap();
        let is_mark = matches!(&found[0].trim_end(), &"=" | &"?");
        match is_mark || !errors.is_empty() {
            true => errors.push(word.as_str()),
            false => words.push(word.as_str()),
        }
        rest = &rest[found[0].len()..];
    }
    Ok((words, errors))
}

/// Each mark is followed by the name of an error.
fn check_errors(errors: &[&str]) -> Result<(), String> {
    for pair in errors.chunks(2) {
        let [mark, error] = pair else {
            return Err("no error behind a mark".to_owned());
        };
        let is_known = (1..=40).any(|number| errno::name(number) == error.as_bytes());
        if !matches!(*mark, "=" | "?") || !is_known {
            return Err(format!("no error: {mark} {error}"));
        }
    }
    let must_fail = errors.iter().filter(|word| **word == "=").count();
    (must_fail < 2)
        .then_some(())
        .ok_or("two errors are stated".to_owned())
}

fn check_word(expected: Word, word: Option<&str>, cases: &BTreeSet<String>) -> Result<(), String> {
    let Some(word) = word else {
        return match expected {
            Word::Optional(_) => Ok(()),
            missing => Err(format!("lacks {missing:?}")),
        };
    };
    let is_right = match expected {
        Word::Optional(expected) => return check_word(*expected, Some(word), cases),
        Word::Number => is_number(word),
        Word::Address => is_number(word.strip_prefix('@').unwrap_or(word)),
        Word::Name => match word.strip_prefix('&') {
            Some(place) => is_number(place.strip_prefix('@').unwrap_or(place)),
            None => is_text(word),
        },
        Word::Text => is_text(word),
        Word::Picture => is_picture(word),
        Word::Protection => PROTECTIONS.contains(word) || is_number(word),
        Word::Kind => KINDS.contains(word),
        Word::Case => cases.contains(word),
        Word::OneOf(words) => words.contains(&word),
    };
    is_right
        .then_some(())
        .ok_or(format!("{word:?} is no {expected:?}"))
}

fn is_number(word: &str) -> bool {
    SCALE.number(word.as_bytes()).is_some()
}

fn is_text(word: &str) -> bool {
    written(|out| expand(word.as_bytes(), out)).len() < NAME_ROOM
}

/// Whether a picture could be drawn: no bar beside a bar, and bars around VMAs
/// but for one that reaches beyond the picture.
fn is_picture(word: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphabetic() || b"_.'\":/$?|".contains(&byte);
    let stretches_differ = |stretch: &str| stretch.bytes().collect::<BTreeSet<u8>>().len() > 1;
    word.bytes().all(is_known)
        && picture::pages(word.as_bytes()) > 0
        && !word.contains("||")
        && !word.starts_with("|_")
        && !word.ends_with("_|")
        && !word.split('|').any(stretches_differ)
}

#[test]
fn every_child_is_joined() {
    each_case(|case, statements| {
        let mut depth = 0;
        for statement in statements {
            match words(statement)[0] {
                "fork" | "share" => depth += 1,
                JOIN => depth -= 1,
                _ => {}
            }
            assert!(depth >= 0, "{}: join without fork", shown(case.name));
        }
        assert_eq!(depth, 0, "{}: fork without join", shown(case.name));
    });
}

#[test]
fn every_part_is_used_and_nothing_follows_exec() {
    let (mut parts, mut used) = (BTreeSet::new(), BTreeSet::new());
    each_case(|case, statements| {
        if case.is_part() {
            parts.insert(shown(case.name));
        }
        for (index, statement) in statements.iter().enumerate() {
            if let ["exec", part] = words(statement)[..] {
                used.insert(part.to_owned());
                assert_eq!(index + 1, statements.len(), "{}", shown(case.name));
            }
        }
    });
    assert_eq!(parts, used);
}

#[test]
fn every_verb_kind_and_protection_is_used() {
    let mut used: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    each_case(|_, statements| {
        for statement in statements {
            let words = words(statement);
            let mut note = |what, word: Option<&&str>| {
                let word = word.map_or("", |word| word).to_owned();
                used.entry(what).or_default().insert(word);
            };
            note("verb", words.first());
            match words[0] {
                "map" => note("kind", words.get(3)),
                "away" => note("kind", words.get(2)),
                // A protection without a word of its own is a number of bytes.
                "protect" if !words[3].ends_with('b') => note("protection", words.get(3)),
                _ => {}
            }
        }
    });
    used.get_mut("verb").unwrap().remove(JOIN);
    assert_eq!(used["verb"], words_of(ACT, "enum Verb {"));
    assert_eq!(used["kind"], *KINDS);
    assert_eq!(used["protection"], *PROTECTIONS);
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
fn a_case_has_a_name_conditions_and_statements() {
    let check = |text: &str, name: &str, since, before, statements: &str| {
        let case = Case::of(text.as_bytes());
        assert_eq!(shown(case.name), name);
        assert_eq!((case.since, case.before), (since, before));
        assert_eq!(shown(case.statements), statements);
    };
    let (first, last) = (Version(0, 0), Version(u32::MAX, u32::MAX));
    check("a;b;c", "a", first, last, "b;c");
    check("a", "a", first, last, "");
    check("", "", first, last, "");
    check("a >=6.2;b", "a", Version(6, 2), last, "b");
    check("a <6.13;b", "a", first, Version(6, 13), "b");
    check("a >=6.2 <7.0;b", "a", Version(6, 2), Version(7, 0), "b");
    check("a  <7.0  >=6.2 ;b", "a", Version(6, 2), Version(7, 0), "b");
    check("a other;b", "a", first, last, "b");
    assert!(Case::of(b".a;b").is_part());
    assert!(!Case::of(b"a.b;.c").is_part());
}

#[test]
fn statements_have_words() {
    let check = |text: &str, expected: &[&[&str]]| {
        let statements = statements(text.as_bytes());
        let found: Vec<Vec<&str>> = statements.iter().map(words).collect();
        assert_eq!(found, expected);
    };
    check("", &[]);
    check("a", &[&["a"]]);
    check("map 0 1;see |.|", &[&["map", "0", "1"], &["see", "|.|"]]);
    check("  map  0   1 ", &[&["map", "0", "1"]]);
    check("name 0 1 a = EINVAL;b", &[&["name", "0", "1", "a"], &["b"]]);
    check(
        "map 0 1 huge ? EINVAL ? ENOMEM",
        &[&["map", "0", "1", "huge"]],
    );
    check("label 0 `[anon: a b ]`", &[&["label", "0", "[anon: a b ]"]]);
    check("label 0 `` ? ENOENT", &[&["label", "0"]]);
    check("name 0 1 :<=>?@", &[&["name", "0", "1", ":<=>?@"]]);
    check("a b c d e f", &[&["a", "b", "c", "d", "e", "f"]]);
    // A seventh word has no place.
    check("a b c d e f g", &[&["a", "b", "c", "d", "e", "f"]]);
    check("a ` b", &[&["a", " b"]]);
    let [first, second] = &statements(b"a = EINVAL;b")[..] else {
        panic!("two statements");
    };
    assert_eq!(
        (shown(first.text), shown(second.text)),
        ("a = EINVAL".to_owned(), "b".to_owned())
    );
}

#[test]
fn results_are_judged_as_stated() {
    let check = |text: &str, result: Result<(), i32>, expected: Verdict| {
        let statements = statements(text.as_bytes());
        assert_eq!(statements[0].judge(result), expected, "{text}: {result:?}");
    };
    let (einval, enomem, eagain) = (Err(22), Err(12), Err(11));
    check("a", Ok(()), Verdict::Right);
    check("a", einval, Verdict::Wrong);
    check("a = EINVAL", einval, Verdict::Right);
    check("a = EINVAL", Ok(()), Verdict::Wrong);
    check("a = EINVAL", enomem, Verdict::Wrong);
    check("a ? EINVAL", einval, Verdict::Unavailable);
    check("a ? EINVAL", Ok(()), Verdict::Right);
    check("a ? EINVAL", enomem, Verdict::Wrong);
    check("a ? EINVAL ? ENOMEM", enomem, Verdict::Unavailable);
    check("a = EINVAL ? ENOMEM", einval, Verdict::Right);
    check("a = EINVAL ? ENOMEM", enomem, Verdict::Unavailable);
    check("a = EINVAL ? ENOMEM", Ok(()), Verdict::Wrong);
    check("a ? ENOMEM = EINVAL", einval, Verdict::Right);
    check("a ? ENOMEM = EINVAL", eagain, Verdict::Wrong);
    check("a b c d e ? EINVAL", einval, Verdict::Unavailable);
    check("a b c d e = EINVAL", einval, Verdict::Right);
    // An error without a name meets nothing, whatever its number is.
    check("a = EINVAL", Err(0), Verdict::Wrong);
    check("a", Err(-1), Verdict::Wrong);
    check("a ? EINVAL", Err(4095), Verdict::Wrong);
}

#[test]
fn a_child_ends_at_its_own_join() {
    let check = |text: &str, expected: &str| {
        let mut rest = text.as_bytes();
        Statement::skip_to_join(&mut rest);
        assert_eq!(shown(rest), expected);
    };
    check("", "");
    check("join", "");
    check("a;join;b;c", "b;c");
    check("a;fork;b;join;c;join;d", "d");
    check("share;fork;join;join;join;a", "a");
    check("a;b", "");
    check("fork;join", "");
    check("joins;join;a", "a");
    check("label join;join;a", "a");
}

#[test]
fn a_star_repeats_what_is_before_it() {
    let check = |word: &str, expected: &str| {
        assert_eq!(written_text(|out| expand(word.as_bytes(), out)), expected);
    };
    check("", "");
    check("abc", "abc");
    check("a*3", "aaa");
    check("a*79", &"a".repeat(79));
    check("a*3b*2c", "aaabbc");
    check("[anon:a*2]", "[anon:aa]");
    check("ba*9", "baaaaaaaaa");
    check("a*0", "");
    check("a*1", "a");
    check("a*", "a*");
    check("*", "*");
    check("*3", "*3");
    check("**3", "***");
    check("a*b", "a*b");
    check("()*+,", "()*+,");
}

#[test]
fn numbers_are_sums_of_terms() {
    let check = |text: &str, expected: Option<u64>| {
        assert_eq!(SCALE.number(text.as_bytes()), expected, "{text}");
        assert_eq!(
            SCALE.bytes(text.as_bytes()),
            expected.unwrap_or(0),
            "{text}"
        );
    };
    let Scale {
        page,
        window,
        length,
        huge,
    } = SCALE;
    check("0", Some(0));
    check("3", Some(3 * page));
    check("3b", Some(3));
    check("w", Some(window));
    check("n", Some(length));
    check("h", Some(huge));
    check("^47", Some(1 << 47));
    check("^0", Some(1));
    check("^63", Some(1 << 63));
    check("1+1b", Some(page + 1));
    check("5-80b", Some(5 * page - 80));
    check("n-1", Some(length - page));
    check("0-1", Some(page.wrapping_neg()));
    check("0-1b", Some(u64::MAX));
    check("0-w-1", Some((window + page).wrapping_neg()));
    check("0-1+1b", Some(page.wrapping_neg() + 1));
    check("0+^56", Some(1 << 56));
    check("18446744073709551615b", Some(u64::MAX));
    check("18446744073709551615", Some(page.wrapping_neg()));
    for text in [
        "",
        "-",
        "+",
        "-1",
        "+1",
        "1+",
        "1-",
        "1++1",
        "1 ",
        " 1",
        "a",
        "b",
        "3c",
        "3bb",
        "wn",
        "w3",
        "^",
        "^64",
        "^4294967296",
        "^x",
        "^-1",
        "0x10",
        "1.5",
        "@1",
        "18446744073709551616",
        "18446744073709551616b",
    ] {
        check(text, None);
    }
}

#[test]
fn addresses_are_counted_from_the_window() {
    let check = |text: &str, expected: u64| {
        assert_eq!(SCALE.address(text.as_bytes()), expected, "{text}");
    };
    let Scale { page, window, .. } = SCALE;
    check("0", window);
    check("2", window + 2 * page);
    check("1-1b", window + page - 1);
    check("0-1", window - page);
    check("0+^56", window + (1 << 56));
    check("@0", 0);
    check("@1b", 1);
    check("@^47", 1 << 47);
    check("@0-2", (2 * page).wrapping_neg());
    check("@w", window);
    check("0-w-1", page.wrapping_neg());
    assert_eq!(Scale::default().number(b"7+7b+w+n+h"), Some(7));
}

proptest! {
    #[test]
    fn any_text_is_read(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let case = Case::of(&text);
        for statement in statements(case.statements) {
            prop_assert!(!statement.text.contains(&b';'));
            statement.judge(Ok(()));
            statement.judge(Err(22));
        }
        let mut rest = case.statements;
        Statement::skip_to_join(&mut rest);
        prop_assert!(case.statements.ends_with(rest));
        SCALE.number(&text);
        SCALE.address(&text);
    }
}
