//! Tests of the command line: every option in every form, and words that are refused.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};

use proptest::prelude::*;
use vm_anon_name::options::{Command, Flag, MAX_WORDS, Options, Reason};

use crate::assert_printable;

const HELP: &str = include_str!("../../src/help.txt");

/// An option as the help describes it.
struct Known {
    flag: Flag,
    letter: char,
    long: &'static str,
    /// The word for its value in the help, if it takes one.
    value: Option<&'static str>,
    /// The commands that it has an effect on.
    commands: &'static [&'static str],
}

const fn known(
    flag: Flag,
    letter: char,
    long: &'static str,
    value: Option<&'static str>,
    commands: &'static [&'static str],
) -> Known {
    Known {
        flag,
        letter,
        long,
        value,
        commands,
    }
}

const STAGES: &[&str] = &["stages"];
const CHECK: &[&str] = &["check"];
const NAMES: &[&str] = &["names"];
const ALL: &[&str] = &["stages", "probe", "check", "maps", "names"];

/// All options in the order of the help.
const KNOWN: [Known; 16] = [
    known(Flag::Quiet, 'q', "--quiet", None, &["stages", "probe"]),
    known(Flag::Yes, 'y', "--yes", None, STAGES),
    known(Flag::Name, 'n', "--name", Some("NAME"), STAGES),
    known(Flag::Size, 's', "--size", Some("BYTES"), STAGES),
    known(Flag::Shared, 'S', "--shared", None, STAGES),
    known(Flag::Output, 'o', "--output", Some("DIR"), STAGES),
    known(Flag::Maps, 'm', "--maps", None, STAGES),
    known(Flag::Json, 'j', "--json", None, NAMES),
    known(Flag::Exact, 'x', "--exact", None, NAMES),
    known(Flag::Every, 'e', "--every", Some("SECONDS"), NAMES),
    known(Flag::Count, 'c', "--count", Some("N"), NAMES),
    known(Flag::Require, 'r', "--require", None, &["check", "names"]),
    known(Flag::List, 'l', "--list", None, CHECK),
    known(Flag::Then, 't', "--then", Some("WHAT"), ALL),
    known(Flag::Help, 'h', "--help", None, ALL),
    known(Flag::Version, 'V', "--version", None, ALL),
];

/// The content of a command line, and the words that are refused with their reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parsed {
    command: Command,
    /// The letters of the options that are given, in the order of the help.
    given: String,
    name: String,
    size: Option<u64>,
    output: Option<String>,
    then: Option<String>,
    every: Option<u32>,
    count: Option<u32>,
    cases: Vec<String>,
    refused: Vec<String>,
    usable: bool,
}

impl Default for Parsed {
    /// The content of an empty command line.
    fn default() -> Self {
        Parsed {
            command: Command::Stages,
            given: String::new(),
            name: "/secret/mem/area".to_owned(),
            size: None,
            output: None,
            then: None,
            every: None,
            count: None,
            cases: Vec::new(),
            refused: Vec::new(),
            usable: true,
        }
    }
}

impl Parsed {
    fn command(command: Command) -> Self {
        Parsed {
            command,
            ..Parsed::default()
        }
    }

    fn given(mut self, letters: &str) -> Self {
        self.given = letters.to_owned();
        self
    }

    /// Adds a refused word, which makes the command line unusable.
    fn refused(mut self, word: &str, reason: &str) -> Self {
        self.refused.push(format!("'{word}': {reason}"));
        self.usable = false;
        self
    }

    fn usable(mut self) -> Self {
        self.usable = true;
        self
    }

    fn name(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    fn cases(mut self, names: &[&str]) -> Self {
        self.cases = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Adds an option with its value.
    fn with(mut self, known: &Known, value: &str) -> Self {
        match known.flag {
            Flag::Name => self.name = value.to_owned(),
            Flag::Size => self.size = Some(value.parse().unwrap()),
            Flag::Output => self.output = Some(value.to_owned()),
            Flag::Then => self.then = Some(value.to_owned()),
            Flag::Every => self.every = Some(value.parse().unwrap()),
            Flag::Count => self.count = Some(value.parse().unwrap()),
            Flag::Help => self.command = Command::Help,
            Flag::Version if self.command != Command::Help => self.command = Command::Version,
            _ => {}
        }
        let is_given = |letter: char| letter == known.letter || self.given.contains(letter);
        let letters = KNOWN.iter().map(|known| known.letter);
        self.given = letters.filter(|letter| is_given(*letter)).collect();
        self
    }
}

const UNKNOWN: &str = "unknown word, try --help";
const NO_VALUE: &str = "it needs a value";
const VALUE: &str = "it takes no value";
const COMMAND_AS_VALUE: &str = "a command, where a value is needed";
const BAD_SIZE: &str = "give a size above 0, such as 64K, 2M or 1G";
const BAD_NUMBER: &str = "give a number above 0";
const SECOND_COMMAND: &str = "a second command";
const TOO_MANY_WORDS: &str = "64 at most";
const NO_EFFECT: &str = "it has no effect with this command";
const NOT_INIT: &str = "this is for PID 1 alone";

fn parse(words: &[CString], is_init: bool) -> Parsed {
    let mut refused = Vec::new();
    let mut rest = words.iter().map(CString::as_c_str);
    let mut options = Options::default();
    options.parse(&mut rest, is_init, &mut |word, reason| {
        let word = String::from_utf8_lossy(word);
        refused.push(format!("'{word}': {}", reason.text()));
    });
    assert!(rest.next().is_none(), "a word was not parsed");
    let given = KNOWN.iter().filter(|known| options.has(known.flag));
    Parsed {
        command: options.command,
        given: given.map(|known| known.letter).collect(),
        name: lossy(options.name),
        size: options.size,
        output: options.output.map(lossy),
        then: options.then.map(lossy),
        every: options.every,
        count: options.count,
        cases: options.words.iter().map(|word| lossy(word)).collect(),
        refused,
        usable: options.usable,
    }
}

fn lossy(text: &CStr) -> String {
    text.to_string_lossy().into_owned()
}

fn c_strings(words: &[&str]) -> Vec<CString> {
    let c_string = |word: &&str| CString::new(*word).unwrap();
    words.iter().map(c_string).collect()
}

/// Checks a command line of a process other than PID 1.
#[track_caller]
fn check(words: &[&str], expected: Parsed) {
    assert_eq!(parse(&c_strings(words), false), expected, "{words:?}");
}

/// Checks a command line of PID 1.
#[track_caller]
fn check_init(words: &[&str], expected: Parsed) {
    assert_eq!(parse(&c_strings(words), true), expected, "{words:?}");
}

/// Checks a command line with one mistake, which PID 1 and other processes refuse.
#[track_caller]
fn check_refused(words: &[&str], expected: Parsed, word: &str, reason: &str) {
    let expected = expected.refused(word, reason);
    check(words, expected.clone());
    check_init(words, expected);
}

#[test]
fn the_default_command_is_stages() {
    check(&[], Parsed::default());
    check_init(&[], Parsed::default());
}

#[test]
fn every_command_is_a_word() {
    let check = |word: &str, command| {
        check(&[word], Parsed::command(command));
        check_init(&[word], Parsed::command(command));
        assert_eq!(Command::of(word.as_bytes()), Some(command));
    };
    check("stages", Command::Stages);
    check("probe", Command::Probe);
    check("check", Command::Check);
    check("maps", Command::Maps);
    check("names", Command::Names);
    check("help", Command::Help);
    check("version", Command::Version);
}

#[test]
fn every_option_is_accepted_in_every_form() {
    for known in &KNOWN {
        let (letter, long) = (known.letter, known.long);
        let command = Command::of(known.commands[0].as_bytes()).unwrap();
        let expected = |value| Parsed::command(command).with(known, value);
        let check = |words: &[&str], expected: Parsed| {
            let command = known.commands[0];
            check_init(&[&[command], words].concat(), expected.clone());
            check_init(&[words, &[command]].concat(), expected);
        };
        if known.value.is_none() {
            check(&[&format!("-{letter}")], expected(""));
            check(&[long], expected(""));
            continue;
        }
        let value = "12345";
        check(&[&format!("-{letter}"), value], expected(value));
        check(&[&format!("-{letter}{value}")], expected(value));
        check(&[long, value], expected(value));
        check(&[&format!("{long}={value}")], expected(value));
        // In one word with options that take no value
        let others = KNOWN
            .iter()
            .filter(|other| other.value.is_none() && other.commands == known.commands);
        let others: Vec<&Known> = others.collect();
        let letters: String = others.iter().map(|other| other.letter).collect();
        let clustered = || {
            others
                .iter()
                .fold(expected(value), |all, it| all.with(it, ""))
        };
        check(&[&format!("-{letters}{letter}"), value], clustered());
        check(&[&format!("-{letters}{letter}{value}")], clustered());
    }
}

/// Tries all letters, so that no option is missing in `KNOWN` and the help.
#[test]
fn no_other_letter_is_an_option() {
    for byte in 1..=u8::MAX {
        let word = CString::new([b'-', byte]).unwrap();
        let parsed = parse(&[word, c"1".to_owned()], true);
        let is_known = KNOWN.iter().any(|known| known.letter == byte.into());
        // `--` ends the options, and then `1` is unknown.
        let is_unknown = !parsed.refused.is_empty() && parsed.refused[0].ends_with(UNKNOWN);
        let is_option = !is_unknown || !parsed.given.is_empty();
        assert_eq!(is_option, is_known, "{}", byte.escape_ascii());
    }
}

#[test]
fn options_share_a_word() {
    let given = Parsed::default().given("qyS");
    check(&["-qyS"], given.clone());
    check(&["-Syq"], given.clone());
    check(&["-qq", "-yS", "--quiet"], given);
    let given = Parsed::command(Command::Check).given("rl");
    check(&["check", "-lr"], given);
}

#[test]
fn any_word_can_be_a_value() {
    let check = |words: &[&str], name: &str| {
        check(words, Parsed::default().given("n").name(name));
    };
    check(&["-n", ""], "");
    check(&["--name="], "");
    check(&["--name", ""], "");
    check(&["-n", "-q"], "-q");
    check(&["-n", "--"], "--");
    check(&["-n--"], "--");
    check(&["-n=a"], "=a");
    check(&["--name=a=b"], "a=b");
    check(&["--name", "--size=1"], "--size=1");
    check(&["-n", " Go: heap "], " Go: heap ");
    check(&["-nqy"], "qy");
    check(&["-n", "a", "-n", "b"], "b");
}

#[test]
fn a_command_is_a_value_only_if_it_is_attached() {
    for command in [
        "stages", "probe", "check", "maps", "names", "help", "version",
    ] {
        for known in KNOWN.iter().filter(|known| known.value.is_some()) {
            let (letter, long) = (format!("-{}", known.letter), known.long);
            let expected = Parsed::default().given(&letter[1..]);
            let expected = expected.refused(command, COMMAND_AS_VALUE);
            let expected = without_effect(expected, known);
            for option in [&letter, long] {
                check_init(&[option, command], expected.clone());
            }
            if known.flag != Flag::Then {
                check(&[long, command], expected);
            }
            if !matches!(known.flag, Flag::Size | Flag::Every | Flag::Count) {
                let expected = Parsed::default().with(known, command);
                check_init(&[&format!("{letter}{command}")], expected.clone());
                check_init(&[&format!("{long}={command}")], expected);
            }
        }
    }
}

/// Refuses an option that the default command does not heed.
fn without_effect(parsed: Parsed, known: &Known) -> Parsed {
    match known.commands.contains(&"stages") {
        true => parsed,
        false => parsed.refused(known.long, NO_EFFECT),
    }
}

#[test]
fn every_and_count_are_numbers_above_0() {
    let names = || Parsed::command(Command::Names);
    for (text, number) in [("1", 1), ("007", 7), ("4294967295", u32::MAX)] {
        for option in ["--every", "--count"] {
            let known = KNOWN.iter().find(|known| known.long == option).unwrap();
            let expected = names().with(known, &number.to_string());
            check(&["names", option, text], expected);
        }
    }
    for text in [
        "",
        "0",
        "-1",
        "1s",
        "0.5",
        " 1",
        "4294967296",
        "99999999999999999999",
    ] {
        let expected = names().given("e");
        check_refused(&["names", "-e", text], expected, text, BAD_NUMBER);
        let (word, expected) = (format!("--count={text}"), names().given("c"));
        check_refused(&["names", &word], expected, text, BAD_NUMBER);
    }
}

#[test]
fn sizes_are_bytes_with_an_optional_unit() {
    let check = |text: &str, size: u64| {
        let expected = || Parsed {
            size: Some(size),
            ..Parsed::default().given("s")
        };
        check(&["-s", text], expected());
        check(&[&format!("--size={text}")], expected());
    };
    check("1", 1);
    check("4096", 4096);
    check("0004096", 4096);
    check("64K", 64 << 10);
    check("64k", 64 << 10);
    check("2M", 2 << 20);
    check("2m", 2 << 20);
    check("1G", 1 << 30);
    check("1g", 1 << 30);
    check("9223372036854775807", (1 << 63) - 1);
    check("9007199254740991K", 9_007_199_254_740_991 << 10);
    check("8796093022207M", 8_796_093_022_207 << 20);
    check("8589934591G", 8_589_934_591 << 30);
}

#[test]
fn other_sizes_are_refused() {
    for text in [
        "",
        "0",
        "0K",
        "K",
        "-1",
        "+1",
        "1.5M",
        "0x1000",
        "0\x01",
        " 1",
        "1 ",
        "1KB",
        "1KK",
        "1T",
        "one",
        "\u{661}",
        "9223372036854775808",
        "9007199254740992K",
        "8796093022208M",
        "8589934592G",
        "18446744073709551616",
        "99999999999999999999999",
    ] {
        let expected = || Parsed::default().given("s");
        check_refused(&["-s", text], expected(), text, BAD_SIZE);
        let word = format!("--size={text}");
        check_refused(&[&word], expected(), text, BAD_SIZE);
    }
}

#[test]
fn then_is_for_pid_1() {
    for value in [
        "poweroff",
        "reboot",
        "halt",
        "/sbin/init",
        "Halt",
        "halt ",
        "",
    ] {
        let attached = format!("--then={value}");
        for words in [&["-t", value][..], &["--then", value], &[&attached]] {
            for command in ALL {
                let words = [&[*command], words].concat();
                let expected = Parsed {
                    then: Some(value.to_owned()),
                    ..Parsed::command(Command::of(command.as_bytes()).unwrap()).given("t")
                };
                check_init(&words, expected.clone());
                check(&words, expected.refused("--then", NOT_INIT));
            }
        }
    }
}

const UNKNOWN_WORDS: [&str; 17] = [
    "ro",
    "root=/dev/vda",
    "probes",
    "",
    "-",
    "-z",
    "-zq",
    "-?",
    "--",
    "--quiets",
    "--quie",
    "--Quiet",
    "--q",
    "---",
    "--quiet yes",
    "-\u{1b}[m",
    "--=a",
];

#[test]
fn unknown_words_are_refused() {
    for word in UNKNOWN_WORDS.into_iter().filter(|word| *word != "--") {
        let expected = Parsed::default().refused(word, UNKNOWN);
        check(&[word], expected.clone());
        check(&[word, "-y"], expected.clone().given("y"));
        // The words after it are still parsed.
        check(&[word, "-n", "a"], expected.given("n").name("a"));
    }
    for word in ["-qz", "-q-", "-q-y", "-q=yes"] {
        check_refused(&[word], Parsed::default().given("q"), word, UNKNOWN);
    }
}

/// The kernel passes to PID 1, before all other words, those words of its own command line
/// that it does not know.
#[test]
fn pid_1_tolerates_unknown_words_before_a_command_or_yes() {
    let unknown = |words: &[&str], expected: Parsed| {
        let refuse = |parsed: Parsed, word: &&str| parsed.refused(word, UNKNOWN);
        words.iter().fold(expected, refuse)
    };
    for words in [&["ro"][..], &["-z", "nosuch", "--nosuch=1"]] {
        let check = |more: &[&str], expected: Parsed| {
            let expected = unknown(words, expected).usable();
            check_init(&[words, more].concat(), expected);
        };
        check(&["probe"], Parsed::command(Command::Probe));
        check(&["stages"], Parsed::default());
        check(&["help"], Parsed::command(Command::Help));
        check(&["-y"], Parsed::default().given("y"));
        check(&["-qy"], Parsed::default().given("qy"));
        check(
            &["-n", "a", "--yes"],
            Parsed::default().given("yn").name("a"),
        );
        check(&["-r", "check"], Parsed::command(Command::Check).given("r"));
        let expected = Parsed::command(Command::Check).cases(&["a", "ro"]);
        check(&["check", "a", "ro"], expected);
        check(&["--", "probe"], Parsed::command(Command::Probe));
    }
}

#[test]
fn pid_1_refuses_unknown_words_alone() {
    for word in UNKNOWN_WORDS.into_iter().filter(|word| *word != "--") {
        let expected = Parsed::default();
        check_init(&[word], expected.refused(word, UNKNOWN));
        let expected = Parsed::default().given("q");
        check_init(&[word, "-q"], expected.refused(word, UNKNOWN));
        let expected = Parsed::command(Command::Help).given("h");
        check_init(&[word, "--help"], expected.refused(word, UNKNOWN));
    }
}

#[test]
fn pid_1_refuses_unknown_words_after_a_known_one() {
    let probe = || Parsed::command(Command::Probe);
    check_init(&["probe", "ro"], probe().refused("ro", UNKNOWN));
    let expected = || Parsed::default().given("y");
    check_init(&["-y", "ro"], expected().refused("ro", UNKNOWN));
    check_init(&["-yz"], expected().refused("-yz", UNKNOWN));
    let expected = Parsed::default().given("qy").refused("ro", UNKNOWN);
    check_init(&["-q", "ro", "-y"], expected);
    // A tolerated word before them does not make them valid.
    let expected = probe().refused("ro", UNKNOWN).refused("rw", UNKNOWN);
    check_init(&["ro", "probe", "rw"], expected);
    // `--` alone is not a known word.
    let expected = probe().refused("-z", UNKNOWN).usable();
    check_init(&["--", "-z", "probe"], expected);
}

#[test]
fn pid_1_tolerates_no_other_fault() {
    let expected = || Parsed::default().refused("ro", UNKNOWN).given("y");
    check_init(
        &["ro", "-y", "--yes=1"],
        expected().refused("--yes=1", VALUE),
    );
    let expected = expected().given("ys").refused("0", BAD_SIZE);
    check_init(&["ro", "-s", "0", "-y"], expected);
}

#[test]
fn missing_values_are_refused() {
    for known in KNOWN.iter().filter(|known| known.value.is_some()) {
        let short = format!("-{}", known.letter);
        for word in [&short, known.long] {
            check_no_value(word, known);
        }
    }
}

#[track_caller]
fn check_no_value(word: &str, known: &Known) {
    let expected = Parsed::default()
        .given(&known.letter.to_string())
        .refused(word, NO_VALUE);
    let expected = without_effect(expected, known);
    check_init(&[word], expected.clone());
    if known.flag != Flag::Then {
        check(&[word], expected);
    }
}

#[test]
fn values_of_options_without_one_are_refused() {
    for known in KNOWN.iter().filter(|known| known.value.is_none()) {
        for value in ["", "yes"] {
            let word = format!("{}={value}", known.long);
            check_refused(&[&word], Parsed::default(), &word, VALUE);
        }
    }
}

#[test]
fn two_dashes_end_the_options() {
    let probe = || Parsed::command(Command::Probe);
    check(&["--"], Parsed::default());
    check(&["--", "probe"], probe());
    check(&["-q", "--", "probe"], probe().given("q"));
    for word in ["-q", "--quiet", "--"] {
        let expected = Parsed::default();
        check_refused(&["--", word], expected, word, UNKNOWN);
    }
    let expected = Parsed::command(Command::Check).cases(&["-q", "--"]);
    check(&["check", "--", "-q", "--"], expected);
}

#[test]
fn check_takes_names_of_cases() {
    let cases = |names| Parsed::command(Command::Check).cases(names);
    check(&["check", "a"], cases(&["a"]));
    check(&["check", "a", "-r", "b"], cases(&["a", "b"]).given("r"));
    check(&["-r", "check", "a"], cases(&["a"]).given("r"));
    // After `check`, every word is a case, even one that is a command.
    let names = ["probe", "check", "", "-"];
    check(&[&["check"], &names[..]].concat(), cases(&names));
    check(&["a", "check"], cases(&[]).refused("a", UNKNOWN));
}

#[test]
fn maps_and_names_take_processes() {
    let names = |words| Parsed::command(Command::Names).cases(words);
    check(&["names"], names(&[]));
    check(&["names", "1", "22"], names(&["1", "22"]));
    check(&["names", "-"], names(&["-"]));
    check(&["-j", "names", "1", "-r"], names(&["1"]).given("jr"));
    check(&["maps", "1"], Parsed::command(Command::Maps).cases(&["1"]));
}

#[test]
fn up_to_64_cases_are_accepted() {
    assert_eq!(MAX_WORDS, 64);
    let names: Vec<String> = (0..MAX_WORDS + 2)
        .map(|number| number.to_string())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let expected = Parsed::command(Command::Check)
        .cases(&names[..MAX_WORDS])
        .refused(names[MAX_WORDS], TOO_MANY_WORDS)
        .refused(names[MAX_WORDS + 1], TOO_MANY_WORDS);
    let words = [&["check"], &names[..]].concat();
    check(&words, expected.clone());
    check_init(&words, expected);
    let words = &words[..=MAX_WORDS];
    let expected = Parsed::command(Command::Check).cases(&names[..MAX_WORDS]);
    check(words, expected);
}

#[test]
fn a_helper_case_starts_with_one_dot() {
    let check = |words: &[&str], expected: Option<&CStr>| {
        let words = c_strings(words);
        let mut words = words.iter().map(CString::as_c_str);
        let mut options = Options::default();
        options.parse(&mut words, false, &mut |_, _| panic!("refused"));
        assert_eq!(options.helper(), expected);
    };
    check(&[], None);
    check(&["check"], None);
    check(&["check", "a"], None);
    check(&["check", "a", ".b"], None);
    check(&["check", ".b"], Some(c".b"));
    check(&["check", ".b", "c"], Some(c".b"));
    // Helper cases with two dots are not run from the command line.
    check(&["check", "..b"], None);
    check(&["check", "."], None);
}

#[test]
fn a_second_command_is_refused() {
    for (first, command) in [
        ("stages", Command::Stages),
        ("probe", Command::Probe),
        ("help", Command::Help),
        ("version", Command::Version),
    ] {
        for second in ["stages", "probe", "check", "help", "version"] {
            let expected = Parsed::command(command);
            check_refused(&[first, second], expected, second, SECOND_COMMAND);
        }
    }
}

#[test]
fn options_without_effect_are_refused() {
    for command in ALL {
        for known in &KNOWN {
            let word = match known.value {
                Some(_) => format!("{}=1", known.long),
                None => known.long.to_owned(),
            };
            let expected = Parsed::command(Command::of(command.as_bytes()).unwrap());
            let mut expected = expected.with(known, "1");
            if !known.commands.contains(command) {
                expected = expected.refused(known.long, NO_EFFECT);
            }
            check_init(&[command, &word], expected.clone());
            check_init(&[&word, command], expected);
        }
    }
    // Each is reported, in the order of the help.
    let expected = Parsed::command(Command::Probe)
        .given("qSl")
        .refused("--shared", NO_EFFECT)
        .refused("--list", NO_EFFECT);
    check(&["-lSq", "probe"], expected);
}

#[test]
fn help_and_version_ignore_other_options() {
    let help = Parsed::command(Command::Help).given("qrh");
    check(&["-qr", "--help"], help.clone());
    check(&["check", "-hqr"], help.clone());
    check(&["help", "-hqr"], help);
    let version = Parsed::command(Command::Version).given("qV");
    check(&["-q", "probe", "-V"], version);
    let version = Parsed::command(Command::Version).given("q");
    check(&["version", "-q"], version);
    let expected = Parsed {
        then: Some("halt".to_owned()),
        ..Parsed::command(Command::Help).given("th")
    };
    check_init(&["-t", "halt", "-h"], expected.clone());
    check(&["-t", "halt", "-h"], expected.refused("--then", NOT_INIT));
    // Help comes before version.
    let help = Parsed::command(Command::Help).given("hV");
    check(&["-hV"], help.clone());
    check(&["-Vh", "probe"], help);
}

#[test]
fn reasons_are_printable_clauses() {
    let reasons = [
        (Reason::Unknown, UNKNOWN),
        (Reason::NoValue, NO_VALUE),
        (Reason::Value, VALUE),
        (Reason::CommandAsValue, COMMAND_AS_VALUE),
        (Reason::BadSize, BAD_SIZE),
        (Reason::BadNumber, BAD_NUMBER),
        (Reason::SecondCommand, SECOND_COMMAND),
        (Reason::TooManyWords, TOO_MANY_WORDS),
        (Reason::NoEffect, NO_EFFECT),
        (Reason::NotInit, NOT_INIT),
    ];
    for (reason, text) in reasons {
        assert_eq!(reason.text(), text);
        assert_printable(text);
        assert!(!text.ends_with('.'), "{text}");
    }
    let texts: BTreeSet<&str> = reasons.iter().map(|(_, text)| *text).collect();
    assert_eq!(texts.len(), reasons.len());
}

#[test]
fn the_help_lists_every_option_and_no_other() {
    let mut lines = HELP.lines().filter(|line| line.starts_with("  -"));
    for known in &KNOWN {
        let value = known
            .value
            .map_or(String::new(), |value| format!(" {value}"));
        let expected = format!("  -{}, {}{value}  ", known.letter, known.long);
        let line = lines.next().unwrap_or_default();
        assert!(line.starts_with(&expected), "{expected} is not in {line:?}");
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn the_help_names_commands_and_defaults() {
    let name = Parsed::default().name;
    for word in [
        "stages", "probe", "check", "maps", "names", "poweroff", "reboot", "halt", "exec", &name,
        "one page", "exit: 0", "4 ",
    ] {
        assert!(HELP.contains(word), "{word}");
    }
}

#[test]
fn the_help_fits_a_serial_terminal() {
    assert!(HELP.ends_with('\n'));
    for line in HELP.lines() {
        assert_printable(line);
        assert!(line.len() <= 80, "{line}");
        assert_eq!(line, line.trim_end());
    }
}

/// Words made of parts of options, and arbitrary words.
fn words() -> impl Strategy<Value = CString> {
    let likely = "-{0,3}(quiet|yes|name|size|shared|output|require|list|then|help|version|\
                  stages|probe|check|maps|names|json|exact|every|count|\
                  [qynsSorlthVxmjec]{0,3})(=[ -~]{0,3})?";
    let bytes = prop::collection::vec(1..=u8::MAX, 0..12);
    prop_oneof![
        3 => likely.prop_map(|word| CString::new(word).unwrap()),
        1 => bytes.prop_map(|word| CString::new(word).unwrap()),
    ]
}

/// An option in any of its forms: its index in `KNOWN`, its value, its words.
fn options() -> impl Strategy<Value = (usize, String, Vec<String>)> {
    (0..KNOWN.len(), 1..=i64::MAX, 0..4_u8).prop_map(|(index, number, form)| {
        let known = &KNOWN[index];
        let (short, long) = (format!("-{}", known.letter), known.long.to_owned());
        let value = match known.flag {
            Flag::Every | Flag::Count => (number % i64::from(u32::MAX) + 1).to_string(),
            _ => number.to_string(),
        };
        let words = match (known.value, form) {
            (None, 0 | 1) => vec![short],
            (None, _) => vec![long],
            (_, 0) => vec![short, value.clone()],
            (_, 1) => vec![short + &value],
            (_, 2) => vec![long, value.clone()],
            _ => vec![format!("{long}={value}")],
        };
        (index, value, words)
    })
}

proptest! {
    #[test]
    fn any_words_can_be_parsed(words in prop::collection::vec(words(), 0..20), is_init: bool) {
        let parsed = parse(&words, is_init);
        prop_assert!(parsed.size.is_none_or(|size| (1..1 << 63).contains(&size)));
        prop_assert!(parsed.cases.len() <= MAX_WORDS);
        let all_unknown = parsed.refused.iter().all(|refused| refused.ends_with(UNKNOWN));
        let is_tolerated = is_init && all_unknown;
        prop_assert!(!parsed.usable || parsed.refused.is_empty() || is_tolerated);
        prop_assert!(parsed.usable || !parsed.refused.is_empty());
    }

    #[test]
    fn options_mean_the_same_in_every_form_and_order(
        options in prop::collection::vec(options(), 0..12),
        command in prop::sample::select(ALL),
        place in any::<prop::sample::Index>(),
    ) {
        let mut expected = Parsed::command(Command::of(command.as_bytes()).unwrap());
        for (index, value, _) in &options {
            expected = expected.with(&KNOWN[*index], value);
        }
        if !matches!(expected.command, Command::Help | Command::Version) {
            for known in &KNOWN {
                let is_given = expected.given.contains(known.letter);
                if is_given && !known.commands.contains(&command) {
                    expected = expected.refused(known.long, NO_EFFECT);
                }
            }
        }
        let mut words: Vec<Vec<String>> = options.into_iter().map(|(.., words)| words).collect();
        words.insert(place.index(words.len() + 1), vec![command.to_owned()]);
        let words: Vec<CString> =
            words.concat().into_iter().map(|word| CString::new(word).unwrap()).collect();
        prop_assert_eq!(parse(&words, true), expected);
    }
}
