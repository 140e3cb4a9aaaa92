//! `target MEMORY...`: a process whose memory others look at.
//!
//! A tool for shell scripts in a guest. It prepares the memory that its arguments describe, prints
//! `ready`, and reads a command from standard input. The arguments, then the commands:
//!
//! ```text
//! named=PAGES,NAME    touched private memory with this name
//! shared=PAGES,NAME   touched shared memory with this name
//! many=COUNT          single pages, each a VMA of its own, with two names in turn
//! swapped=PAGES       named memory that is written to, then paged out
//! dumpable=no         only root may read its maps
//!
//! exec                executes `sleep 1000`
//! change              changes names for ever, which splits and merges VMAs
//! remap               unmaps pages and maps them again without a name, for ever
//! ```
//!
//! # Safety
//!
//! Unsafe, because the memory is mapped by system calls. The process has one thread, and nothing
//! refers to the mappings.
#![allow(unsafe_code)]

use std::convert::Infallible;
use std::ffi::CString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

use anyhow::{Context, Result, bail, ensure};

/// The name under which the agent's executable is this tool.
pub(crate) const NAME: &str = "target";

const PR_SET_VMA: i32 = 0x5356_4d41;
const MADV_PAGEOUT: i32 = 21;

/// Prepares the memory, and does what standard input says.
pub(crate) fn run(words: &[String]) -> Result<Infallible> {
    let mut last = 0;
    for word in words {
        let (key, value) = word.split_once('=').context("KEY=VALUE")?;
        last = prepare(key, value).with_context(|| word.clone())?;
    }
    println!("ready");
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    match line.trim_end() {
        "exec" => return Err(Command::new("/bin/sleep").arg("1000").exec().into()),
        "change" => match change(last)? {},
        "remap" => match remap(last)? {},
        // Standard input is at its end.
        "" => {}
        line => bail!("unknown command {line}"),
    }
    loop {
        // SAFETY: No memory is involved.
        unsafe { libc::pause() };
    }
}

/// Returns the first address of the memory.
fn prepare(key: &str, value: &str) -> Result<usize> {
    let (count, name) = value.split_once(',').unwrap_or((value, key));
    if key == "dumpable" {
        // SAFETY: No memory is involved.
        check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } < 0)?;
        return Ok(0);
    }
    let count: usize = count.parse()?;
    let page = page();
    let start = map(0, count * page, key == "shared")?;
    match key {
        "named" | "shared" => {
            match set_name(start, count * page, name) {
                // Naming shared memory needs Linux 6.2.
                Err(_) if key == "shared" => {}
                result => result?,
            }
            touch(start, count);
        }
        "many" => {
            for index in 0..count {
                let name = ["even", "odd"][index % 2];
                set_name(start + index * page, page, name)?;
            }
        }
        "swapped" => {
            set_name(start, count * page, "swapped")?;
            touch(start, count);
            let address = ptr::with_exposed_provenance_mut(start);
            // SAFETY: Nothing refers to the memory, whose content does not change.
            check(unsafe { libc::madvise(address, count * page, MADV_PAGEOUT) } < 0)?;
        }
        _ => bail!("unknown memory"),
    }
    Ok(start)
}

/// For ever, names 64 pages one by one, then all with one name. The memory stays mapped.
fn change(start: usize) -> Result<Infallible> {
    let page = page();
    loop {
        for index in 0..64 {
            set_name(start + index * page, page, "changed")?;
        }
        set_name(start, 64 * page, "even")?;
    }
}

/// Unmaps the first pages and maps them again.
fn remap(start: usize) -> Result<Infallible> {
    let length = 64 * page();
    loop {
        let address = ptr::with_exposed_provenance_mut(start);
        // SAFETY: Nothing refers to the memory.
        check(unsafe { libc::munmap(address, length) } < 0)?;
        map(start, length, false)?;
    }
}

fn page() -> usize {
    // SAFETY: No memory is involved.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// Maps memory at `place`, if nothing is mapped there, or elsewhere.
fn map(place: usize, length: usize, is_shared: bool) -> Result<usize> {
    let sharing = match is_shared {
        true => libc::MAP_SHARED,
        false => libc::MAP_PRIVATE,
    };
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = sharing | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let place = ptr::with_exposed_provenance_mut(place);
    // SAFETY: Without MAP_FIXED the kernel uses no memory that is mapped already.
    let start = unsafe { libc::mmap(place, length, protection, flags, -1, 0) };
    check(start == libc::MAP_FAILED)?;
    Ok(start.expose_provenance())
}

fn set_name(start: usize, length: usize, name: &str) -> Result<()> {
    let name = CString::new(name)?;
    // SAFETY: The kernel reads the C string. A name changes no memory.
    check(unsafe { libc::prctl(PR_SET_VMA, 0, start, length, name.as_ptr()) } < 0)
}

fn touch(start: usize, pages: usize) {
    for index in 0..pages {
        let place = ptr::with_exposed_provenance_mut::<u8>(start + index * page());
        // SAFETY: The page is mapped for writing, and nothing refers to it.
        unsafe { place.write_volatile(1) };
    }
}

fn check(failed: bool) -> Result<()> {
    ensure!(!failed, io::Error::last_os_error());
    Ok(())
}
