//! The shape of the executable: what the kernel is asked to load.
//!
//! It has to be the same for each architecture and each way to build the program: only constants
//! and code, at fixed addresses. The full build has two segments: one for the help and the commands
//! other than the stages, and one for the rest.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{FileKind, LittleEndian, Object, ObjectSection, ObjectSymbol, elf};

use crate::program::Build;
use crate::target::Target;

/// Sections of writable data, unwinding tables, comments and relocations.
const UNWANTED_SECTIONS: [&str; 7] = [
    ".data",
    ".bss",
    ".eh_frame",
    ".eh_frame_hdr",
    ".comment",
    ".rel.dyn",
    ".rela.dyn",
];

/// Fails unless the executable has the shape of that build.
pub fn expect(target: &Target, path: &Path, build: Build) -> Result<()> {
    let check = || {
        let data = fs::read(path)?;
        match FileKind::parse(&*data)? {
            FileKind::Elf32 => expect_header::<elf::FileHeader32<_>>(target, &data, build)?,
            _ => expect_header::<elf::FileHeader64<_>>(target, &data, build)?,
        }
        expect_contents(&data)
    };
    check().with_context(|| path.display().to_string())
}

fn expect_header<Header>(target: &Target, data: &[u8], build: Build) -> Result<()>
where
    Header: FileHeader<Endian = LittleEndian>,
{
    let header = Header::parse(data)?;
    let endian = header.endian()?;
    ensure!(
        header.e_type(endian) == elf::ET_EXEC,
        "it has no fixed address"
    );
    ensure!(
        header.e_machine(endian) == target.machine,
        "it is for another machine"
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
            // No interpreter, relocations, thread-local data, unwinding tables, attributes.
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
    let headers = size_of::<Header>() + (expected + stacks) * size_of::<Header::ProgramHeader>();
    expect_loads(&loads, target.largest_page, headers as u64)
}

/// The segments follow the headers and each other in the file, but share no page of memory.
/// All kernels can map a segment whose address and file offset agree modulo the largest page.
fn expect_loads<Segment>(loads: &[&Segment], largest_page: u64, headers: u64) -> Result<()>
where
    Segment: ProgramHeader<Endian = LittleEndian>,
{
    let endian = LittleEndian;
    let (mut end, mut end_of_page) = (headers, 0);
    for load in loads {
        let offset: u64 = load.p_offset(endian).into();
        let address: u64 = load.p_vaddr(endian).into();
        let size: u64 = load.p_filesz(endian).into();
        let flags = load.p_flags(endian);
        ensure!(
            flags == elf::PF_R | elf::PF_X,
            "a segment has the flags {flags:?}"
        );
        ensure!(load.p_memsz(endian).into() == size, "there is a .bss");
        // A second segment begins at the next page of 4 KiB, or before it.
        let starts = match end == headers {
            true => end..end + 16,
            false => end..end.next_multiple_of(4096) + 1,
        };
        ensure!(starts.contains(&offset), "padding before {offset:#x}");
        ensure!(
            offset % largest_page == address % largest_page
                && load.p_align(endian).into() == largest_page,
            "{address:#x} and its file offset differ modulo the page size"
        );
        ensure!(address >= end_of_page, "the segments share a page");
        end = offset + size;
        end_of_page = (address + size).next_multiple_of(largest_page);
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
