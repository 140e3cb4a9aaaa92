//! The explanations of why a kernel names no memory, or refused a name.

use vm_anon_name::diagnosis::{Absence, Failure, Version};

use crate::{assert_printable, written_text};

const EPERM: i32 = 1;
const EBADF: i32 = 9;
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const EFAULT: i32 = 14;
const EINVAL: i32 = 22;
const ENOSYS: i32 = 38;

#[test]
fn releases_start_with_a_version() {
    let check = |release: &str, major, minor| {
        let version = Version::of(release.as_bytes());
        assert_eq!(version, Version::new(major, minor), "{release}");
        assert_eq!(version.numbers(), [major, minor]);
    };
    // Debian
    check("5.10.0-32-cloud-arm64", 5, 10);
    check("6.1.0-50-cloud-arm64", 6, 1);
    check("6.12.117+deb13-arm64-16k", 6, 12);
    check("7.3.4+deb13-cloud-arm64", 7, 3);
    // Android's generic kernel image
    check("5.10.198-android13-4-00050-g12f3388846c3-ab11920634", 5, 10);
    check("6.1.75-android14-11-g1ad0e5f9a0c5-ab12345678", 6, 1);
    check("6.6.30-android15-8-maybe-dirty-4k", 6, 6);
    // Windows Subsystem for Linux, Amazon, Raspberry Pi OS, Asahi, OpenWrt
    check("5.15.167.4-microsoft-standard-WSL2", 5, 15);
    check("6.1.112-122.189.amzn2023.aarch64", 6, 1);
    check("6.6.51+rpt-rpi-2712", 6, 6);
    check("6.9.12-400.asahi.fc40.aarch64+16k", 6, 9);
    check("5.15.162", 5, 15);
    // Mainline
    check("6.12.0-rc7", 6, 12);
    check("6.12-rc7", 6, 12);
    check("6.12", 6, 12);
    check("7.0", 7, 0);
    check("10.20", 10, 20);
    // Numbers above 255
    check("6.9999", 6, 255);
    check("1000.2", 255, 2);
}

#[test]
fn a_release_without_a_version_is_unknown() {
    let check = |release: &[u8]| assert_eq!(Version::of(release), Version::UNKNOWN);
    check(b"");
    check(b"linux");
    check(b"v5.10.0");
    check(b" 5.10.0");
    check(b"5");
    check(b"5.");
    check(b".5.10");
    check(b"0.99");
    check(b"18446744073709551616.1");
    check(b"5.18446744073709551616");
    check(b"99999999999999999999999999.1");
    check(b"\xff\xfe5.10");
    check(b"\xd9\xa5.\xd9\xa1"); // Arabic digits
}

#[test]
fn an_unknown_version_is_later_than_all_others() {
    assert!(Version::UNKNOWN > Version::of(b"254.9999"));
    // 255.255 is the upper limit of cases that state none, see `suite::assembler`.
    assert!(Version::UNKNOWN < Version::new(255, 255));
}

#[test]
fn versions_compare_as_numbers() {
    assert!(Version::new(5, 9) < Version::new(5, 17));
    assert!(Version::new(5, 17) < Version::new(6, 2));
    assert!(Version::new(6, 9) < Version::new(6, 12));
    assert_eq!(Version::NAMES_PRIVATE, Version::new(5, 17));
    assert_eq!(Version::NAMES_SHARED, Version::new(6, 2));
}

/// Checks the explanation of a `probe` error on a kernel of this release.
#[track_caller]
fn check_absence(probe: i32, release: &str, expected: &str) {
    let absence = Absence::of(probe, release.as_bytes());
    let explanation = written_text(|out| {
        if let Some(absence) = absence {
            absence.explain(release.as_bytes(), out);
        }
    });
    assert_eq!(explanation, expected);
    assert_printable(&explanation);
}

#[test]
fn absence_is_explained() {
    check_absence(0, "6.12.117", "");
    // A backport has the feature, although its release is older.
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
    // Without a version, the kernel is not called too old.
    check_absence(
        EINVAL,
        "garbage",
        "Linux garbage was built without CONFIG_ANON_VMA_NAME",
    );
    for errno in [EPERM, ENOSYS, EFAULT, ENOMEM, -1, i32::MIN, i32::MAX] {
        for release in ["5.10.0", "6.12.117"] {
            let expected = format!("blocked before Linux {release} saw the call, e.g. by seccomp");
            check_absence(errno, release, &expected);
        }
    }
}

#[test]
fn releases_are_escaped() {
    check_absence(
        EINVAL,
        "6.1\u{1b}[2J",
        "Linux 6.1\\x1b[2J was built without CONFIG_ANON_VMA_NAME",
    );
}

/// A failure on a kernel with the feature and with a valid name.
const FAILURE: Failure = Failure {
    errno: EINVAL,
    probe: 0,
    release: b"6.12.117",
    name: b"/secret/mem/area",
    shared: false,
};

#[track_caller]
fn check_failure(failure: Failure, is_lacking: bool, expected: &str) {
    let mut result = None;
    let explanation = written_text(|out| result = Some(failure.explain(out)));
    assert_eq!(explanation, expected);
    assert_eq!(result, Some(is_lacking));
    assert_printable(&explanation);
}

#[test]
fn an_old_kernel_or_one_built_without_lacks_the_feature() {
    for shared in [false, true] {
        let failure = Failure {
            probe: EINVAL,
            release: b"5.10.0-32-cloud-arm64",
            shared,
            ..FAILURE
        };
        check_failure(
            failure,
            true,
            ": Linux 5.10.0-32-cloud-arm64 is older than 5.17, the first to name anonymous memory",
        );
        let failure = Failure {
            release: b"6.1.0-50-cloud-arm64",
            // The kernel did not look at the name, so it is not the reason.
            name: b"[",
            ..failure
        };
        check_failure(
            failure,
            true,
            ": Linux 6.1.0-50-cloud-arm64 was built without CONFIG_ANON_VMA_NAME",
        );
    }
}

#[test]
fn a_seccomp_filter_is_not_a_lack_of_the_kernel() {
    for errno in [EPERM, ENOSYS] {
        let failure = Failure {
            errno,
            probe: errno,
            ..FAILURE
        };
        check_failure(
            failure,
            false,
            ": blocked before Linux 6.12.117 saw the call, e.g. by seccomp",
        );
    }
}

#[test]
fn a_refused_name_is_explained_by_its_first_fault() {
    let check = |name: &[u8], expected: &str| {
        check_failure(Failure { name, ..FAILURE }, false, expected);
    };
    check(b"a[0]", ": a name cannot contain '['");
    check(b"a]", ": a name cannot contain ']'");
    check(b"$HOME", ": a name cannot contain '$'");
    check(b"a`b", ": a name cannot contain '`'");
    check(b"a\\b", ": a name cannot contain '\\'");
    check(b"\x1b[m", ": a name cannot contain '\\x1b'");
    check(b"caf\xc3\xa9", ": a name cannot contain '\\xc3'");
    check(&[b'a'; 80], ": a name has at most 79 bytes");
    check(&[b'['; 4096], ": a name has at most 79 bytes");
}

#[test]
fn a_newline_in_a_name_is_escaped() {
    let failure = Failure {
        name: b"a\nb",
        ..FAILURE
    };
    check_failure(failure, false, ": a name cannot contain '\\x0a'");
}

#[test]
fn shared_memory_is_named_since_6_2() {
    let failure = Failure {
        errno: EBADF,
        release: b"6.1.192",
        shared: true,
        ..FAILURE
    };
    check_failure(
        failure,
        true,
        ": shared memory can be named since Linux 6.2",
    );
    // Later kernels without CONFIG_SHMEM back it with ramfs, which has no names.
    let failure = Failure {
        release: b"6.2.0",
        ..failure
    };
    check_failure(
        failure,
        true,
        ": this kernel was built without CONFIG_SHMEM",
    );
    // EBADF for private memory has no known reason.
    let failure = Failure {
        shared: false,
        ..failure
    };
    check_failure(failure, false, "");
}

#[test]
fn a_limit_on_mappings_is_explained() {
    let failure = Failure {
        errno: EAGAIN,
        ..FAILURE
    };
    check_failure(failure, false, ": too many mappings (vm.max_map_count)");
}

#[test]
fn other_errors_are_not_explained() {
    let check = |errno, name| {
        let failure = Failure {
            errno,
            name,
            ..FAILURE
        };
        check_failure(failure, false, "");
    };
    // A valid name is not the reason for EINVAL, and a bad name not for other errors.
    check(EINVAL, b"good");
    check(EFAULT, b"[");
    check(EPERM, b"good");
    check(0, b"");
    check(-1, b"");
}
