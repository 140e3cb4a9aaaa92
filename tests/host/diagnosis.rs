//! Why a kernel names nothing, or not this: releases, errors and their words.

use vm_anon_name::kernel::{Absence, Attempt, NAMES, Version};

use crate::said;

const EPERM: i32 = 1;
const EBADF: i32 = 9;
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const EFAULT: i32 = 14;
const EINVAL: i32 = 22;
const ENOSYS: i32 = 38;

#[test]
fn releases_begin_with_a_version() {
    let check = |release: &str, expected| {
        assert_eq!(Version::of(release.as_bytes()), expected, "{release}");
    };
    // Debian
    check("5.10.0-32-cloud-arm64", Version::new(5, 10));
    check("6.1.0-50-cloud-arm64", Version::new(6, 1));
    check("6.12.117+deb13-arm64-16k", Version::new(6, 12));
    check("7.3.4+deb13-cloud-arm64", Version::new(7, 3));
    // Android's generic kernel image
    check(
        "5.10.198-android13-4-00050-g12f3388846c3-ab11920634",
        Version::new(5, 10),
    );
    check(
        "6.1.75-android14-11-g1ad0e5f9a0c5-ab12345678",
        Version::new(6, 1),
    );
    check("6.6.30-android15-8-maybe-dirty-4k", Version::new(6, 6));
    // Microsoft's for its subsystem, Amazon, Raspberry Pi OS, Asahi, OpenWrt
    check("5.15.167.4-microsoft-standard-WSL2", Version::new(5, 15));
    check("6.1.112-122.189.amzn2023.aarch64", Version::new(6, 1));
    check("6.6.51+rpt-rpi-2712", Version::new(6, 6));
    check("6.9.12-400.asahi.fc40.aarch64+16k", Version::new(6, 9));
    check("5.15.162", Version::new(5, 15));
    // Linus
    check("6.12.0-rc7", Version::new(6, 12));
    check("6.12-rc7", Version::new(6, 12));
    check("6.12", Version::new(6, 12));
    check("7.0", Version::new(7, 0));
    check("10.20", Version::new(10, 20));
}

#[test]
fn what_has_no_version_is_not_called_old() {
    let check = |release: &[u8]| assert_eq!(Version::of(release), Version::NEWEST);
    check(b"");
    check(b"linux");
    check(b"v5.10.0");
    check(b" 5.10.0");
    check(b"5");
    check(b".5.10");
    check(b"0.99");
    check(b"18446744073709551616.1");
    check(b"5.18446744073709551616");
    check(b"99999999999999999999999999.1");
    check(b"\xff\xfe5.10");
    check(b"\xd9\xa5.\xd9\xa1"); // Digits, but not ASCII's.
    assert!(Version::NEWEST > Version::new(254, 9999));
    // The end of cases that hold for ever.
    assert!(Version::NEWEST < Version(u16::MAX));
    assert_eq!(Version::new(6, 9999), Version::new(6, 255));
}

#[test]
fn versions_compare_as_numbers() {
    assert!(Version::new(5, 9) < Version::new(5, 17));
    assert!(Version::new(5, 17) < Version::new(6, 2));
    assert!(Version::new(6, 9) < Version::new(6, 12));
    assert_eq!(NAMES, Version::new(5, 17));
}

/// Says what the probe's answer means on a kernel of this release.
#[track_caller]
fn check_absence(probe: i32, release: &str, expected: &str) {
    let explained = Absence::of(probe, release.as_bytes()).map_or(String::new(), |absence| {
        said(|out| absence.explain(release.as_bytes(), out))
    });
    assert_eq!(explained, expected);
}

#[test]
fn absence_is_explained() {
    check_absence(0, "6.12.117", "");
    // A backport has the feature whatever the release says.
    check_absence(0, "5.10.198-android13-4", "");
    check_absence(
        EINVAL,
        "5.10.0-32-cloud-arm64",
        "Linux 5.10.0-32-cloud-arm64 is older than 5.17, the first to name anonymous memory",
    );
    check_absence(
        EINVAL,
        "5.16.20",
        "Linux 5.16.20 is older than 5.17, the first to name anonymous memory",
    );
    check_absence(
        EINVAL,
        "5.17.0",
        "Linux 5.17.0 was built without CONFIG_ANON_VMA_NAME",
    );
    check_absence(
        EINVAL,
        "6.1.0-50-cloud-arm64",
        "Linux 6.1.0-50-cloud-arm64 was built without CONFIG_ANON_VMA_NAME",
    );
    check_absence(
        EINVAL,
        "garbage",
        "Linux garbage was built without CONFIG_ANON_VMA_NAME",
    );
    for errno in [EPERM, ENOSYS, EFAULT, ENOMEM, -1, i32::MIN, i32::MAX] {
        for release in ["5.10.0", "6.12.117"] {
            let expected = format!("blocked before Linux {release} saw it, as by a seccomp filter");
            check_absence(errno, release, &expected);
        }
    }
}

#[test]
fn a_release_cannot_drive_the_terminal() {
    check_absence(
        EINVAL,
        "6.1\u{1b}[2J",
        "Linux 6.1\\x1b[2J was built without CONFIG_ANON_VMA_NAME",
    );
}

/// What the attempts below are like where they say nothing else.
const ATTEMPT: Attempt = Attempt {
    errno: EINVAL,
    probe: 0,
    release: b"6.12.117",
    name: b"/secret/mem/area",
    shared: false,
};

#[track_caller]
fn check_attempt(attempt: Attempt, is_lack: bool, expected: &str) {
    let mut found = None;
    let explained = said(|out| found = Some(attempt.explain(out)));
    assert_eq!(explained, expected);
    assert_eq!(found, Some(is_lack));
}

#[test]
fn a_kernel_too_old_or_built_without_lacks_the_feature() {
    for shared in [false, true] {
        let attempt = Attempt {
            probe: EINVAL,
            release: b"5.10.0-32-cloud-arm64",
            shared,
            ..ATTEMPT
        };
        check_attempt(
            attempt,
            true,
            ": Linux 5.10.0-32-cloud-arm64 is older than 5.17, the first to name anonymous memory",
        );
        let attempt = Attempt {
            release: b"6.1.0-50-cloud-arm64",
            // Where nothing can be named, a bad name is not the reason.
            name: b"[",
            ..attempt
        };
        check_attempt(
            attempt,
            true,
            ": Linux 6.1.0-50-cloud-arm64 was built without CONFIG_ANON_VMA_NAME",
        );
    }
}

#[test]
fn a_filter_before_the_kernel_is_no_lack() {
    for errno in [EPERM, ENOSYS] {
        let attempt = Attempt {
            errno,
            probe: errno,
            ..ATTEMPT
        };
        check_attempt(
            attempt,
            false,
            ": blocked before Linux 6.12.117 saw it, as by a seccomp filter",
        );
    }
}

#[test]
fn a_bad_name_is_shown_with_what_is_bad() {
    let check = |name: &[u8], expected: &str| {
        let attempt = Attempt { name, ..ATTEMPT };
        check_attempt(attempt, false, expected);
    };
    check(b"a[0]", ": no name may have a '['");
    check(b"a]", ": no name may have a ']'");
    check(b"$HOME", ": no name may have a '$'");
    check(b"a`b", ": no name may have a '`'");
    check(b"a\\b", ": no name may have a '\\'");
    check(b"\x1b[m", ": no name may have a '\\x1b'");
    check(b"caf\xc3\xa9", ": no name may have a '\\xc3'");
    check(&[b'a'; 80], ": a name has 79 bytes at most");
    check(&[b'['; 4096], ": a name has 79 bytes at most");
}

#[test]
fn shared_memory_is_named_since_6_2() {
    let attempt = Attempt {
        errno: EBADF,
        release: b"6.1.192",
        shared: true,
        ..ATTEMPT
    };
    check_attempt(attempt, true, ": shared mappings can be named since 6.2");
    // Of private memory this error says nothing that is known here.
    let attempt = Attempt {
        shared: false,
        ..attempt
    };
    check_attempt(attempt, false, "");
}

#[test]
fn a_limit_is_told_from_a_refusal() {
    for errno in [EAGAIN, ENOMEM] {
        let attempt = Attempt { errno, ..ATTEMPT };
        check_attempt(attempt, false, ": too many mappings (vm.max_map_count)");
    }
}

#[test]
fn other_errors_are_not_guessed_at() {
    let check = |errno, name| {
        let attempt = Attempt {
            errno,
            name,
            ..ATTEMPT
        };
        check_attempt(attempt, false, "");
    };
    // The name is good, so EINVAL has another reason; and the other way round.
    check(EINVAL, b"good");
    check(EFAULT, b"[");
    check(EPERM, b"good");
    check(0, b"");
    check(-1, b"");
}
