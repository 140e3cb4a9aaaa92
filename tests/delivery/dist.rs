//! The release folder.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use object::{Object, ObjectSegment};
use rig::checkout::{Checkout, cargo_home};
use rig::dist::{self, SUMS, executable_name};
use rig::kernels;
use rig::target::{self, AARCH64, Target};
use rig::{host_packages, paths, tool};

use crate::clones;
use crate::trial;
use crate::workshop;

/// The files of a release, without the number of its version.
const FILES: [&str; 13] = [
    "NOTICES",
    "SHA256SUMS",
    "ktap/6.12.ktap",
    "sbom.cdx.json",
    "vm_anon_name-VERSION.crate",
    "vm_anon_name-aarch64",
    "vm_anon_name-aarch64.cpio",
    "vm_anon_name-aarch64.debug",
    "vm_anon_name-append-aarch64.cpio",
    "vm_anon_name-minimal-aarch64",
    "vm_anon_name-minimal-aarch64.debug",
    "vm_anon_name.1",
    "vm_anon_name_VERSION_arm64.deb",
];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("dist::two clones give the same bytes", || {
            two_clones(&[&AARCH64])
        }),
        trial(
            "dist::two clones give the same bytes for all architectures",
            || two_clones(&target::ALL),
        )
        .with_ignored_flag(true),
        trial("dist::the files are complete and boot", own_release),
        trial("dist::lintian has no complaint", lintian).with_ignored_flag(true),
    ]
}

/// Clones in directories of different depth, built with a different `CARGO_HOME` each.
fn two_clones(targets: &[&'static Target]) -> Result<()> {
    let workshop = workshop::open()?;
    let revision = clones::revision()?;
    let places = ["one", "some/where/else"];
    let sums = places.map(|place| {
        let place = workshop.scratch(&format!("clones-{}/{place}", targets.len()))?;
        let folder = release_of_clone(&place, &revision, targets)?;
        let sums = folder.join(SUMS);
        fs::read_to_string(&sums).with_context(|| format!("no {}", sums.display()))
    });
    let [one, other] = sums;
    let (one, other) = (one?, other?);
    let lines = |sums: &str| sums.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let differences: Vec<_> = lines(&one)
        .symmetric_difference(&lines(&other))
        .cloned()
        .collect();
    ensure!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

fn release_of_clone(place: &Path, revision: &str, targets: &[&'static Target]) -> Result<PathBuf> {
    let checkout = Checkout {
        source: place.join("clone"),
        target: place.join("target"),
        cargo_home: paths::directory(place.join("cargo-home"))?,
    };
    clones::update(&checkout.source, revision)?;
    symlink(
        cargo_home()?.join("registry"),
        checkout.cargo_home.join("registry"),
    )?;
    let folder = place.join("dist");
    dist::make(&checkout, &folder, targets, &[])?;
    Ok(folder)
}

/// Makes the folder with the report of one kernel, and boots its files.
fn own_release() -> Result<()> {
    let folder = paths::scratch("dist-tested")?.join("release");
    let checkout = Checkout::own("dist")?;
    dist::make(
        &checkout,
        &folder,
        &[&AARCH64],
        &[kernels::find(kernels::DEFAULT)?],
    )?;
    let version = env!("CARGO_PKG_VERSION");
    let expected = FILES.map(|name| name.replace("VERSION", version));
    let mut found = dist::files(&folder)?;
    found.sort_by_key(|name| name.replace(version, "VERSION"));
    ensure!(found == expected, "the folder has {found:?}");
    let notices = fs::read_to_string(folder.join("NOTICES"))?;
    expect_notices(&notices)?;
    for name in ["aarch64", "minimal-aarch64"] {
        expect_symbols(&folder.join(executable_name(name)))?;
    }
    expect_same_in_package(&folder)?;
    dist::smoke::test(&folder, &[&AARCH64])
}

/// Each crate of the package's lock file has a notice.
fn expect_notices(notices: &str) -> Result<()> {
    let lock = workshop::open()?.source.join("Cargo.lock");
    let lock = fs::read_to_string(&lock)?;
    let names = lock.lines().filter_map(|line| line.strip_prefix("name = "));
    let names: Vec<&str> = names.map(|name| name.trim_matches('"')).collect();
    ensure!(names.len() > 1, "the lock file lists {names:?}");
    for name in names.iter().filter(|name| **name != rig::program::PACKAGE) {
        let notice = format!("It contains code of {name} ");
        ensure!(notices.contains(&notice), "no notice of {name}");
    }
    Ok(())
}

/// The segments of the file with symbols have the bytes of the executable at the same offsets.
fn expect_symbols(program: &Path) -> Result<()> {
    let data = fs::read(program)?;
    let with_symbols = fs::read(program.with_added_extension("debug"))?;
    let file = object::File::parse(&*with_symbols)?;
    ensure!(file.has_debug_symbols(), "no debug information");
    let mut loaded = 0;
    for segment in file.segments() {
        let (offset, size) = segment.file_range();
        let range = usize::try_from(offset)?..usize::try_from(offset + size)?;
        ensure!(
            data.get(range) == Some(segment.data()?),
            "{} differs",
            program.display()
        );
        loaded += size;
    }
    ensure!(loaded > 0, "{} loads nothing", program.display());
    ensure!(
        !contains(
            &with_symbols,
            paths::workspace().as_os_str().as_encoded_bytes()
        ),
        "the debug information names this checkout"
    );
    Ok(())
}

fn contains(data: &[u8], bytes: &[u8]) -> bool {
    data.windows(bytes.len()).any(|window| window == bytes)
}

/// The Debian package has the files of the folder.
fn expect_same_in_package(folder: &Path) -> Result<()> {
    let unpacked = unpack_package(folder)?;
    for (name, path) in [
        ("vm_anon_name-aarch64", "usr/bin/vm_anon_name"),
        (
            "vm_anon_name-aarch64.cpio",
            "usr/lib/vm_anon_name/vm_anon_name.cpio",
        ),
        (
            "vm_anon_name-append-aarch64.cpio",
            "usr/lib/vm_anon_name/vm_anon_name-append.cpio",
        ),
        ("NOTICES", "usr/share/doc/vm-anon-name/NOTICES"),
    ] {
        let (one, other) = (fs::read(folder.join(name))?, fs::read(unpacked.join(path))?);
        ensure!(one == other, "{path} is not {name}");
    }
    Ok(())
}

/// Unpacks the Debian package with Debian's own tool.
fn unpack_package(folder: &Path) -> Result<PathBuf> {
    let directory = paths::emptied(paths::scratch("dist-tested")?.join("package"))?;
    let mut extract = Command::new("dpkg-deb");
    extract.arg("--extract").arg(debian_package(folder));
    tool::output(extract.arg(&directory))?;
    Ok(directory)
}

fn debian_package(folder: &Path) -> PathBuf {
    folder.join(format!(
        "vm_anon_name_{}_arm64.deb",
        env!("CARGO_PKG_VERSION")
    ))
}

/// Lintian reports only what the packages override. The trial is ignored by default, because
/// lintian depends on 128 packages.
fn lintian() -> Result<()> {
    host_packages::LINTIAN.ensure()?;
    let folder = paths::scratch("dist-lintian")?.join("release");
    dist::make(&Checkout::own("dist-lintian")?, &folder, &target::ALL, &[])?;
    let mut packages = dist::files(&folder)?;
    packages.retain(|name| name.ends_with(".deb"));
    ensure!(packages.len() == target::ALL.len(), "{packages:?}");
    let mut lintian = Command::new("lintian");
    lintian.args([
        "--pedantic",
        "--display-info",
        "--fail-on=error,warning,info,pedantic",
    ]);
    // In a container, the tests may run as root, of which lintian warns without this option.
    lintian
        .arg("--allow-root")
        .args(&packages)
        .current_dir(&folder);
    let output = tool::output(&mut lintian)?;
    ensure!(output.is_empty(), "{output}");
    Ok(())
}
