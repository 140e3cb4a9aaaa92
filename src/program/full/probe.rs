//! `probe`: one line, and an exit status, on what this kernel can name.

use super::{console::Console, report, snapshot, status, up_to_nul};
use crate::sys::{self, Errno, Result, files, memory};
use core::mem::MaybeUninit;
use heapless::Vec;
use linux_raw_sys::{errno, general::O_RDONLY};
use vm_anon_name::{
    kernel::Absence,
    text::{Sink, Value::*},
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
pub(crate) fn run(quiet: bool, console: &mut Console) -> u8 {
    let mut names = MaybeUninit::uninit();
    let names = files::uname(&mut names);
    let release = up_to_nul(&names.release);
    // What the child would print ends with it.
    let killed = rehearse(&mut || find(0, release, console));
    let status = find(killed, release, console);
    console.put(b"\n");
    if quiet {
        console.forget();
    }
    status
}

/// Does `work` in a child first, because a seccomp filter may kill whoever makes the
/// call. Gives the signal that killed it, 0 for none; also where no child is to be had.
pub(super) fn rehearse(work: &mut dyn FnMut() -> u8) -> usize {
    memory::in_child(PATIENCE, work).unwrap_or_default() & 0x7f
}

/// What the kernel answers to the call; not made if it has `killed` a child.
pub(super) fn ask(killed: usize) -> Result {
    if killed == 0 {
        sys::probe()
    } else {
        Err(EPERM)
    }
}

/// Makes the call, then looks whether it did what it said. Writes the line, and gives the
/// exit status.
fn find(killed: usize, release: &[u8], console: &mut Console) -> u8 {
    if let Err(errno) = ask(killed)
        && let Some(absence) = Absence::of(Err(errno.number()), release)
    {
        let (status, word): (_, &[u8]) = match absence {
            Absence::BuiltWithout => (status::LACKING, b"built-without: "),
            Absence::TooOld => (TOO_OLD, b"too-old: "),
            Absence::Blocked => (BLOCKED, b"blocked: "),
        };
        console.put(word);
        if killed == memory::HUNG {
            console.put(b"the call does not return");
            return status;
        }
        absence.explain(release, console);
        if killed != 0 {
            console.print(b": killed by signal %", &[Number(killed as u64)]);
        } else if absence == Absence::Blocked {
            report::number(console, errno);
        }
        return status;
    }
    let (status, text, errno): (_, &[u8], _) = match sys::name_page(false) {
        Ok(address) => match is_shown(address) {
            Ok(0) => {
                console.put(b"not-shown: the call succeeds, but /proc/self/maps has no name");
                return NOT_SHOWN;
            }
            Ok(_) => {
                let text = b"supported: Linux % names private memory";
                console.print(text, &[Foreign(release)]);
                answer(console, b", shared memory: ", sys::name_page(true), EBADF);
                answer(console, b", PROCMAP_QUERY: ", query(address), ENOTTY);
                return status::FINE;
            }
            Err(errno) => {
                let text = b"no-proc: the call succeeds, but /proc/self/maps cannot be read";
                (NO_PROC, text, errno)
            }
        },
        Err(errno) => (status::FAILED, b"failed: no memory to try it on", errno),
    };
    console.put(text);
    report::number(console, errno);
    status
}

/// Whether the maps show the name of what is at `address`: 1 if so.
#[inline(never)] // What is far from the stack pointer takes an instruction more each time.
fn is_shown(address: usize) -> Result<usize> {
    let mut maps = Vec::<u8, { snapshot::ROOM }>::new();
    snapshot::take(&mut maps)?;
    let name = snapshot::find(&maps, address as u64).and_then(|vma| vma.name());
    Ok(usize::from(name == Some(b"probe")))
}

/// Asks the maps by PROCMAP_QUERY.
fn query(address: usize) -> Result<usize> {
    let maps = files::open(sys::HERE, c"/proc/self/maps", O_RDONLY)?;
    memory::query(maps, address)
}

/// Writes what `result` answers to `question`, `lack` being the error of a kernel that
/// cannot do it.
#[inline(never)] // A copy costs more than a call.
fn answer(console: &mut Console, question: &[u8], result: Result<usize>, lack: Errno) {
    console.then(question).then(match result {
        Ok(_) => b"yes",
        Err(errno) if errno == lack => b"no",
        Err(_) => b"unknown",
    });
}
