//! The transcript of the description that started the program, as a contract.

use regex::Regex;

/// As it was published: a process 245, one page of 4096 bytes.
const SEED: &str = include_str!("seed.txt");

/// What a transcript says of its own process.
#[derive(Debug, PartialEq, Eq)]
pub struct Facts {
    pub pid: u64,
    pub start: u64,
    pub end: u64,
    pub size: u64,
}

/// Checks that `text` is the seed's transcript, byte for byte but for the process's
/// own numbers and `name`, and gives these numbers.
#[track_caller]
pub fn check(text: &str, name: &str) -> Facts {
    let facts = facts(text);
    assert_eq!(text, expected(&facts, name), "not the seed's transcript");
    assert_eq!(
        facts.end - facts.start,
        facts.size,
        "the range is not the size"
    );
    facts
}

/// The same where nothing was named: the line that says so is not there.
#[track_caller]
pub fn check_unnamed(text: &str) -> Facts {
    let pid = number(text, r"PID: (\d+)", 10);
    let start = number(text, r"mmap addr: 0x([0-9a-f]+)", 16);
    let size = number(text, r"size: (\d+)", 10);
    let facts = Facts {
        pid,
        start,
        end: start + size,
        size,
    };
    let whole = expected(&facts, "NAME");
    let set = Regex::new(r"(?m)^Set .*\n\n").unwrap();
    assert_eq!(
        text,
        set.replace(&whole, ""),
        "not the seed's transcript without a name"
    );
    facts
}

#[track_caller]
fn facts(text: &str) -> Facts {
    Facts {
        pid: number(text, r"PID: (\d+)", 10),
        start: number(text, r"Set \[0x([0-9a-f]+)", 16),
        end: number(text, r"Set \[0x[0-9a-f]+, 0x([0-9a-f]+)", 16),
        size: number(text, r"size: (\d+)", 10),
    }
}

fn expected(facts: &Facts, name: &str) -> String {
    SEED.replace("245", &facts.pid.to_string())
        .replace("0xffffadaf5000", &format!("{:#x}", facts.start))
        .replace("0xffffadaf6000", &format!("{:#x}", facts.end))
        .replace("size: 4096", &format!("size: {}", facts.size))
        .replace("= /secret/mem/area", &format!("= {name}"))
}

#[track_caller]
fn number(text: &str, pattern: &str, base: u32) -> u64 {
    let found = Regex::new(pattern).unwrap().captures(text);
    let found = found.unwrap_or_else(|| panic!("no {pattern} in\n{text}"));
    u64::from_str_radix(&found[1], base).unwrap()
}
