//! `probe`: prints one line and returns an exit status on whether the kernel names memory.

use crate::{
    commands::status,
    console::Console,
    naming,
    scratch::Stack,
    snapshot,
    sys::{
        Errno, Result,
        file::{self, CWD},
        memory::Mapping,
        process::{ChildEnd, reset_inherited, run_in_child},
        system::Uname,
    },
};
use linux_raw_sys::general::O_RDONLY;
use vm_anon_name::{diagnosis::Absence, maps, put};

/// The exit statuses of `probe` alone.
const TOO_OLD: u8 = 5;
const BLOCKED: u8 = 6;
const NOT_SHOWN: u8 = 7;

/// The result for each exit status, for monitors that know only pass, skip and fail. Every
/// other status is `fail`.
const RESULTS: [(u8, &str); 3] = [
    (status::SUCCESS, "pass"),
    (status::LACKING, "skip"),
    (TOO_OLD, "skip"),
];

/// Prints the line unless `quiet`, and returns the exit status. The line begins with
/// a word for scripts. The first process of the machine also prints the result in the
/// form that `check` uses, because a monitor sees only the console, not the exit status.
///
/// A seccomp filter may kill the process that makes the call, or never answer. So a
/// child makes the calls first. Its output is discarded when it exits. If it was not
/// killed, this process makes the calls again and prints the verdict.
pub(crate) fn run(quiet: bool, is_init: bool, stack: &Stack, console: &mut Console) -> u8 {
    reset_inherited();
    let uname = Uname::get();
    let release = uname.release();
    let trial = run_in_child(naming::TIMEOUT, &mut || {
        print_verdict(release, stack, console)
    });
    let status = match trial {
        Ok(ChildEnd::TimedOut) => {
            put!(console, "blocked: the call does not return");
            BLOCKED
        }
        Ok(ChildEnd::Killed(signal)) => {
            put!(console, "blocked: ");
            if signal == naming::FILTERED {
                Absence::Blocked.explain(release, console);
                put!(console, ": ");
            }
            put!(console, "killed by signal {}", signal);
            BLOCKED
        }
        // If the child could not be created, a seccomp filter that kills ends the program here.
        Ok(ChildEnd::Exited(_)) | Err(_) => print_verdict(release, stack, console),
    };
    put!(console, "\n");
    if is_init {
        put!(console, "# vm_anon_name: probe: {}\n", result(status));
    }
    if quiet {
        console.discard();
    }
    status
}

/// The result for an exit status.
fn result(status: u8) -> &'static str {
    let mut results = RESULTS.iter();
    let known = results.find(|(known, _)| *known == status);
    known.map_or("fail", |(_, result)| result)
}

/// Tries the calls, prints the line without its end, and returns the exit status.
fn print_verdict(release: &[u8], stack: &Stack, console: &mut Console) -> u8 {
    if let Err(errno) = naming::probe()
        && let Some(absence) = Absence::of(errno.number(), release)
    {
        let (status, word) = match absence {
            Absence::BuiltWithout => (status::LACKING, "built-without"),
            Absence::TooOld => (TOO_OLD, "too-old"),
            Absence::Blocked => (BLOCKED, "blocked"),
        };
        put!(console, "{}: ", word);
        absence.explain(release, console);
        if absence == Absence::Blocked {
            put!(console, ": {errno}", errno);
        }
        return status;
    }
    let page = match naming::map_named_page(false) {
        Ok(page) => page,
        Err(errno) => {
            put!(console, "failed: no memory to name: {errno}", errno);
            return status::FAILED;
        }
    };
    match is_shown(&page, stack) {
        Ok(true) => {}
        Ok(false) => {
            put!(
                console,
                "not-shown: the call succeeds, but /proc/self/maps has no name"
            );
            return NOT_SHOWN;
        }
        Err(errno) => {
            put!(
                console,
                "no-proc: the call succeeds, but /proc/self/maps cannot be read: {errno}",
                errno
            );
            return status::NO_PROC;
        }
    }
    let shared = answer(naming::map_named_page(true).map(drop), Errno::EBADF);
    let query = answer(query_vma(&page), Errno::ENOTTY);
    put!(
        console,
        "supported: Linux {} names private memory, shared memory: {}, PROCMAP_QUERY: {}",
        release,
        shared,
        query
    );
    status::SUCCESS
}

/// Whether the maps show the name of `page`.
fn is_shown(page: &Mapping, stack: &Stack) -> Result<bool> {
    let mut result = Ok(false);
    stack.with_buffer(&mut |maps| {
        result = snapshot::take(maps).map(|()| {
            let vma = maps::find(maps, page.start() as u64);
            vma.and_then(|vma| vma.name()) == Some(b"probe")
        });
    });
    result
}

/// Asks the maps file for the VMA of `page` by PROCMAP_QUERY (since Linux 6.11).
fn query_vma(page: &Mapping) -> Result {
    let maps = file::open(&CWD, snapshot::FILE, O_RDONLY)?;
    let result = file::query_vma(&maps, page.start());
    // The answer has been read, so a failure to close does not change it.
    let _ = file::close(maps);
    result
}

/// Whether a call succeeded, in a word. `lacking` is the error of a kernel that does not
/// support the call.
fn answer(result: Result, lacking: Errno) -> &'static str {
    match result {
        Ok(()) => "yes",
        Err(errno) if errno == lacking => "no",
        Err(_) => "unknown",
    }
}
