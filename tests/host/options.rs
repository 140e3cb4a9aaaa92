//! The command line: every option in every form, and words that are none.

use std::ffi::{CStr, CString};

use proptest::prelude::*;
use vm_anon_name::options::{Command, Flag, HELP, MOST_CASES, Options};

use crate::message;

/// An option as the help has it.
struct Known {
    letter: char,
    long: &'static str,
    /// The word for its value, if it takes one.
    value: Option<&'static str>,
}

const fn flag(letter: char, long: &'static str) -> Known {
    Known {
        letter,
        long,
        value: None,
    }
}

const fn valued(letter: char, long: &'static str, value: &'static str) -> Known {
    Known {
        letter,
        long,
        value: Some(value),
    }
}

/// All options there are.
const KNOWN: [Known; 11] = [
    flag('q', "quiet"),
    flag('y', "yes"),
    valued('n', "name", "NAME"),
    valued('s', "size", "BYTES"),
    flag('S', "shared"),
    valued('o', "output", "DIR"),
    flag('r', "require"),
    flag('l', "list"),
    valued('t', "then", "WHAT"),
    flag('h', "help"),
    flag('V', "version"),
];

/// What a command line says, and what is wrong with it, in words of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said {
    command: String,
    flags: String,
    name: String,
    size: Option<u64>,
    output: Option<String>,
    then: Option<String>,
    cases: Vec<String>,
    faults: Vec<String>,
}

/// What is said by no words at all.
fn nothing() -> Said {
    Said {
        command: "Stages".to_owned(),
        name: "/secret/mem/area".to_owned(),
        ..Said::default()
    }
}

/// Reads the words.
fn read(words: &[CString]) -> Said {
    let mut faults = Vec::new();
    let mut words = words.iter().map(CString::as_c_str);
    let mut options = Options::new();
    options.read(&mut words, &mut |word, reason| {
        let reason = message(reason);
        faults.push(format!("'{}': {reason}", lossy(word)));
    });
    assert!(words.next().is_none(), "a word was not read");
    let flags = [
        ('q', Flag::Quiet),
        ('y', Flag::Yes),
        ('S', Flag::Shared),
        ('r', Flag::Require),
        ('l', Flag::List),
    ];
    let set = flags.iter().filter(|(_, flag)| options.has(*flag));
    Said {
        command: format!("{:?}", options.command),
        flags: set.map(|(letter, _)| *letter).collect(),
        name: lossy(options.name()),
        size: options.size,
        output: options.output().map(lossy),
        then: options.then().map(lossy),
        cases: options.cases.iter().map(|case| lossy(case)).collect(),
        faults,
    }
}

fn lossy(text: &CStr) -> String {
    text.to_string_lossy().into_owned()
}

fn c_strings(words: &[&str]) -> Vec<CString> {
    words
        .iter()
        .map(|word| CString::new(*word).unwrap())
        .collect()
}

#[track_caller]
fn check(words: &[&str], expected: Said) {
    assert_eq!(read(&c_strings(words)), expected, "{words:?}");
}

/// Such words say nothing but this fault.
#[track_caller]
fn check_fault(words: &[&str], fault: &str) {
    let faults = vec![fault.to_owned()];
    check(
        words,
        Said {
            faults,
            ..nothing()
        },
    );
}

/// What one option says, given `value` if it takes one.
fn said_by(letter: char, value: &str) -> Said {
    let mut said = nothing();
    let text = || value.to_owned();
    match letter {
        'n' => said.name = text(),
        's' => said.size = Some(value.parse().unwrap()),
        'o' => said.output = Some(text()),
        't' => said.then = Some(text()),
        'h' => said.command = "Help".to_owned(),
        'V' => said.command = "Version".to_owned(),
        flag => said.flags = flag.to_string(),
    }
    said
}

#[test]
fn no_words_ask_for_the_stages() {
    check(&[], nothing());
    check(&["stages"], nothing());
}

#[test]
fn commands_are_words() {
    let check = |word: &str, expected: Command| {
        let command = format!("{expected:?}");
        check(
            &[word],
            Said {
                command,
                ..nothing()
            },
        );
    };
    check("stages", Command::Stages);
    check("probe", Command::Probe);
    check("check", Command::Check);
    check("help", Command::Help);
    check("version", Command::Version);
}

#[test]
fn every_option_is_taken_in_every_form() {
    for Known {
        letter,
        long,
        value,
    } in KNOWN
    {
        let Some(_) = value else {
            check(&[&format!("-{letter}")], said_by(letter, ""));
            check(&[&format!("--{long}")], said_by(letter, ""));
            continue;
        };
        let value = "12345";
        let said = || said_by(letter, value);
        check(&[&format!("-{letter}"), value], said());
        check(&[&format!("-{letter}{value}")], said());
        check(&[&format!("--{long}"), value], said());
        check(&[&format!("--{long}={value}")], said());
        // Behind flags, in one word with them.
        let flags = "yq".to_owned();
        let clustered = || Said {
            flags: "qy".to_owned(),
            ..said()
        };
        check(&[&format!("-{flags}{letter}"), value], clustered());
        check(&[&format!("-{flags}{letter}{value}")], clustered());
    }
}

#[test]
fn flags_share_a_word() {
    let flags = "qySrl".to_owned();
    check(
        &["-qySrl"],
        Said {
            flags: flags.clone(),
            ..nothing()
        },
    );
    check(
        &["-lrSyq"],
        Said {
            flags: flags.clone(),
            ..nothing()
        },
    );
    check(&["-qq", "-ySrl", "--quiet"], Said { flags, ..nothing() });
}

#[test]
fn a_value_is_taken_as_it_is() {
    let check = |words: &[&str], name: &str| {
        let name = name.to_owned();
        check(words, Said { name, ..nothing() });
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
fn sizes_are_bytes_with_suffixes() {
    let check = |text: &str, expected: u64| {
        let said = || Said {
            size: Some(expected),
            ..nothing()
        };
        check(&["-s", text], said());
        check(&[&format!("--size={text}")], said());
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
    check("8388607K", 8_388_607 << 10);
    check("8589934591G", 8_589_934_591 << 30);
}

#[test]
fn other_sizes_are_faults() {
    for text in [
        "",
        "0",
        "0K",
        "K",
        "-1",
        "+1",
        "1.5M",
        "0x1000",
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
        let fault = format!("'{text}': give a size above 0, as 4096, 64K, 2M or 1G");
        check_fault(&["-s", text], &fault);
        check_fault(&[&format!("--size={text}")], &fault);
    }
}

#[test]
fn the_end_of_pid_1_is_a_word_or_a_path() {
    for value in [
        "poweroff",
        "reboot",
        "halt",
        "/sbin/init",
        "Halt",
        "halt ",
        "",
    ] {
        let said = || Said {
            then: Some(value.to_owned()),
            ..nothing()
        };
        check(&["-t", value], said());
        if !value.is_empty() {
            check(&[&format!("-t{value}")], said());
        }
        check(&["--then", value], said());
        check(&[&format!("--then={value}")], said());
    }
}

#[test]
fn unknown_words_are_reported_and_passed_over() {
    for word in [
        "ro",
        "root=/dev/vda",
        "probes",
        "",
        "-",
        "-x",
        "-qx",
        "-q-",
        "-q-y",
        "-?",
        "--quiets",
        "--quie",
        "--Quiet",
        "--q",
        "---",
        "--quiet yes",
        "-\u{1b}[m",
    ] {
        let fault = format!("'{word}': unknown word, try --help");
        let mut expected = Said {
            faults: vec![fault],
            ..nothing()
        };
        if word.starts_with("-q") {
            expected.flags = "q".to_owned(); // What came before the unknown letter.
        }
        check(&[word], expected.clone());
        // What follows is read all the same.
        expected.name = "a".to_owned();
        check(&[word, "-n", "a"], expected);
    }
}

#[test]
fn missing_values_are_faults() {
    for Known {
        letter,
        long,
        value,
    } in KNOWN
    {
        if value.is_some() {
            let short = format!("-{letter}");
            check_fault(&[&short], &format!("'{short}': it needs a value"));
            let long = format!("--{long}");
            check_fault(&[&long], &format!("'{long}': it needs a value"));
        }
    }
}

#[test]
fn values_of_flags_are_faults() {
    for word in ["--=", "--=a"] {
        check_fault(&[word], &format!("'{word}': it takes no value"));
    }
    // `-q=yes` is no value but letters, of which one is unknown.
    let faults = vec!["'-q=yes': unknown word, try --help".to_owned()];
    check(
        &["-q=yes"],
        Said {
            faults,
            ..said_by('q', "")
        },
    );
    for Known {
        letter,
        long,
        value,
    } in KNOWN
    {
        if value.is_none() {
            let word = format!("--{long}=yes");
            let faults = vec![format!("'{word}': it takes no value")];
            check(
                &[&word],
                Said {
                    faults,
                    ..said_by(letter, "")
                },
            );
        }
    }
}

#[test]
fn two_dashes_end_the_options() {
    check(&["--"], nothing());
    check(
        &["--", "probe"],
        Said {
            command: "Probe".to_owned(),
            ..nothing()
        },
    );
    check_fault(&["--", "-q"], "'-q': unknown word, try --help");
    check_fault(&["--", "--quiet"], "'--quiet': unknown word, try --help");
    check_fault(&["--", "--"], "'--': unknown word, try --help");
    let said = Said {
        command: "Check".to_owned(),
        cases: vec!["-q".to_owned()],
        ..nothing()
    };
    check(&["check", "--", "-q"], said);
}

/// What `check` with these cases says.
fn cases(names: &[&str]) -> Said {
    Said {
        command: "Check".to_owned(),
        cases: names.iter().map(|name| (*name).to_owned()).collect(),
        ..nothing()
    }
}

#[test]
fn check_takes_the_names_of_cases() {
    check(&["check", "a"], cases(&["a"]));
    check(
        &["check", "a", "-r", "b"],
        Said {
            flags: "r".to_owned(),
            ..cases(&["a", "b"])
        },
    );
    check(
        &["-r", "check", "a"],
        Said {
            flags: "r".to_owned(),
            ..cases(&["a"])
        },
    );
    // Any word is a case now, be it a command's.
    check(
        &["check", "probe", "check", "", "-"],
        cases(&["probe", "check", "", "-"]),
    );
    check_fault(&["a"], "'a': unknown word, try --help");
}

#[test]
fn there_is_room_for_64_cases() {
    assert_eq!(MOST_CASES, 64);
    let names: Vec<String> = (0..MOST_CASES + 2)
        .map(|number| number.to_string())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fault = |name: &str| format!("'{name}': 64 cases at most");
    let expected = Said {
        faults: names[MOST_CASES..].iter().map(|name| fault(name)).collect(),
        ..cases(&names[..MOST_CASES])
    };
    check(&[&["check"], &names[..]].concat(), expected);
}

#[test]
fn a_part_of_a_case_begins_with_a_dot() {
    let check = |words: &[&str], expected| {
        let words = c_strings(words);
        let mut words = words.iter().map(CString::as_c_str);
        let mut options = Options::new();
        options.read(&mut words, &mut |_, _| panic!("no fault"));
        assert_eq!(options.part().is_some(), expected);
    };
    check(&[], false);
    check(&["check"], false);
    check(&["check", "a"], false);
    check(&["check", "a", ".b"], false);
    check(&["check", ".b"], true);
    // Those of PID 1 are not for others.
    check(&["check", "..b"], false);
    check(&["check", "."], false);
}

#[test]
fn the_last_command_counts() {
    let command = |name: &str| Said {
        command: name.to_owned(),
        ..nothing()
    };
    check(&["probe", "stages"], command("Stages"));
    check(&["probe", "--help"], command("Help"));
    check(&["--version", "--help"], command("Help"));
}

#[test]
fn the_help_has_every_option_and_no_other() {
    let mut options = HELP.lines().filter(|line| line.starts_with("  -"));
    for Known {
        letter,
        long,
        value,
    } in KNOWN
    {
        let value = value.map_or(String::new(), |value| format!(" {value}"));
        let expected = format!("  -{letter}, --{long}{value}  ");
        let line = options.next().unwrap_or_default();
        assert!(line.starts_with(&expected), "{expected} is not in {line:?}");
    }
    assert_eq!(options.next(), None);
}

#[test]
fn the_help_has_every_word_and_default() {
    let words = [
        "stages", "probe", "check", "poweroff", "reboot", "halt", "exec",
    ];
    let default = nothing().name;
    for word in words
        .iter()
        .copied()
        .chain([default.as_str(), "one page", "exit: 0", "4 "])
    {
        assert!(HELP.contains(word), "{word}");
    }
}

#[test]
fn who_asks_for_help_gets_nothing_run() {
    for word in ["--help", "-h", "-V", "--version"] {
        for command in ["stages", "probe", "check"] {
            let [before, after] = [[word, command], [command, word]].map(|words| {
                let words = words.map(|word| CString::new(word).unwrap());
                let mut words = words.iter().map(CString::as_c_str);
                let mut options = Options::new();
                options.read(&mut words, &mut |_, _| {});
                options.command
            });
            assert!(
                matches!(before, Command::Help | Command::Version),
                "{word} {command}"
            );
            assert!(before == after, "{command} {word}");
        }
    }
}

#[test]
fn the_help_fits_a_serial_terminal() {
    assert!(HELP.ends_with('\n'));
    for line in HELP.lines() {
        assert!(line.len() <= 80 && line.is_ascii(), "{line}");
        assert_eq!(line, line.trim_end());
    }
}

/// A word out of what the options are made of, or of anything.
fn words() -> impl Strategy<Value = CString> {
    let likely = "-{0,3}(quiet|yes|name|size|shared|output|require|list|then|help|version|\
                  stages|probe|check|[qynsSorlthVx]{0,3})(=[ -~]{0,3})?";
    let bytes = prop::collection::vec(1..=u8::MAX, 0..12);
    prop_oneof![
        3 => likely.prop_map(|word| CString::new(word).unwrap()),
        1 => bytes.prop_map(|word| CString::new(word).unwrap()),
    ]
}

/// An option in any of its forms, and what it says.
fn settings() -> impl Strategy<Value = (Vec<String>, char, String)> {
    let known = prop::sample::select((0..KNOWN.len()).collect::<Vec<_>>());
    (known, 1..=i64::MAX, 0..4_u8).prop_map(|(index, number, form)| {
        let Known {
            letter,
            long,
            value,
        } = &KNOWN[index];
        let (short, long, number) = (
            format!("-{letter}"),
            format!("--{long}"),
            number.to_string(),
        );
        let words = match (value, form) {
            (None, 0 | 1) => vec![short],
            (None, _) => vec![long],
            (_, 0) => vec![short, number.clone()],
            (_, 1) => vec![short + &number],
            (_, 2) => vec![long, number.clone()],
            _ => vec![format!("{long}={number}")],
        };
        (words, *letter, number)
    })
}

proptest! {
    #[test]
    fn any_words_are_read(words in prop::collection::vec(words(), 0..20)) {
        let said = read(&words);
        prop_assert!(said.faults.len() <= words.len());
        prop_assert!(said.size.is_none_or(|size| (1..1 << 63).contains(&size)));
        prop_assert!(said.cases.len() <= MOST_CASES);
    }

    #[test]
    fn options_say_the_same_in_every_form_and_order(
        settings in prop::collection::vec(settings(), 0..12),
    ) {
        let mut expected = nothing();
        for (_, letter, value) in &settings {
            let said = said_by(*letter, value);
            match letter {
                'n' => expected.name = said.name,
                's' => expected.size = said.size,
                'o' => expected.output = said.output,
                't' => expected.then = said.then,
                'V' if expected.command == "Help" => {}
                'h' | 'V' => expected.command = said.command,
                flag => expected.flags.push(*flag),
            }
        }
        let set = |flag: &char| expected.flags.contains(*flag);
        expected.flags = "qySrl".chars().filter(set).collect();
        let words = settings.iter().flat_map(|(words, ..)| words);
        let words: Vec<CString> = words.map(|word| CString::new(word.as_str()).unwrap()).collect();
        prop_assert_eq!(read(&words), expected);
    }
}
