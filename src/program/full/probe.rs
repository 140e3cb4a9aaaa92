//! `probe`: one line, and an exit status, on what this kernel can name.

use super::{console::Console, report, snapshot, status, up_to_nul};
use crate::{
    start::Process,
    sys::{self, Errno, Result, files, memory},
};
use heapless::Vec;
use linux_raw_sys::{errno, general::O_RDONLY};
use vm_anon_name::{
    kernel::Absence,
    text::{
        Sink,
        Value::{self, *},
    },
};

const EBADF: Errno = Errno::new(errno::EBADF);
const EPERM: Errno = Errno::new(errno::EPERM);
const ENOTTY: Errno = Errno::new(errno::ENOTTY);

/// How long the trial may take, in seconds.
const PATIENCE: i64 = 10;

/// The exit statuses of `probe` alone.
const TOO_OLD: u8 = 5;
const BLOCKED: u8 = 6;
const NOT_SHOWN: u8 = 7;
const NO_PROC: u8 = 8;

/// Finds out, prints the line unless `quiet`, and gives the exit status. A line begins
/// with the word by which scripts know it.
pub(crate) fn run(process: &Process, quiet: bool, console: &mut Console) -> u8 {
    let names = files::uname();
    let release = up_to_nul(&names.release);
    let page = process.page_size();
    let killed = rehearse(&mut || find(0, release, page, &mut nowhere()));
    let mut nowhere = nowhere();
    let out: &mut dyn Sink = if quiet { &mut nowhere } else { console };
    let status = find(killed, release, page, out);
    out.put(b"\n");
    status
}

/// Does `work` in a child first, because a seccomp filter may kill whoever makes the
/// call. Gives the signal that killed it, 0 for none; also where no child is to be had.
pub(super) fn rehearse(work: &mut dyn FnMut() -> u8) -> usize {
    memory::in_child(PATIENCE, work).unwrap_or_default() & 0x7f
}

/// What the kernel answers to the call; not made if it has `killed` a child.
pub(super) fn ask(killed: usize) -> Result {
    if killed == 0 { sys::probe() } else { Err(EPERM) }
}

/// Makes the call, then looks whether it did what it said. Writes the line to `out`, and
/// gives the exit status.
fn find(killed: usize, release: &[u8], page: usize, out: &mut dyn Sink) -> u8 {
    if let Err(errno) = ask(killed)
        && let Some(absence) = Absence::of(Err(errno.number()), release)
    {
        let (status, word): (_, &[u8]) = match absence {
            Absence::BuiltWithout => (status::LACKING, b"built-without: "),
            Absence::TooOld => (TOO_OLD, b"too-old: "),
            Absence::Blocked => (BLOCKED, b"blocked: "),
        };
        out.put(word);
        if killed == memory::HUNG {
            out.put(b"the call does not return");
            return status;
        }
        absence.explain(release, out);
        if killed != 0 {
            out.print(b": killed by signal %", &[Number(killed as u64)]);
        } else if absence == Absence::Blocked {
            report::number(out, errno);
        }
        return status;
    }
    let address = match name(page, false) {
        Ok(address) => address,
        Err(errno) => {
            out.put(b"failed: no memory to try it on");
            report::number(out, errno);
            return status::FAILED;
        }
    };
    match is_shown(address) {
        Ok(true) => {}
        Ok(false) => {
            out.put(b"not-shown: the call succeeds, but /proc/self/maps has no name");
            return NOT_SHOWN;
        }
        Err(errno) => {
            out.put(b"no-proc: the call succeeds, but /proc/self/maps cannot be read");
            report::number(out, errno);
            return NO_PROC;
        }
    }
    let shared = answer(name(page, true), EBADF);
    let query = answer(query(address), ENOTTY);
    let text = b"supported: Linux % names private memory, shared memory: %, PROCMAP_QUERY: %";
    out.print(text, &[Foreign(release), shared, query]);
    status::FINE
}

/// Takes nothing.
fn nowhere() -> Vec<u8, 0> {
    Vec::new()
}

/// Names a new page of memory, and gives its address.
fn name(page: usize, shared: bool) -> Result<usize> {
    let memory = sys::mmap(0, page, shared)?;
    sys::set_anon_name(memory, Some(c"probe")).map(|()| memory.start)
}

/// Whether the maps show the name of what is at `address`.
#[inline(never)] // What is far from the stack pointer takes an instruction more each time.
fn is_shown(address: usize) -> Result<bool> {
    let mut maps = Vec::<u8, { snapshot::ROOM }>::new();
    snapshot::take(&mut maps)?;
    let name = snapshot::find(&maps, address as u64).and_then(|vma| vma.name());
    Ok(name == Some(b"probe"))
}

/// Asks the maps by PROCMAP_QUERY.
fn query(address: usize) -> Result<usize> {
    let maps = files::open(None, c"/proc/self/maps", O_RDONLY)?;
    memory::query(maps, address)
}

/// What `result` answers, `lack` being the error of a kernel that cannot do it.
fn answer(result: Result<usize>, lack: Errno) -> Value<'static> {
    Text(match result {
        Ok(_) => b"yes",
        Err(errno) if errno == lack => b"no",
        Err(_) => b"unknown",
    })
}
