//! `check`: the conformance suite, run case by case, reported as KTAP.
//!
//! KTAP is the kernel's test protocol (`Documentation/dev-tools/ktap.rst`): a
//! version, a plan, a line a case. Monitors that cannot tell a skipped case from
//! a passed one in it find `# vm_anon_name: CASE: skip` before each line.

mod act;
mod mappings;

use super::{VERSION, release, report, status};
use crate::{
    console::Console,
    start::Process,
    sys::{
        self, Errno, files,
        memory::{self, End},
    },
};
use act::{Actor, Outcome};
use heapless::Vec;
use linux_raw_sys::system::new_utsname;
use vm_anon_name::{
    kernel::{Absence, Version},
    options::Options,
    suite::{Case, Suite},
    text::{Sink, Value::*},
};

/// The cases, as the build script left them.
const SUITE: Suite = Suite {
    pairs: include_bytes!(concat!(env!("OUT_DIR"), "/suite.pairs")),
    text: include_bytes!(concat!(env!("OUT_DIR"), "/suite.text")),
};

/// Room for a case, unpacked.
type CaseText = Vec<u8, 1024>;

/// How long a case may take, in seconds. The longest takes two on a slow emulator.
const PATIENCE: i64 = 30;

/// What is known before the first case.
struct Surroundings<'a> {
    process: &'a Process,
    release: &'a [u8],
    absence: Option<Absence>,
    require: bool,
}

/// Cases counted by outcome.
#[derive(Default)]
struct Totals {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// Runs the cases that `options` names, or all, and gives the exit status.
pub(crate) fn run(process: &Process, options: &Options, console: &mut Console) -> u8 {
    let mut unknown = options.cases.clone();
    let mut count = 0;
    each(options, &mut |case| {
        unknown.retain(|name| name.to_bytes() != case.name);
        count += 1;
    });
    for name in &unknown {
        let name = [Foreign(name.to_bytes())];
        console.complain(b"'%': no such case, see check --list", &name);
    }
    if !unknown.is_empty() {
        return status::USAGE;
    }
    if options.list {
        each(options, &mut |case| {
            console.print(b"%\n", &[Text(case.name)])
        });
        return status::FINE;
    }

    let names = files::uname();
    let release = release(&names);
    let probe = sys::set_anon_name(&(0..0), None).map_err(Errno::into_raw);
    let absence = Absence::of(probe, release);
    let here = Surroundings {
        process,
        release,
        absence,
        require: options.require,
    };
    print_head(count, &names, process, console);
    let mut totals = Totals::default();
    each(options, &mut |case| {
        run_case(&here, case, &mut totals, console)
    });
    totals.print(console);
    totals.status()
}

/// Runs the part of a case that is called `name`, in the process that `exec` has
/// left for it.
pub(crate) fn run_part(process: &Process, options: &Options, console: &mut Console) -> u8 {
    let mut outcome = Outcome::Failed;
    each(options, &mut |case| {
        outcome = Actor::new(process, console).run(case.statements)
    });
    outcome as u8
}

/// Hands each case that `options` names to `with`: all of them, if it names none.
fn each(options: &Options, with: &mut dyn FnMut(&Case)) {
    for packed in SUITE.cases() {
        let mut text = CaseText::new();
        SUITE.unpack(packed, &mut text);
        let case = Case::of(&text);
        let named = options
            .cases
            .iter()
            .any(|name| name.to_bytes() == case.name);
        if named || options.cases.is_empty() && !case.is_part() {
            with(&case);
        }
    }
}

fn print_head(
    count: u64,
    names: &Result<new_utsname, Errno>,
    process: &Process,
    console: &mut Console,
) {
    console.print(
        b"KTAP version 1\n1..%\n# %# ",
        &[Number(count), Text(VERSION.as_bytes())],
    );
    if let Ok(names) = names {
        for field in [
            &names.sysname,
            &names.release,
            &names.version,
            &names.machine,
        ] {
            console.print(b"% ", &[Foreign(super::up_to_nul(field))]);
        }
    }
    console.print(b"\n# page size %\n", &[Number(process.page_size() as u64)]);
}

fn run_case(here: &Surroundings, case: &Case, totals: &mut Totals, console: &mut Console) {
    let version = Version::of(here.release);
    let wrong_version = version < case.since || version >= case.before;
    let outcome = if here.absence.is_some() && here.require {
        Outcome::Failed
    } else if here.absence.is_some() || wrong_version {
        Outcome::Skipped
    } else {
        run_in_child(here.process, case, console)
    };
    let (word, line): (&[u8], &[u8]) = match outcome {
        Outcome::Passed => (b"pass", b"ok"),
        Outcome::Failed => (b"fail", b"not ok"),
        Outcome::Skipped => (b"skip", b"ok"),
    };
    let number = Number(totals.count(outcome));
    let name = Text(case.name);
    let text = b"# vm_anon_name: %: %\n% % %";
    console.print(text, &[name, Text(word), Text(line), number, name]);
    if outcome == Outcome::Skipped {
        console.put(b" # SKIP ");
    }
    match here.absence {
        Some(absence) if outcome == Outcome::Skipped => absence.explain(here.release, console),
        None if wrong_version => {
            let (text, version): (&[u8], _) = if version < case.since {
                (b"since Linux %.%", case.since)
            } else {
                (b"before Linux %.%", case.before)
            };
            console.print(text, &[Number(version.0.into()), Number(version.1.into())]);
        }
        None if outcome == Outcome::Skipped => {
            console.put(b"what it needs is not in this kernel");
        }
        _ => {}
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

impl Totals {
    /// Counts one case, and gives its number.
    fn count(&mut self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Skipped => self.skipped += 1,
        }
        self.passed + self.failed + self.skipped
    }

    /// The line that ends a kselftest.
    fn print(&self, console: &mut Console) {
        let values = [
            Number(self.passed),
            Number(self.failed),
            Number(self.skipped),
        ];
        console.print(
            b"# Totals: pass:% fail:% xfail:0 xpass:0 skip:% error:0\n",
            &values,
        );
    }

    fn status(&self) -> u8 {
        match self {
            Totals { failed: 1.., .. } => status::FAILED,
            Totals { passed: 0, .. } => status::LACKING,
            _ => status::FINE,
        }
    }
}
