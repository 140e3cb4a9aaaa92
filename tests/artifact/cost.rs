//! What the program takes at run time: system calls, instructions, guest time.
//!
//! All of these but the last are counts, made in a real kernel with addresses
//! fixed, and the same in each run; nothing depends on how fast the machine is.

use std::sync::OnceLock;

use rig::measure::meter::{self, Figures};
use rig::measure::{self, Subject, boot_time, library};
use rig::program::Build;

/// The PID alone may differ between kernels. It is printed in five places, and a
/// digit more is divided off, made a character and copied twice.
const PER_DIGIT: u64 = 5 * 20;

#[test]
fn minimal_build_is_within_its_budget() {
    check_frugal("minimal", 14, 2_500);
}

#[test]
fn full_build_is_within_its_budget() {
    check_frugal("full", 20, 4_000);
}

/// With a single segment there is a single mapping, and little of it is touched.
#[test]
fn memory_is_a_handful_of_pages() {
    check_memory("minimal", 12, 1);
    check_memory("full", 32, 1);
}

/// The comparison is one of equals: the same job, the same words.
#[test]
fn peers_print_what_the_program_prints() {
    let wanted = masked(&figures("full").transcript);
    assert!(
        wanted.ends_with(
            "\nSet [ADDRESS, ADDRESS] = /secret/mem/area\n\n\
             Press enter to unmmap the region - cat /proc/PID/maps > maps_3_set_vm_name.txt\n\n\
             Press enter to exit - cat /proc/PID/maps > maps_4_ummap.txt\n"
        ),
        "{wanted}"
    );
    for (subject, figures) in all() {
        assert_eq!(masked(&figures.transcript), wanted, "{}", subject.title);
    }
}

#[test]
fn verdicts_come_in_time() {
    check_time("probe", 1_000);
    check_time("check", 300_000);
}

/// Ratios of times: the contenders take turns, and of each the fastest turn counts.
#[test]
#[ignore = "builds the rig once more, optimised, which takes minutes"]
fn library_is_ahead_of_its_peers() {
    let times = library::measure().unwrap();
    let report = times.report();
    assert!(times.ahead().iter().all(|ahead| *ahead >= 5.0), "{report}");
    assert!(
        times.growth().iter().all(|growth| *growth <= 1.25),
        "{report}"
    );
}

#[track_caller]
fn check_time(command: &str, goal: u64) {
    let time = boot_time::guest_time(Build::Full, &[command]).unwrap();
    assert!(
        time <= goal,
        "`{command}` as PID 1 took {time} us of {goal}; `cargo xtask bench --cases` shows where"
    );
}

#[track_caller]
fn check_frugal(name: &str, calls: u64, instructions: u64) {
    let figures = figures(name);
    let digits = pid(&figures.transcript).len() as u64;
    let allowed = instructions + (digits - 1) * PER_DIGIT;
    assert!(figures.calls <= calls, "{} calls of {calls}", figures.calls);
    assert!(
        figures.instructions <= allowed,
        "{} instructions of {allowed}",
        figures.instructions
    );
}

#[track_caller]
fn check_memory(name: &str, kibibytes: u64, file_mappings: usize) {
    let figures = figures(name);
    assert!(
        figures.resident <= kibibytes,
        "{name}: {} KiB",
        figures.resident
    );
    assert_eq!(figures.file_mappings, file_mappings, "{name}");
}

/// All that is compared, measured once.
fn all() -> &'static [(Subject, Figures)] {
    static ALL: OnceLock<Vec<(Subject, Figures)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let subjects = measure::all().unwrap();
        let figures = meter::measure(&subjects).unwrap();
        subjects.into_iter().zip(figures).collect()
    })
}

fn figures(name: &str) -> &'static Figures {
    let found = all().iter().find(|(subject, _)| subject.name == name);
    &found.unwrap().1
}

fn pid(transcript: &str) -> &str {
    let line = transcript
        .lines()
        .find_map(|line| line.strip_prefix("PID: "));
    line.expect("the PID is printed")
}

/// The transcript without what differs from run to run.
fn masked(transcript: &str) -> String {
    let pid = pid(transcript);
    let text = transcript
        .replace(&format!("PID: {pid}"), "PID: PID")
        .replace(&format!("/proc/{pid}/"), "/proc/PID/");
    let mut pieces = text.split("0x");
    let mut masked = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        masked.push_str("ADDRESS");
        masked.push_str(rest);
    }
    masked
}
