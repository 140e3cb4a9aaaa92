//! `probe`: one line, and an exit status, on what this kernel can name.

use super::{report, snapshot, up_to_nul};
use crate::{
    console::Console,
    start::Process,
    sys::{
        self, Errno, Memory, Result, files,
        memory::{self, End},
    },
};
use heapless::Vec;
use linux_raw_sys::{errno, general::O_RDONLY};
use vm_anon_name::{
    kernel::Absence,
    text::{Sink, Value::*},
};

const EBADF: Errno = Errno::new(errno::EBADF);
const ENOMEM: Errno = Errno::new(errno::ENOMEM);
const ENOTTY: Errno = Errno::new(errno::ENOTTY);

/// How long the trial may take, in seconds.
const PATIENCE: i64 = 10;

/// What the trial in a child came to, as its exit status and as the program's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finding {
    Supported = 0,
    Failed = 1,
    BuiltWithout = 4,
    TooOld = 5,
    Blocked = 6,
    NotShown = 7,
    NoProc = 8,
}

/// Where the answers to two more questions lie beside the finding, as bits.
const NAMES_SHARED: u8 = 4;
const HAS_QUERY: u8 = 6;
/// The answers. Without one of them it is not known.
const YES: u8 = 1;
const NO: u8 = 2;

/// Finds out, prints the line unless `quiet`, and gives the exit status.
#[inline(never)] // So that the snapshot is on the stack for no other command.
pub(crate) fn run(process: &Process, quiet: bool, console: &mut Console) -> u8 {
    let names = files::uname();
    let release = up_to_nul(&names.release);
    let page = process.page_size();
    // In a child, because a seccomp filter may kill whoever makes the call.
    let end = memory::in_child(PATIENCE, &mut || try_it(release, page));
    let found = match end {
        Ok(End::Exited(found)) => found,
        Ok(End::Killed(_) | End::Hung) => Finding::Blocked as u8,
        Err(_) => try_it(release, page),
    };
    let finding = Finding::from_bits(found);
    if quiet {
        return finding as u8;
    }
    console.print(b"%: ", &[Text(finding.word())]);
    match finding {
        Finding::Supported => {
            let (shared, query) = (answer(found >> NAMES_SHARED), answer(found >> HAS_QUERY));
            let text = b"Linux % names private memory, shared memory: %, PROCMAP_QUERY: %";
            console.print(text, &[Foreign(release), Text(shared), Text(query)]);
        }
        Finding::BuiltWithout => Absence::BuiltWithout.explain(release, console),
        Finding::TooOld => Absence::TooOld.explain(release, console),
        Finding::Blocked => {
            Absence::Blocked.explain(release, console);
            match end {
                Ok(End::Killed(signal)) => {
                    console.print(b": killed by signal %", &[Number(signal.into())]);
                }
                Ok(End::Hung) => console.put(b": the call does not return"),
                _ => {
                    if let Err(errno) = sys::set_anon_name(Memory::NONE, None) {
                        report::number(console, errno);
                    }
                }
            }
        }
        Finding::NotShown => console.put(b"the call succeeds, but /proc/self/maps has no name"),
        Finding::NoProc => console.put(b"the call succeeds, but /proc/self/maps cannot be read"),
        Finding::Failed => console.put(b"no memory to try it on"),
    }
    console.put(b"\n");
    finding as u8
}

/// Makes the call, then looks whether it did what it said.
fn try_it(release: &[u8], page: usize) -> u8 {
    match Absence::of(sys::probe(), release) {
        None => {}
        Some(Absence::TooOld) => return Finding::TooOld as u8,
        Some(Absence::BuiltWithout) => return Finding::BuiltWithout as u8,
        Some(Absence::Blocked) => return Finding::Blocked as u8,
    }
    let Ok(memory) = sys::mmap(0, page, false) else {
        return Finding::Failed as u8;
    };
    match sys::set_anon_name(memory, Some(c"probe")) {
        Ok(()) => {}
        Err(ENOMEM) => return Finding::Failed as u8,
        Err(_) => return Finding::Blocked as u8,
    }
    let address = memory.start as u64;
    let found = match is_shown(address) {
        Err(_) => return Finding::NoProc as u8,
        Ok(false) => return Finding::NotShown as u8,
        Ok(true) => Finding::Supported as u8,
    };
    let shared = sys::mmap(0, page, true);
    let shared = shared.and_then(|shared| sys::set_anon_name(shared, Some(c"probe")));
    found | judge(shared, EBADF) << NAMES_SHARED | judge(query(address), ENOTTY) << HAS_QUERY
}

/// What `result` answers, `lack` being the errno of a kernel that cannot do it.
fn judge(result: Result, lack: Errno) -> u8 {
    match result {
        Ok(()) => YES,
        Err(errno) if errno == lack => NO,
        Err(_) => 0,
    }
}

/// Whether the maps show the name of the memory at `address`.
fn is_shown(address: u64) -> Result<bool> {
    let mut maps = Vec::<u8, { snapshot::ROOM }>::new();
    snapshot::take(&mut maps)?;
    let shown = snapshot::find(&maps, address).and_then(|vma| vma.name());
    Ok(shown == Some(b"probe"))
}

/// Asks the maps by PROCMAP_QUERY.
fn query(address: u64) -> Result {
    let maps = files::open(None, c"/proc/self/maps", O_RDONLY)?;
    memory::query(maps, address, &mut [0; 80]).map(drop)
}

fn answer(bits: u8) -> &'static [u8] {
    match bits & 3 {
        YES => b"yes",
        NO => b"no",
        _ => b"unknown",
    }
}

impl Finding {
    fn from_bits(found: u8) -> Self {
        match found & 0xf {
            0 => Finding::Supported,
            4 => Finding::BuiltWithout,
            5 => Finding::TooOld,
            6 => Finding::Blocked,
            7 => Finding::NotShown,
            8 => Finding::NoProc,
            _ => Finding::Failed,
        }
    }

    /// The word by which scripts know it.
    fn word(self) -> &'static [u8] {
        match self {
            Finding::Supported => b"supported",
            Finding::BuiltWithout => b"built-without",
            Finding::TooOld => b"too-old",
            Finding::Blocked => b"blocked",
            Finding::NotShown => b"not-shown",
            Finding::NoProc => b"no-proc",
            Finding::Failed => b"failed",
        }
    }
}
