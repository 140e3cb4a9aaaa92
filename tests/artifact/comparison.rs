//! The program in comparison with peers in C++ and C that do the same job.

use rig::program::Build;

use crate::stages;

/// A comparison is fair only between programs that do the same.
#[test]
fn peers_print_what_the_program_prints() {
    let expected = masked(&stages().of(Build::Full).unwrap().transcript);
    assert!(
        expected.ends_with(
            "\nSet [ADDRESS, ADDRESS] = /secret/mem/area\n\n\
             Press enter to unmmap the region - cat /proc/PID/maps > maps_3_set_vm_name.txt\n\n\
             Press enter to exit - cat /proc/PID/maps > maps_4_ummap.txt\n"
        ),
        "{expected}"
    );
    for (subject, figures) in &stages().programs {
        assert_eq!(masked(&figures.transcript), expected, "{}", subject.title);
    }
}

/// The minimal build has one segment for constants and code. The full build has a second segment
/// for the suite, the help and the other commands.
#[test]
fn each_segment_is_one_mapping() {
    for (build, mappings) in [(Build::Minimal, 1), (Build::Full, 2)] {
        assert_eq!(stages().of(build).unwrap().file_mappings, mappings);
    }
}

/// The transcript without the numbers that differ from run to run.
fn masked(transcript: &str) -> String {
    let pid = transcript
        .lines()
        .find_map(|line| line.strip_prefix("PID: "))
        .expect("the PID is printed");
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
