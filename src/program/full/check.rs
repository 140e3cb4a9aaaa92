//! `check`: the conformance suite, run case by case, reported as KTAP.
//!
//! KTAP is the kernel's test protocol (`Documentation/dev-tools/ktap.rst`): a
//! version, a plan, a line a case. Monitors that cannot tell a skipped case from
//! a passed one in it find `# vm_anon_name: CASE: skip` before each line.

mod act;

use super::{
    VERSION,
    console::Console,
    probe, report, status,
    texts::{self, Texts},
    up_to_nul,
};
use crate::{
    init,
    start::Process,
    sys::{self, Errno, files},
};
use act::{Actor, Outcome};
use core::{ffi::CStr, mem::MaybeUninit, slice};
use linux_raw_sys::errno::EPERM;
use vm_anon_name::{
    kernel::{Absence, Version},
    messages::Message,
    options::{Flag, Options},
    say::Say,
    suite::{Case, Cases, Suite},
    text::split,
};

/// What is known before the first case.
struct Surroundings<'a> {
    release: &'a [u8],
    version: Version,
    absence: Option<Absence>,
    require: bool,
}

/// Runs the cases that `options` names, or all, and gives the exit status; or the part of
/// a case, in the process that `execve` has left for it.
#[inline(never)] // So that the suite lies on the stack for no other command.
pub(crate) fn run(process: &Process, pid: u32, options: &Options, console: &mut Console) -> u8 {
    let mut texts: Texts = [0; _];
    let status = texts::unpack(&mut texts, console);
    if status != status::FINE {
        return status;
    }
    let suite = Suite::new(split(&texts, b'\0').1);
    let page = process.page_size() as u64;
    let mut actor = match Actor::new(suite, page, console) {
        Ok(actor) => actor,
        Err(errno) => {
            report::failure(console, errno, b"mmap of the window");
            return status::FAILED;
        }
    };
    if let Some(part) = options.part() {
        return run_part(part, &mut actor);
    }
    // Where it cannot be lowered, some cases take longer, and that is all.
    let lowers = pid == init::PID && !options.has(Flag::List);
    let is_lowered = lowers && run_part(c"..lower", &mut actor) == status::FINE;
    let status = run_cases(page, options, &mut actor);
    if is_lowered && run_part(c"..restore", &mut actor) != status::FINE {
        actor.console.complain(Message::LOWERED).end();
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
    let mut status = status::FINE;
    for name in &options.cases {
        if next(&mut { all }, slice::from_ref(name), false).is_none() {
            let complaint = console.complain(Message::NO_CASE);
            complaint.foreign(name.to_bytes()).end();
            status = status::USAGE;
        }
    }
    if status != status::FINE {
        return status;
    }
    let mut count = 0;
    let mut cases = all;
    while let Some(case) = next(&mut cases, &options.cases, false) {
        count += 1;
        if options.has(Flag::List) {
            console.say(Message::LINE).foreign(case.name);
        }
    }
    if options.has(Flag::List) {
        return status;
    }
    let head = console.say(Message::HEAD);
    head.number(count).foreign(VERSION.as_bytes());
    let mut names = MaybeUninit::uninit();
    let names = files::uname(&mut names);
    for field in [
        &names.sysname,
        &names.release,
        &names.version,
        &names.machine,
    ] {
        console.say(Message::FIELD).foreign(up_to_nul(field));
    }
    console.say(Message::PAGE_SIZE).number(page);
    let release = up_to_nul(&names.release);
    let probe = match probe::rehearse(&mut || sys::probe().is_err().into()) {
        0 => sys::probe().err().map_or(0, Errno::number),
        probe::FILTERED => EPERM as i32,
        // The cases will tell what the call does instead of returning.
        _ => 0,
    };
    let here = Surroundings {
        release,
        version: Version::of(release),
        absence: Absence::of(probe, release),
        require: options.has(Flag::Require),
    };
    let (mut number, mut totals) = (0, [0; 3]);
    let mut cases = all;
    while let Some(case) = next(&mut cases, &options.cases, false) {
        number += 1;
        let outcome = run_case(&here, number, &case, actor);
        if let Some(total) = totals.get_mut(outcome as usize) {
            *total += 1;
        }
    }
    let [passed, failed, skipped] = totals;
    let message = actor.console.say(Message::TOTALS);
    message.number(passed).number(failed).number(skipped);
    match (passed, failed) {
        (_, 1..) => status::FAILED,
        (0, _) => status::LACKING,
        _ => status::FINE,
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
            console.say(Message::COMMENT);
            absence.explain(here.release, console);
            console.say(Message::NEWLINE);
            Outcome::Failed
        }
        None if fits => actor.run_in_child(case.statements),
        _ => Outcome::Skipped,
    };
    let console = &mut *actor.console;
    let message = match outcome {
        Outcome::Passed => Message::PASSED,
        Outcome::Failed => Message::FAILED,
        Outcome::Skipped => Message::SKIPPED,
    };
    let message = console.say(message).foreign(case.name);
    message.number(number).foreign(case.name);
    if outcome == Outcome::Skipped {
        match here.absence {
            Some(absence) => absence.explain(here.release, console),
            None if fits => {
                console.say(Message::NEEDS);
            }
            None => {
                let (message, version) = if here.version < case.since {
                    (Message::SINCE, case.since)
                } else {
                    (Message::BEFORE, case.before)
                };
                let [major, minor] = version.0.to_be_bytes();
                console
                    .say(message)
                    .number(major.into())
                    .number(minor.into());
            }
        }
    }
    console.say(Message::NEWLINE);
    outcome
}
