//! The shape of the executable: what the kernel is asked to load.
//!
//! It has to be the same for each way to build the program: nothing but constants and code at
//! fixed addresses, in the full build in two segments, those of `check` and the help apart from
//! the rest.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol, elf};

use crate::program::Build;

/// The largest page of an arm64 kernel. All kernels can map a segment whose address
/// and file offset agree modulo this.
const LARGEST_PAGE: u64 = 65_536;

/// The ELF header and three program headers.
const HEADERS: u64 = 64 + 3 * 56;

/// Sections of writable data, unwinding and notes.
const UNWANTED_SECTIONS: [&str; 6] = [
    ".data",
    ".bss",
    ".eh_frame",
    ".eh_frame_hdr",
    ".comment",
    ".rela.dyn",
];

type Header = elf::FileHeader64<LittleEndian>;
type Segment = elf::ProgramHeader64<LittleEndian>;

/// Fails unless the executable has the shape of that build.
pub fn expect(path: &Path, build: Build) -> Result<()> {
    let check = || {
        let data = fs::read(path)?;
        expect_segments(&data, build)?;
        expect_contents(&data)
    };
    check().with_context(|| path.display().to_string())
}

fn expect_segments(data: &[u8], build: Build) -> Result<()> {
    let header = Header::parse(data)?;
    let endian = header.endian()?;
    ensure!(
        header.e_type(endian) == elf::ET_EXEC,
        "it has no fixed address"
    );
    ensure!(
        header.e_machine(endian) == elf::EM_AARCH64,
        "it is not for arm64"
    );
    let (mut loads, mut stacks) = (Vec::new(), 0);
    for segment in header.program_headers(endian, data)? {
        let flags = segment.p_flags(endian);
        match segment.p_type(endian) {
            elf::PT_LOAD => loads.push(segment),
            elf::PT_GNU_STACK => {
                ensure!(
                    flags == elf::PF_R | elf::PF_W,
                    "the stack has the flags {flags:?}"
                );
                stacks += 1;
            }
            other => ensure!(false, "there is a segment of the type {other:?}"),
        }
    }
    ensure!(stacks == 1, "{stacks} headers for the stack");
    let expected = match build {
        Build::Minimal => 1,
        Build::Full => 2,
    };
    ensure!(
        loads.len() == expected,
        "{} segments are loaded",
        loads.len()
    );
    expect_loads(&loads, endian)
}

/// The segments follow each other in the file, but share no page of memory.
fn expect_loads(loads: &[&Segment], endian: LittleEndian) -> Result<()> {
    // The program headers, one of which the linker may have removed.
    let (mut end, mut end_of_page) = (HEADERS, 0);
    for load in loads {
        let (offset, address) = (load.p_offset(endian), load.p_vaddr(endian));
        let (size, flags) = (load.p_filesz(endian), load.p_flags(endian));
        ensure!(
            flags == elf::PF_R | elf::PF_X,
            "a segment has the flags {flags:?}"
        );
        ensure!(load.p_memsz(endian) == size, "there is a .bss");
        ensure!(
            (end..end + 16).contains(&offset),
            "padding before {offset:#x}"
        );
        ensure!(
            offset % LARGEST_PAGE == address % LARGEST_PAGE && load.p_align(endian) == LARGEST_PAGE,
            "{address:#x} is not aligned as its place in the file"
        );
        ensure!(address >= end_of_page, "the segments share a page");
        end = offset + size;
        end_of_page = (address + size).next_multiple_of(LARGEST_PAGE);
    }
    Ok(())
}

/// No undefined symbols, no relocations, and none of the sections in the list.
fn expect_contents(data: &[u8]) -> Result<()> {
    let file = object::File::parse(data)?;
    // The first entry of a symbol table is empty.
    let names = file.symbols().filter(|symbol| symbol.is_undefined());
    let mut names: Vec<_> = names.filter_map(|symbol| symbol.name().ok()).collect();
    names.retain(|name| !name.is_empty());
    ensure!(names.is_empty(), "undefined: {names:?}");
    for section in file.sections() {
        let name = section.name()?;
        ensure!(section.relocations().count() == 0, "{name} has relocations");
        ensure!(
            !UNWANTED_SECTIONS.contains(&name) || section.size() == 0,
            "{name} has contents"
        );
    }
    Ok(())
}
