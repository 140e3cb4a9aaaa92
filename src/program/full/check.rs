//! `check`: the conformance suite, run case by case, reported as KTAP.
//!
//! KTAP is the kernel's test protocol (`Documentation/dev-tools/ktap.rst`): a
//! version, a plan, a line a case. Monitors that cannot tell a skipped case from
//! a passed one in it find `# vm_anon_name: CASE: skip` before each line.

mod act;
mod mappings;

use super::{VERSION, report, status, texts, up_to_nul};
use crate::{
    console::Console,
    start::Process,
    sys::{
        self, files,
        memory::{self, End},
    },
};
use act::{Actor, Outcome};
use core::{ffi::CStr, slice};
use heapless::Vec;
use linux_raw_sys::system::new_utsname;
use vm_anon_name::{
    kernel::{Absence, Version},
    options::{Flag, Options},
    suite::Case,
    text::{Sink, Value::*, split},
};

/// Room for the suite, unpacked.
type Suite = Vec<u8, 20480>;

/// How long a case may take, in seconds. The longest takes two on a slow emulator.
const PATIENCE: i64 = 30;

/// What is known before the first case.
struct Surroundings<'a> {
    process: &'a Process,
    release: &'a [u8],
    version: Version,
    absence: Option<Absence>,
    require: bool,
}

/// Runs the cases that `options` names, or all, and gives the exit status.
#[inline(never)] // So that the suite lies on the stack for no other command.
pub(crate) fn run(process: &Process, options: &Options, console: &mut Console) -> u8 {
    let mut suite = Suite::new();
    texts::suite(&mut suite);
    let names = files::uname();
    if let Some(status) = begin(&suite, options, &names, process.page_size(), console) {
        return status;
    }
    let release = up_to_nul(&names.release);
    let here = Surroundings {
        process,
        release,
        version: Version::of(release),
        absence: Absence::of(sys::probe(), release),
        require: options.has(Flag::Require),
    };
    let mut totals = [0; 3];
    let mut rest: &[u8] = &suite;
    while let Some(case) = next(&mut rest, &options.cases) {
        run_case(&here, &case, &mut totals, console);
    }
    let [passed, failed, skipped] = totals;
    let values = [Number(passed), Number(failed), Number(skipped)];
    let text = b"# Totals: pass:% fail:% xfail:0 xpass:0 skip:% error:0\n";
    console.print(text, &values);
    match (passed, failed) {
        (_, 1..) => status::FAILED,
        (0, _) => status::LACKING,
        _ => status::FINE,
    }
}

/// Runs the part of a case that `options` names, in the process that `exec` has
/// left for it.
#[inline(never)] // As above.
pub(crate) fn run_part(process: &Process, options: &Options, console: &mut Console) -> u8 {
    let mut suite = Suite::new();
    texts::suite(&mut suite);
    let outcome = match next(&mut &*suite, &options.cases) {
        Some(case) => Actor::new(process, console).run(case.statements),
        None => Outcome::Failed,
    };
    outcome as u8
}

/// Takes the next case off `suite` that one of `names` names; of all that are no
/// parts, if there are no names.
fn next<'a>(suite: &mut &'a [u8], names: &[&CStr]) -> Option<Case<'a>> {
    while !suite.is_empty() {
        let (line, behind) = split(suite, b'\n');
        *suite = behind;
        let case = Case::of(line);
        let mut wanted = names.is_empty() && !case.is_part();
        for name in names {
            wanted |= name.to_bytes() == case.name;
        }
        if wanted {
            return Some(case);
        }
    }
    None
}

/// Prints the head of the report. Gives the exit status if there will be none:
/// if a name is unknown, or all was to list the cases.
fn begin(
    suite: &[u8],
    options: &Options,
    names: &new_utsname,
    page: usize,
    console: &mut Console,
) -> Option<u8> {
    let mut all_known = true;
    for name in &options.cases {
        if next(&mut &*suite, slice::from_ref(name)).is_none() {
            all_known = false;
            let name = [Foreign(name.to_bytes())];
            console.complain(b"'%': no such case, see check --list", &name);
        }
    }
    if !all_known {
        return Some(status::USAGE);
    }
    let mut count = 0;
    let mut rest = suite;
    while let Some(case) = next(&mut rest, &options.cases) {
        count += 1;
        if options.has(Flag::List) {
            console.print(b"%\n", &[Text(case.name)]);
        }
    }
    if options.has(Flag::List) {
        return Some(status::FINE);
    }
    let values = [
        Number(count),
        Text(VERSION.as_bytes()),
        Foreign(up_to_nul(&names.sysname)),
        Foreign(up_to_nul(&names.release)),
        Foreign(up_to_nul(&names.version)),
        Foreign(up_to_nul(&names.machine)),
        Number(page as u64),
    ];
    let text = b"KTAP version 1\n1..%\n# %# % % % % \n# page size %\n";
    console.print(text, &values);
    None
}

fn run_case(here: &Surroundings, case: &Case, totals: &mut [u64; 3], console: &mut Console) {
    let fits = case.since <= here.version && here.version < case.before;
    let outcome = match here.absence {
        Some(_) if here.require => Outcome::Failed,
        None if fits => run_in_child(here.process, case, console),
        _ => Outcome::Skipped,
    };
    let (word, line, place): (&[u8], &[u8], usize) = match outcome {
        Outcome::Passed => (b"pass", b"ok", 0),
        Outcome::Failed => (b"fail", b"not ok", 1),
        Outcome::Skipped => (b"skip", b"ok", 2),
    };
    if let Some(total) = totals.get_mut(place) {
        *total += 1;
    }
    let number = Number(totals.iter().sum());
    let name = Text(case.name);
    let text = b"# vm_anon_name: %: %\n% % %";
    console.print(text, &[name, Text(word), Text(line), number, name]);
    if outcome == Outcome::Skipped {
        console.put(b" # SKIP ");
        match here.absence {
            Some(absence) => absence.explain(here.release, console),
            None if fits => console.put(b"what it needs is not in this kernel"),
            None => {
                let (word, version): (&[u8], _) = if here.version < case.since {
                    (b"since", case.since)
                } else {
                    (b"before", case.before)
                };
                let (major, minor) = (Number(version.0.into()), Number(version.1.into()));
                console.print(b"% Linux %.%", &[Text(word), major, minor]);
            }
        }
    }
    console.put(b"\n");
}

/// Runs `case` in a child, so that a crash or a hang is that case's own.
fn run_in_child(process: &Process, case: &Case, console: &mut Console) -> Outcome {
    console.flush();
    let end = memory::in_child(PATIENCE, &mut || {
        let outcome = Actor::new(process, console).run(case.statements);
        console.flush();
        outcome as u8
    });
    match end {
        Ok(End::Exited(code)) if code == Outcome::Passed as u8 => return Outcome::Passed,
        Ok(End::Exited(code)) if code == Outcome::Skipped as u8 => return Outcome::Skipped,
        Ok(end) => explain_end(&end, console),
        Err(errno) => {
            console.put(b"#   no child process");
            report::number(console, errno);
            console.put(b"\n");
        }
    }
    Outcome::Failed
}

/// Prints as a diagnostic how a child ended that should not have.
fn explain_end(end: &End, console: &mut Console) {
    match end {
        End::Exited(_) => {}
        End::Killed(signal) => {
            console.print(b"#   killed by signal %\n", &[Number((*signal).into())]);
        }
        End::Hung => console.put(b"#   it hung and was killed\n"),
    }
}
