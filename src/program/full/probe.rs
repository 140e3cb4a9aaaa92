//! `probe`: one line, and an exit status, on what this kernel can name.

use super::{report, snapshot, status, up_to_nul};
use crate::{
    console::Console,
    start::Process,
    sys::{self, Errno, Result, files, memory},
};
use heapless::Vec;
use linux_raw_sys::{errno, general::O_RDONLY};
use vm_anon_name::{
    kernel::Absence,
    text::{Sink, Value::*},
};

const EBADF: Errno = Errno::new(errno::EBADF);
const ENOTTY: Errno = Errno::new(errno::ENOTTY);

/// How long the trial may take, in seconds.
const PATIENCE: i64 = 10;

/// What came of the trial.
enum Finding {
    /// Names are given and shown. Whether shared memory takes them, too, and whether
    /// PROCMAP_QUERY is there.
    Supported(&'static [u8], &'static [u8]),
    /// Names are not given.
    Absent(Absence, Errno),
    /// Whoever made the call ended like this.
    Ended(u32),
    /// The call succeeds, but the maps do not show it.
    NotShown,
    /// The call succeeds, but there are no maps.
    NoProc(Errno),
    /// There is no memory to try it on.
    Failed(Errno),
}

/// Finds out, prints the line unless `quiet`, and gives the exit status.
#[inline(never)] // So that the snapshot is on the stack for no other command.
pub(crate) fn run(process: &Process, quiet: bool, console: &mut Console) -> u8 {
    let names = files::uname();
    let release = up_to_nul(&names.release);
    let page = process.page_size();
    let tell = |console: &mut Console, end| {
        let finding = match end {
            None => find(release, page),
            Some(end) => Finding::Ended(end),
        };
        finding.tell(release, quiet, console)
    };
    // In a child, because a seccomp filter may kill whoever makes the call.
    let end = memory::in_child(PATIENCE, &mut || {
        let status = tell(console, None);
        console.flush();
        status
    });
    match end {
        Ok(status) if status & 0x7f == 0 => (status >> 8) as u8,
        end => tell(console, end.ok()),
    }
}

/// Makes the call, then looks whether it did what it said.
fn find(release: &[u8], page: usize) -> Finding {
    if let Err(errno) = sys::probe()
        && let Some(absence) = Absence::of(Err(errno.number()), release)
    {
        return Finding::Absent(absence, errno);
    }
    let memory = match sys::mmap(0, page, false) {
        Ok(memory) => memory,
        Err(errno) => return Finding::Failed(errno),
    };
    if let Err(errno) = sys::set_anon_name(memory, Some(c"probe")) {
        return Finding::Failed(errno);
    }
    let mut maps = Vec::<u8, { snapshot::ROOM }>::new();
    if let Err(errno) = snapshot::take(&mut maps) {
        return Finding::NoProc(errno);
    }
    let address = memory.start as u64;
    let shown = snapshot::find(&maps, address).and_then(|vma| vma.name());
    if shown != Some(b"probe") {
        return Finding::NotShown;
    }
    let shared =
        sys::mmap(0, page, true).and_then(|memory| sys::set_anon_name(memory, Some(c"probe")));
    Finding::Supported(answer(shared, EBADF), answer(query(address), ENOTTY))
}

/// Asks the maps by PROCMAP_QUERY.
fn query(address: u64) -> Result {
    let maps = files::open(None, c"/proc/self/maps", O_RDONLY)?;
    memory::query(maps, address)
}

/// What `result` answers, `lack` being the error of a kernel that cannot do it.
fn answer(result: Result, lack: Errno) -> &'static [u8] {
    match result {
        Ok(()) => b"yes",
        Err(errno) if errno == lack => b"no",
        Err(_) => b"unknown",
    }
}

impl Finding {
    /// Prints the line unless `quiet`: first the word by which scripts know it. Gives
    /// the exit status.
    fn tell(&self, release: &[u8], quiet: bool, console: &mut Console) -> u8 {
        let (status, word): (_, &[u8]) = match self {
            Finding::Supported(..) => (status::FINE, b"supported"),
            Finding::Failed(_) => (status::FAILED, b"failed"),
            Finding::Absent(Absence::BuiltWithout, _) => (status::LACKING, b"built-without"),
            Finding::Absent(Absence::TooOld, _) => (5, b"too-old"),
            Finding::Absent(Absence::Blocked, _) | Finding::Ended(_) => (6, b"blocked"),
            Finding::NotShown => (7, b"not-shown"),
            Finding::NoProc(_) => (8, b"no-proc"),
        };
        if quiet {
            return status;
        }
        console.print(b"%: ", &[Text(word)]);
        match *self {
            Finding::Supported(shared, query) => {
                let text = b"Linux % names private memory, shared memory: %, PROCMAP_QUERY: %";
                console.print(text, &[Foreign(release), Text(shared), Text(query)]);
            }
            Finding::Absent(absence, errno) => {
                absence.explain(release, console);
                if absence == Absence::Blocked {
                    report::number(console, errno);
                }
            }
            Finding::Ended(memory::HUNG) => console.put(b"the call does not return"),
            Finding::Ended(signal) => {
                Absence::Blocked.explain(release, console);
                console.print(b": killed by signal %", &[Number(signal.into())]);
            }
            Finding::NotShown => console.put(b"the call succeeds, but /proc/self/maps has no name"),
            Finding::NoProc(errno) => {
                console.put(b"the call succeeds, but /proc/self/maps cannot be read");
                report::number(console, errno);
            }
            Finding::Failed(errno) => {
                console.put(b"no memory to try it on");
                report::number(console, errno);
            }
        }
        console.put(b"\n");
        status
    }
}
