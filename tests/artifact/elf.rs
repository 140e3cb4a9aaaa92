//! The file: how large it may be, and what the kernel is asked to load.
//!
//! The shape is asserted of every way in which the program is built: the two
//! builds, under RUSTFLAGS, which replace a configuration's flags, and as a
//! distribution's package, which replaces profile and linker. The size is asserted
//! of the two builds that are shipped.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol};
use rig::initramfs::Initramfs;
use rig::measure::size;
use rig::program::{self, Build, LINKER_VARIABLE, TARGET};
use rig::{host, kernels, paths, tool};

/// The aim is 16 KiB, four of the smallest pages. Two pages more are where a
/// feature costs more than it can be worth in a rescue image.
const FULL_BUDGET: u64 = 24_576;

/// The aim is 1.5 KiB. Half a page is where the demonstration alone is no longer
/// clearly below the same job in C with the kernel's nolibc, which takes 3.6 kB.
const MINIMAL_BUDGET: u64 = 2_048;

/// The largest page of any arm64 kernel. A segment that begins at a multiple of
/// it can be mapped by all of them.
const LARGEST_PAGE: u64 = 65_536;

type Header = elf::FileHeader64<LittleEndian>;

#[test]
fn full_build_is_within_its_budget() {
    check_size(Build::Full, FULL_BUDGET);
}

#[test]
fn minimal_build_is_within_its_budget() {
    check_size(Build::Minimal, MINIMAL_BUDGET);
}

/// `cargo xtask size` has a line for each byte: its sections, modules and functions are
/// those of a build with symbols, which must be as long as the file that is shipped.
#[test]
fn each_byte_is_accounted_for() {
    for build in [Build::Full, Build::Minimal] {
        let report = size::report(build).unwrap();
        let shipped = fs::metadata(program::build(build).unwrap()).unwrap().len();
        let sections = report.split("\n\n").nth(1).unwrap();
        let bytes = sections.lines().skip(2).map(|row| {
            let bytes = row.split('|').nth(2).unwrap().trim();
            bytes.replace(',', "").parse::<u64>().unwrap()
        });
        assert_eq!(bytes.sum::<u64>(), shipped, "{report}");
        assert!(report.contains("| src/program/start.rs |"), "{report}");
    }
}

#[test]
fn full_build_is_one_segment() {
    check_shape(&program::build(Build::Full).unwrap());
}

#[test]
fn minimal_build_is_one_segment() {
    check_shape(&program::build(Build::Minimal).unwrap());
}

/// Link arguments that lay in a configuration's rustflags would be gone.
#[test]
fn rustflags_of_the_environment_do_not_change_the_shape() {
    for build in [Build::Full, Build::Minimal] {
        let path = program::build_variant(build, "rustflags", |cargo| {
            cargo.env(
                "RUSTFLAGS",
                "-Ctarget-cpu=cortex-a53 -Cforce-frame-pointers=yes",
            );
        });
        check_shape(&path.unwrap());
    }
}

/// Buildroot's cargo-package sets all of this; the level follows BR2_OPTIMIZE_*.
#[test]
fn buildroots_profile_does_not_change_the_shape() {
    for level in ["2", "s"] {
        check_shape(&buildroot(level));
    }
}

#[test]
fn what_buildroot_builds_passes_the_suite() {
    let program = fs::read(buildroot("2")).unwrap();
    let initramfs = Initramfs::new().file("/init", 0o755, program);
    let kernel = kernels::find(kernels::DEFAULT).unwrap();
    let mut machine = kernel
        .machine(&initramfs.write("buildroot").unwrap())
        .unwrap();
    machine.name = "buildroot".to_owned();
    machine.args = vec!["check".to_owned()];
    let console = machine.run(Duration::from_secs(60)).unwrap();
    console.expect_power_off().unwrap();
    let text = console.text();
    assert!(text.contains(" fail:0 "), "{}", tool::tail(&text));
    assert!(
        text.contains("status 0, then poweroff"),
        "{}",
        tool::tail(&text)
    );
}

#[track_caller]
fn check_size(build: Build, budget: u64) {
    let path = program::build(build).unwrap();
    let size = path.metadata().unwrap().len();
    assert!(
        size <= budget,
        "the {} build has {size} bytes, {} too many; `cargo xtask size` shows where they went",
        build.name(),
        size - budget
    );
}

/// The kernel maps one segment and finds nothing else to do.
#[track_caller]
fn check_shape(path: &Path) {
    let data = fs::read(path).unwrap();
    let header = Header::parse(&*data).unwrap();
    let endian = header.endian().unwrap();
    assert_eq!(header.e_type(endian), elf::ET_EXEC);
    assert_eq!(header.e_machine(endian), elf::EM_AARCH64);

    let segments = header.program_headers(endian, &*data).unwrap();
    let of_type = |wanted| segments.iter().filter(move |s| s.p_type(endian) == wanted);
    let loads: Vec<_> = of_type(elf::PT_LOAD).collect();
    let [load] = loads[..] else {
        panic!("{} segments are loaded", loads.len());
    };
    assert_eq!(load.p_flags(endian), elf::PF_R | elf::PF_X);
    assert_eq!(load.p_offset(endian), 0, "the headers are part of it");
    assert_eq!(load.p_vaddr(endian) % LARGEST_PAGE, 0);
    assert!(load.p_align(endian) >= LARGEST_PAGE);
    assert_eq!(load.p_align(endian) % LARGEST_PAGE, 0);
    assert_eq!(
        load.p_filesz(endian),
        load.p_memsz(endian),
        "there is a .bss"
    );
    for unwanted in [
        elf::PT_INTERP,
        elf::PT_DYNAMIC,
        elf::PT_TLS,
        elf::PT_GNU_RELRO,
    ] {
        assert_eq!(of_type(unwanted).count(), 0, "segment of type {unwanted:?}");
    }
    let stacks: Vec<_> = of_type(elf::PT_GNU_STACK).collect();
    let [stack] = stacks[..] else {
        panic!("{} segments tell how the stack is to be", stacks.len());
    };
    assert_eq!(stack.p_flags(endian), elf::PF_R | elf::PF_W);

    check_contents(&data);
}

/// Nothing is left to the linker or to a loader, and nothing to an unwinder.
#[track_caller]
fn check_contents(data: &[u8]) {
    let file = object::File::parse(data).unwrap();
    // The first symbol of a table stands for none, and has no name.
    let names = file.symbols().filter(|symbol| symbol.is_undefined());
    let names: Vec<_> = names.filter_map(|symbol| symbol.name().ok()).collect();
    assert!(
        names.iter().all(|name| name.is_empty()),
        "undefined: {names:?}"
    );
    for section in file.sections() {
        let name = section.name().unwrap();
        assert_eq!(section.relocations().count(), 0, "{name} has relocations");
        let unwanted = [
            ".data",
            ".bss",
            ".eh_frame",
            ".eh_frame_hdr",
            ".comment",
            ".rela.dyn",
        ];
        assert!(
            !unwanted.contains(&name) || section.size() == 0,
            "{name} has contents"
        );
    }
}

/// Installs the program the way Buildroot does; see its docs on cargo-package.
fn buildroot(level: &str) -> PathBuf {
    // A second installation would replace what another test is just reading.
    static DONE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    host::PEERS.ensure().unwrap();
    let root = paths::scratch(&format!("buildroot-{level}")).unwrap();
    let program = root.join("bin/vm_anon_name");
    if !done.insert(program.clone()) {
        return program;
    }
    let mut cargo = program::cross_cargo("install").unwrap();
    cargo.args([
        "--path",
        ".",
        "--bins",
        "--force",
        "--quiet",
        "--offline",
        "--locked",
    ]);
    cargo.args(["--target", TARGET, "--root"]).arg(&root);
    cargo.arg("--target-dir").arg(root.join("target"));
    cargo.env(LINKER_VARIABLE, "aarch64-linux-gnu-gcc");
    let profile = [
        ("OPT_LEVEL", level),
        ("LTO", "false"),
        ("CODEGEN_UNITS", "16"),
        ("DEBUG", "0"),
        ("DEBUG_ASSERTIONS", "false"),
        ("OVERFLOW_CHECKS", "false"),
        ("STRIP", "true"),
    ];
    for (setting, value) in profile {
        cargo.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
    }
    tool::output(&mut cargo).unwrap();
    program
}
