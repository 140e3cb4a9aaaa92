//! `check`: the conformance suite, run case by case, reported as KTAP.
//!
//! KTAP is the kernel's test protocol (`Documentation/dev-tools/ktap.rst`): a
//! version, a plan, a line a case. Monitors that cannot tell a skipped case from
//! a passed one in it find `# vm_anon_name: CASE: skip` before each line.

use crate::{
    cold,
    commands::{VERSION, status},
    console::{Console, error},
    interpreter::{Actor, Outcome},
    naming,
    start::Process,
    sys::{
        Errno,
        process::{ChildEnd, run_in_child},
        system::Uname,
    },
};
use core::{ffi::CStr, slice};
use linux_raw_sys::{errno::EPERM, general::SIGSYS};
use vm_anon_name::{
    diagnosis::{Absence, Version},
    format::Escaped,
    options::{Flag, Options},
    put,
    suite::{Case, Cases, Suite},
};

/// How long the trial of the call may take, in seconds.
const TRIAL_TIMEOUT: i64 = 10;

/// The signal with which a seccomp filter kills.
const FILTERED: u8 = SIGSYS as u8;

/// What is known before the first case.
struct Surroundings<'a> {
    release: &'a [u8],
    version: Version,
    absence: Option<Absence>,
    require: bool,
}

/// Runs the cases that `options` names, or all, and gives the exit status; or the part of
/// a case, in the process that `execve` has left for it.
#[inline(never)]
pub(crate) fn run(
    process: &Process,
    options: &Options,
    is_init: bool,
    console: &mut Console,
) -> u8 {
    let suite = Suite::new(&cold::SUITE);
    let page = process.page_size() as u64;
    let mut actor = match Actor::new(suite, page, console) {
        Ok(actor) => actor,
        Err(errno) => {
            console.report(b"mmap of the window", errno);
            return status::FAILED;
        }
    };
    if let Some(part) = options.helper() {
        return run_part(part, &mut actor);
    }
    // Where it cannot be lowered, some cases take longer, and that is all.
    let lowers = is_init && !options.has(Flag::List);
    let is_lowered = lowers && run_part(c"..lower", &mut actor) == status::SUCCESS;
    let status = run_cases(page, options, &mut actor);
    if is_lowered && run_part(c"..restore", &mut actor) != status::SUCCESS {
        error!(actor.console, "vm.max_map_count stays lowered");
    }
    status
}

/// Runs the part of this name in this process, and gives the exit status.
fn run_part(name: &CStr, actor: &mut Actor) -> u8 {
    match next(&mut { actor.suite.cases }, &[name], true) {
        Some(part) => actor.run(part.statements) as u8,
        None => status::USAGE,
    }
}

#[inline(never)] // What is far from the stack pointer takes an instruction more each time.
fn run_cases(page: u64, options: &Options, actor: &mut Actor) -> u8 {
    let console = &mut *actor.console;
    let all = actor.suite.cases;
    let mut status = status::SUCCESS;
    for name in &options.cases {
        if next(&mut { all }, slice::from_ref(name), false).is_none() {
            let name = Escaped(name.to_bytes());
            error!(console, "'{}': no such case, see check --list", name);
            status = status::USAGE;
        }
    }
    if status != status::SUCCESS {
        return status;
    }
    let mut count = 0u64;
    let mut cases = all;
    while let Some(case) = next(&mut cases, &options.cases, false) {
        count += 1;
        if options.has(Flag::List) {
            put!(console, "{}\n", Escaped(case.name));
        }
    }
    if options.has(Flag::List) {
        return status;
    }
    put!(console, "KTAP version 1\n1..{}\n# {}#", count, VERSION);
    let uname = Uname::get();
    for name in uname.all() {
        put!(console, " {}", Escaped(name));
    }
    put!(console, "\n# page size {}\n", page);
    console.flush();
    let release = uname.release();
    let probe = match run_in_child(TRIAL_TIMEOUT, &mut || naming::probe().is_err().into()) {
        Ok(ChildEnd::Killed(FILTERED)) => EPERM as i32,
        // The cases will tell what the call does instead of returning.
        Ok(ChildEnd::Killed(_) | ChildEnd::TimedOut) => 0,
        _ => naming::probe().err().map_or(0, Errno::number),
    };
    let here = Surroundings {
        release,
        version: Version::of(release),
        absence: Absence::of(probe, release),
        require: options.has(Flag::Require),
    };
    let (mut number, mut totals) = (0u64, [0u64; 3]);
    let mut cases = all;
    while let Some(case) = next(&mut cases, &options.cases, false) {
        number += 1;
        let outcome = run_case(&here, number, &case, actor);
        if let Some(total) = totals.get_mut(outcome as usize) {
            *total += 1;
        }
    }
    let [passed, failed, skipped] = totals;
    put!(
        actor.console,
        "# Totals: pass:{} fail:{} xfail:0 xpass:0 skip:{} error:0\n",
        passed,
        failed,
        skipped
    );
    match (passed, failed) {
        (_, 1..) => status::FAILED,
        (0, _) => status::LACKING,
        _ => status::SUCCESS,
    }
}

/// Takes the next case off `cases`, or the next of the `parts`, that one of `names` names;
/// of all, if there are no names.
fn next<'a>(cases: &mut Cases<'a>, names: &[&CStr], parts: bool) -> Option<Case<'a>> {
    while let Some(case) = cases.take() {
        let mut wanted = names.is_empty();
        for name in names {
            wanted |= name.to_bytes() == case.name;
        }
        if wanted && case.is_part() == parts {
            return Some(case);
        }
    }
    None
}

/// Runs `case`, the one of this `number`, and prints what came of it.
fn run_case(here: &Surroundings, number: u64, case: &Case, actor: &mut Actor) -> Outcome {
    let fits = case.since <= here.version && here.version < case.before;
    let outcome = match here.absence {
        Some(absence) if here.require => {
            let console = &mut *actor.console;
            put!(console, "# ");
            absence.explain(here.release, console);
            put!(console, "\n");
            Outcome::Failed
        }
        None if fits => actor.run_in_child(case.statements),
        _ => Outcome::Skipped,
    };
    let console = &mut *actor.console;
    let name = Escaped(case.name);
    match outcome {
        Outcome::Passed => put!(
            console,
            "# vm_anon_name: {}: pass\nok {} {}",
            name,
            number,
            name
        ),
        Outcome::Failed => put!(
            console,
            "# vm_anon_name: {}: fail\nnot ok {} {}",
            name,
            number,
            name
        ),
        Outcome::Skipped => put!(
            console,
            "# vm_anon_name: {}: skip\nok {} {} # SKIP ",
            name,
            number,
            name
        ),
    }
    if outcome == Outcome::Skipped {
        match here.absence {
            Some(absence) => absence.explain(here.release, console),
            None if fits => put!(console, "what it needs is not in this kernel"),
            None => {
                let (word, version) = if here.version < case.since {
                    ("since", case.since)
                } else {
                    ("before", case.before)
                };
                let [major, minor] = version.numbers();
                put!(console, "{} Linux {}.{}", word, major, minor);
            }
        }
    }
    put!(console, "\n");
    outcome
}
