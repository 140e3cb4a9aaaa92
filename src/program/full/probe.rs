//! `probe`: one line, and an exit status, on what this kernel can name.

use super::{console::Console, report, snapshot, status, up_to_nul};
use crate::{
    start::Process,
    sys::{self, Errno, Result, files, memory},
};
use heapless::Vec;
use linux_raw_sys::{errno, general::O_RDONLY};
use vm_anon_name::{kernel::Absence, messages::Message, text::Say};

const EBADF: Errno = Errno::new(errno::EBADF);
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
    let mut tell = |end: Option<usize>| {
        let status = match end {
            None => find(release, page, console),
            Some(end) => explain_end(end, release, console),
        };
        console.say(Message::NEWLINE);
        if quiet {
            console.forget();
        }
        if report::close(console) {
            status
        } else {
            status::FAILED
        }
    };
    // In a child, because a seccomp filter may kill whoever makes the call.
    match memory::in_child(PATIENCE, &mut || tell(None)) {
        Ok(Ok(end)) if end & 0x7f == 0 => (end >> 8) as u8,
        Ok(Ok(end)) => tell(Some(end)),
        Ok(Err(errno)) => {
            report::failure(console, errno, b"child process");
            status::FAILED
        }
        Err(_) => tell(None),
    }
}

/// Makes the call, then looks whether it did what it said. Writes the line to `out`, and
/// gives the exit status.
fn find(release: &[u8], page: usize, out: &mut Console) -> u8 {
    if let Err(errno) = sys::probe()
        && let Some(absence) = Absence::of(errno.number(), release)
    {
        let (status, word) = match absence {
            Absence::BuiltWithout => (status::LACKING, Message::BUILT_WITHOUT),
            Absence::TooOld => (TOO_OLD, Message::TOO_OLD),
            Absence::Blocked => (BLOCKED, Message::BLOCKED),
        };
        out.say(word);
        absence.explain(release, out);
        if absence == Absence::Blocked {
            report::number(out, errno);
        }
        return status;
    }
    let address = match name(page, false) {
        Ok(address) => address,
        Err(errno) => {
            out.say(Message::NO_MEMORY);
            report::number(out, errno);
            return status::FAILED;
        }
    };
    match is_shown(address) {
        Ok(true) => {}
        Ok(false) => {
            out.say(Message::NOT_SHOWN);
            return NOT_SHOWN;
        }
        Err(errno) => {
            out.say(Message::NO_PROC);
            report::number(out, errno);
            return NO_PROC;
        }
    }
    let shared = answer(name(page, true), EBADF);
    let query = answer(query(address), ENOTTY);
    out.say(Message::SUPPORTED)
        .foreign(release)
        .word(shared)
        .word(query);
    status::FINE
}

/// The same, of how whoever made the call ended.
fn explain_end(end: usize, release: &[u8], out: &mut Console) -> u8 {
    out.say(Message::BLOCKED);
    if end == memory::HUNG {
        out.say(Message::NO_RETURN);
    } else {
        Absence::Blocked.explain(release, out);
        out.say(Message::SIGNAL).number((end & 0x7f) as u64);
    }
    BLOCKED
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
fn answer(result: Result<usize>, lack: Errno) -> Message {
    match result {
        Ok(_) => Message::YES,
        Err(errno) if errno == lack => Message::NO,
        Err(_) => Message::UNKNOWN,
    }
}
