//! What the kernel is asked to load.
//!
//! The shape has to be the same for each way to build the program: both builds,
//! with RUSTFLAGS, which replace those of the configuration, and as a package of a
//! distribution, which replaces profile and linker.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol};
use rig::initramfs::Initramfs;
use rig::program::{self, Build, FLAGS_VARIABLE};
use rig::{host_packages, kernels, paths, target, tool};

/// The largest page of an arm64 kernel. All kernels can map a segment whose address
/// and file offset agree modulo this.
const LARGEST_PAGE: u64 = 65_536;

/// The ELF header and three program headers.
const HEADERS: u64 = 64 + 3 * 56;

const DRIVER: &str = "aarch64-linux-gnu-gcc";

type Header = elf::FileHeader64<LittleEndian>;

#[test]
fn full_build_is_two_segments() {
    check_shape(&program::build(Build::Full).unwrap(), Build::Full);
}

#[test]
fn minimal_build_is_one_segment() {
    check_shape(&program::build(Build::Minimal).unwrap(), Build::Minimal);
}

/// Link arguments in the rustflags of the configuration would be lost.
#[test]
fn rustflags_of_the_environment_do_not_change_the_shape() {
    for build in [Build::Full, Build::Minimal] {
        let path = program::build_variant(build, "rustflags", |cargo| {
            let linker = program::linker().unwrap();
            cargo.env_remove(FLAGS_VARIABLE);
            cargo.env(target::DEFAULT.linker_variable(), linker);
            cargo.env(
                "RUSTFLAGS",
                "-Ctarget-cpu=cortex-a53 -Cforce-frame-pointers=yes",
            );
        });
        check_shape(&path.unwrap(), build);
    }
}

/// Cargo does not run the build script again when the linker of a target changes.
/// The script asks for it, because its arguments depend on the linker.
#[test]
fn a_target_directory_serves_two_linkers() {
    host_packages::PEERS.ensure().unwrap();
    for linker in [None, Some(DRIVER), None] {
        let path = program::build_variant(Build::Full, "two-linkers", |cargo| {
            if let Some(linker) = linker {
                cargo.env_remove(FLAGS_VARIABLE);
                cargo.env(target::DEFAULT.linker_variable(), linker);
            }
        });
        check_shape(&path.unwrap(), Build::Full);
    }
}

/// The level follows BR2_OPTIMIZE_*.
#[test]
fn buildroots_profile_does_not_change_the_shape() {
    for level in ["2", "s"] {
        check_shape(&buildroot(level), Build::Full);
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

/// Nothing is loaded but constants and code, in the full build in two segments: those
/// of `check` and the help apart from the rest.
#[track_caller]
fn check_shape(path: &Path, build: Build) {
    let data = fs::read(path).unwrap();
    let header = Header::parse(&*data).unwrap();
    let endian = header.endian().unwrap();
    assert_eq!(header.e_type(endian), elf::ET_EXEC);
    assert_eq!(header.e_machine(endian), elf::EM_AARCH64);

    let segments = header.program_headers(endian, &*data).unwrap();
    let of_type = |wanted| segments.iter().filter(move |s| s.p_type(endian) == wanted);
    let loads: Vec<_> = of_type(elf::PT_LOAD).collect();
    let segments_expected = match build {
        Build::Minimal => 1,
        Build::Full => 2,
    };
    assert_eq!(loads.len(), segments_expected);
    // The program headers, one of which the linker may have removed.
    let (mut end, mut end_of_page) = (HEADERS, 0);
    for load in loads {
        let (offset, address) = (load.p_offset(endian), load.p_vaddr(endian));
        let size = load.p_filesz(endian);
        assert_eq!(load.p_flags(endian), elf::PF_R | elf::PF_X);
        assert_eq!(load.p_memsz(endian), size, "there is a .bss");
        // A second segment begins at a page of 4 KiB.
        let starts = match end {
            HEADERS => end..end + 16,
            _ => end..end.next_multiple_of(4096) + 1,
        };
        assert!(starts.contains(&offset), "padding before {offset:#x}");
        assert_eq!(offset % LARGEST_PAGE, address % LARGEST_PAGE);
        assert_eq!(load.p_align(endian), LARGEST_PAGE);
        assert!(address >= end_of_page, "the segments share a page");
        end = offset + size;
        end_of_page = (address + size).next_multiple_of(LARGEST_PAGE);
    }
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
        panic!("{} headers for the stack", stacks.len());
    };
    assert_eq!(stack.p_flags(endian), elf::PF_R | elf::PF_W);

    check_contents(&data);
}

/// No undefined symbols, no relocations, and no sections for writable data, unwinding
/// or notes.
#[track_caller]
fn check_contents(data: &[u8]) {
    let file = object::File::parse(data).unwrap();
    // The first entry of a symbol table is empty.
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

/// Installs the program as Buildroot's cargo-package does.
fn buildroot(level: &str) -> PathBuf {
    // A second installation would replace the file while another test reads it.
    static DONE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    host_packages::PEERS.ensure().unwrap();
    let root = paths::scratch(&format!("buildroot-{level}")).unwrap();
    let program = root.join("bin/vm_anon_name");
    if !done.insert(program.clone()) {
        return program;
    }
    let mut cargo = program::cross_cargo(target::DEFAULT, "install").unwrap();
    cargo.args([
        "--path",
        ".",
        "--bins",
        "--force",
        "--quiet",
        "--offline",
        "--locked",
    ]);
    cargo
        .args(["--target", target::DEFAULT.triple, "--root"])
        .arg(&root);
    cargo.arg("--target-dir").arg(root.join("target"));
    cargo.env(target::DEFAULT.linker_variable(), DRIVER);
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
