//! `probe`: one line, and an exit status, on what this kernel can name.

use super::{console::Console, report, snapshot, status, up_to_nul};
use crate::sys::{
    self, Errno, Result, files,
    memory::{self, HUNG},
};
use core::mem::MaybeUninit;
use heapless::Vec;
use linux_raw_sys::{
    errno,
    general::{O_RDONLY, SIGSYS},
};
use vm_anon_name::{kernel::Absence, messages::Message, say::Say};

const EBADF: Errno = Errno::new(errno::EBADF);
const ENOTTY: Errno = Errno::new(errno::ENOTTY);

/// How long the trial may take, in seconds.
const PATIENCE: i64 = 10;

/// The signal that seccomp filters kill with.
pub(super) const FILTERED: usize = SIGSYS as usize;

/// The exit statuses of `probe` alone.
const TOO_OLD: u8 = 5;
const BLOCKED: u8 = 6;
const NOT_SHOWN: u8 = 7;
const NO_PROC: u8 = 8;

/// Finds out, prints the line unless `quiet`, and gives the exit status. A line begins
/// with the word by which scripts know it.
pub(crate) fn run(quiet: bool, console: &mut Console) -> u8 {
    let mut names = MaybeUninit::uninit();
    let release = up_to_nul(&files::uname(&mut names).release);
    // What the child would print ends with it.
    let killed = rehearse(&mut || find(0, release, console));
    let status = find(killed, release, console);
    console.say(Message::NEWLINE);
    if quiet {
        console.forget();
    }
    status
}

/// Does `work` in a child first, because a seccomp filter may kill whoever makes the
/// call. Gives the signal that killed it or [`HUNG`]; 0 for none, also where no child is to
/// be had.
pub(super) fn rehearse(work: &mut dyn FnMut() -> u8) -> usize {
    memory::in_child(PATIENCE, work).unwrap_or_default() & 0x7f
}

/// Makes the call, unless it has `killed` who rehearsed it; then looks whether it did what
/// it said. Writes the line, and gives the exit status.
fn find(killed: usize, release: &[u8], console: &mut Console) -> u8 {
    if killed != 0 {
        console.say(Message::BLOCKED);
        if killed == HUNG {
            console.say(Message::NO_RETURN);
            return BLOCKED;
        }
        if killed == FILTERED {
            Absence::Blocked.explain(release, console);
            console.say(Message::COLON);
        }
        console.say(Message::SIGNAL).number(killed as u64);
        return BLOCKED;
    }
    if let Err(errno) = sys::probe()
        && let Some(absence) = Absence::of(errno.number(), release)
    {
        let (status, word) = match absence {
            Absence::BuiltWithout => (status::LACKING, Message::BUILT_WITHOUT),
            Absence::TooOld => (TOO_OLD, Message::TOO_OLD),
            Absence::Blocked => (BLOCKED, Message::BLOCKED),
        };
        console.say(word);
        absence.explain(release, console);
        if absence == Absence::Blocked {
            report::number(console, errno);
        }
        return status;
    }
    let (status, message, errno) = match sys::name_page(false) {
        Ok(address) => match is_shown(address) {
            Ok(0) => {
                console.say(Message::NOT_SHOWN);
                return NOT_SHOWN;
            }
            Ok(_) => {
                let shared = answer(sys::name_page(true), EBADF);
                let query = answer(query(address), ENOTTY);
                let line = console.say(Message::SUPPORTED).foreign(release);
                line.word(shared).word(query);
                return status::FINE;
            }
            Err(errno) => (NO_PROC, Message::NO_PROC, errno),
        },
        Err(errno) => (status::FAILED, Message::NO_MEMORY, errno),
    };
    console.say(message);
    report::number(console, errno);
    status
}

/// Whether the maps show the name of what is at `address`: 1 if so. A number comes in a
/// register, beside the error; a `bool` would not.
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

/// What `result` answers, `lack` being the error of a kernel that cannot do it.
fn answer(result: Result<usize>, lack: Errno) -> Message {
    match result {
        Ok(_) => Message::YES,
        Err(errno) if errno == lack => Message::NO,
        Err(_) => Message::UNKNOWN,
    }
}
