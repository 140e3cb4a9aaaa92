//! `check`: runs the conformance suite and prints the results as KTAP.
//!
//! KTAP is the kernel's test protocol (`Documentation/dev-tools/ktap.rst`): a version, a
//! plan, and one line for each case. Some monitors take a skipped case for a passed one.
//! For them, a line `# vm_anon_name: CASE: RESULT` precedes each.

use crate::{
    cold,
    commands::{VERSION, status},
    console::{Console, error},
    interpreter::{FAILED, Interpreter, PASSED, SKIPPED, Stop, exit_status},
    naming,
    start::Process,
    sys::{
        Errno,
        process::{ChildEnd, reset_inherited, run_in_child},
        system::Uname,
    },
};
use core::ffi::CStr;
use linux_raw_sys::{
    errno::EPERM,
    general::{SIGKILL, SIGXCPU},
};
use vm_anon_name::{
    diagnosis::{Absence, Version},
    format::Sink,
    options::{Flag, Options},
    put,
    suite::{Case, Cases, Suite, operation},
};

/// How a case ended.
#[derive(Clone, Copy)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

/// Helper cases that lower the limit on mappings, so that the cases which reach it can run, and
/// restore it.
const LOWER: &CStr = c"..lower";
const RESTORE: &CStr = c"..restore";

/// Runs the cases that `options` names, or all, or the helper case that another case runs
/// by execve(2). Returns the exit status.
#[inline(never)] // Its frame must not add to the frames of other commands.
pub(crate) fn run(
    process: &Process,
    options: &Options,
    is_init: bool,
    console: &mut Console,
) -> u8 {
    reset_inherited();
    let suite = Suite::new(&cold::SUITE);
    let interpreter = &mut Interpreter::new(suite, process, console);
    let reserved = interpreter.reserve_window();
    if let Some(name) = options.helper() {
        // A case executed this program in its process, whose parent reports.
        return match reserved {
            Ok(()) => run_helper(name, interpreter),
            Err(errno) => SKIPPED + errno.number() as u8,
        };
    }
    if let Err(errno) = reserved {
        bail_out("mmap", errno, interpreter.console);
        return status::NO_PROC;
    }
    let mut status = status::SUCCESS;
    for name in &options.words {
        if find(name, false, interpreter).is_none() {
            let (console, name) = (&mut *interpreter.console, name.to_bytes());
            error!(console, "'{}': no such case, see check --list", name);
            status = status::USAGE;
        }
    }
    if status != status::SUCCESS {
        return status;
    }
    let is_list = options.has(Flag::List);
    let (mut cases, mut count) = (interpreter.suite.cases, 0);
    while let Some(case) = next(&mut cases, &options.words, false) {
        count += 1;
        if is_list {
            put!(interpreter.console, "{}\n", case.name);
        }
    }
    if is_list {
        return status;
    }
    // If the limit cannot be lowered, the cases that reach it are skipped.
    let is_lowered = is_init && run_helper(LOWER, interpreter) == PASSED;
    status = run_cases(options, count, interpreter);
    if is_lowered && run_helper(RESTORE, interpreter) != PASSED {
        error!(interpreter.console, "vm.max_map_count stays lowered");
    }
    status
}

/// Advances to the next case, or the next helper case, that has one of `names`. No `names`
/// means any name.
fn next<'a>(cases: &mut Cases<'a>, names: &[&CStr], is_helper: bool) -> Option<Case<'a>> {
    cases.find(|case| {
        let is_named = names.iter().any(|name| name.to_bytes() == case.name);
        case.is_helper() == is_helper && (is_named || names.is_empty())
    })
}

/// The case, or the helper case, with this name.
fn find<'a>(name: &CStr, is_helper: bool, interpreter: &Interpreter<'a>) -> Option<Case<'a>> {
    next(&mut { interpreter.suite.cases }, &[name], is_helper)
}

/// Runs a helper case in this process, and returns the exit status for it.
fn run_helper(name: &CStr, interpreter: &mut Interpreter) -> u8 {
    let case = find(name, true, interpreter);
    case.map_or(FAILED, |case| exit_status(interpreter.run(case.statements)))
}

/// Runs the `count` cases that are chosen. Returns the exit status.
fn run_cases(options: &Options, count: u64, interpreter: &mut Interpreter) -> u8 {
    let console = &mut *interpreter.console;
    let uname = Uname::get();
    let [release, version, machine] = uname.all();
    put!(
        console,
        "KTAP version 1\n1..{}\n# {}\n# Linux {} {} {}\n# page size {}\n",
        count,
        VERSION,
        release,
        version,
        machine,
        interpreter.context.page
    );
    console.flush();
    let probe = match run_in_child(naming::TIMEOUT, &mut || naming::probe().is_err().into()) {
        Ok(ChildEnd::Killed(naming::FILTERED)) => EPERM as i32,
        // The cases will report that the call kills or hangs.
        Ok(ChildEnd::Killed(_) | ChildEnd::TimedOut) => 0,
        _ => naming::probe().err().map_or(0, Errno::number),
    };
    let kernel = Kernel {
        release,
        version: Version::of(release),
        absence: Absence::of(probe, release),
        is_wider: is_wider(interpreter),
    };
    // Without maps or children, every case would fail on a correct kernel.
    if kernel.absence.is_none() {
        let trial = run_in_child(naming::TIMEOUT, &mut || {
            interpreter.observe().err().map_or(0, Errno::number) as u8
        });
        let failure = match trial {
            Ok(ChildEnd::Exited(errno @ 1..)) => {
                Some(("/proc/self/maps", Errno::new(errno.into())))
            }
            Err(errno) => Some(("clone", errno)),
            // If the child was killed, the cases will report that, too.
            Ok(_) => None,
        };
        if let Some((what, errno)) = failure {
            bail_out(what, errno, interpreter.console);
            return status::NO_PROC;
        }
    }
    let require = options.has(Flag::Require);
    let [mut passed, mut failed, mut skipped] = [0u64; 3];
    let (mut cases, mut number) = (interpreter.suite.cases, 0);
    while let Some(case) = next(&mut cases, &options.words, false) {
        number += 1;
        match run_case(&kernel, require, number, &case, interpreter) {
            Outcome::Passed => passed += 1,
            Outcome::Failed => failed += 1,
            Outcome::Skipped => skipped += 1,
        }
    }
    put!(
        interpreter.console,
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

/// Whether addresses have more bits in the kernel than in this program.
fn is_wider(interpreter: &mut Interpreter) -> bool {
    if usize::BITS == u64::BITS {
        return false;
    }
    let end = run_in_child(naming::TIMEOUT, &mut || interpreter.is_on_64_bits().into());
    end == Ok(ChildEnd::Exited(true.into()))
}

/// Ends the report: no case can run, because `what` failed with `errno`.
fn bail_out(what: &str, errno: Errno, console: &mut Console) {
    put!(console, "Bail out! {}: {errno}\n", what, errno);
}

/// The kernel under test.
struct Kernel<'a> {
    release: &'a [u8],
    version: Version,
    /// Why it names no memory, if so.
    absence: Option<Absence>,
    /// Whether its addresses have more bits than those of this program.
    is_wider: bool,
}

impl Kernel<'_> {
    /// The condition on the version in `case` that this kernel may not satisfy.
    fn bound(&self, case: &Case) -> Option<(&'static str, Version)> {
        let is_unknown = self.version == Version::UNKNOWN;
        if self.version < case.since || is_unknown && case.since != Version::NONE {
            Some(("since", case.since))
        } else if self.version >= case.before {
            Some(("before", case.before))
        } else {
            None
        }
    }

    /// Whether `case` applies.
    fn fits(&self, case: &Case) -> bool {
        let has_addresses = usize::BITS == u64::BITS
            || !(case.needs_64_bits() || self.is_wider && case.needs_kernel_width());
        self.absence.is_none() && self.bound(case).is_none() && has_addresses
    }

    /// Prints why `case` does not apply.
    fn explain(&self, case: &Case, console: &mut Console) {
        match (self.absence, self.bound(case)) {
            (Some(absence), _) => absence.explain(self.release, console),
            (None, Some((word, version))) => {
                let [major, minor] = version.numbers();
                put!(console, "{} Linux {}.{}", word, major, minor);
            }
            (None, None) => put!(console, "needs 64-bit addresses"),
        }
    }
}

/// Runs a case, unless it does not apply to this kernel, and prints the result.
fn run_case<'a>(
    kernel: &Kernel,
    require: bool,
    number: u64,
    case: &Case<'a>,
    interpreter: &mut Interpreter<'a>,
) -> Outcome {
    if !kernel.fits(case) {
        let console = &mut *interpreter.console;
        if require && kernel.absence.is_some() {
            put!(console, "# ");
            kernel.explain(case, console);
            put!(console, "\n");
            return print_result(Outcome::Failed, number, case, console);
        }
        print_result(Outcome::Skipped, number, case, console);
        kernel.explain(case, console);
        put!(console, "\n");
        return Outcome::Skipped;
    }
    let end = interpreter.in_child(&mut |interpreter| {
        let Err(stop) = interpreter.run(case.statements) else {
            return PASSED;
        };
        interpreter.clean_up();
        // Only the child knows the reason, so it prints the result.
        match stop {
            Stop::Failed => FAILED,
            Stop::Skipped(code, errno) => {
                skip(number, case, operation(code), errno, interpreter.console);
                SKIPPED
            }
        }
    });
    match end {
        Ok(ChildEnd::Exited(PASSED)) => {
            print_result(Outcome::Passed, number, case, interpreter.console)
        }
        Ok(ChildEnd::Exited(SKIPPED)) => Outcome::Skipped,
        Ok(end) if is_starved(end, case) => {
            print_result(Outcome::Skipped, number, case, interpreter.console);
            interpreter.put_end(end);
            Outcome::Skipped
        }
        Ok(end) => {
            interpreter.explain(end);
            print_result(Outcome::Failed, number, case, interpreter.console)
        }
        Err(errno) => {
            skip(number, case, b"child process", errno, interpreter.console);
            Outcome::Skipped
        }
    }
}

/// Whether the process of a case lacked resources. SIGXCPU is sent at RLIMIT_CPU. In a case that
/// needs much memory, SIGKILL, which the OOM killer sends, and a timeout count as well.
fn is_starved(end: ChildEnd, case: &Case) -> bool {
    const CPU: u8 = SIGXCPU as u8;
    const KILL: u8 = SIGKILL as u8;
    match end {
        ChildEnd::Exited(_) => false,
        ChildEnd::Killed(CPU) => true,
        ChildEnd::Killed(KILL) | ChildEnd::TimedOut => case.needs_memory(),
        ChildEnd::Killed(_) => false,
    }
}

/// Prints that a case is skipped, because `what` failed with `errno`.
fn skip(number: u64, case: &Case, what: &[u8], errno: Errno, console: &mut Console) {
    print_result(Outcome::Skipped, number, case, console);
    console.put_failure(what, errno);
    put!(console, "\n");
}

/// Prints the result of a case. If it is skipped, the caller prints the reason next.
fn print_result(outcome: Outcome, number: u64, case: &Case, console: &mut Console) -> Outcome {
    let name = case.name;
    let (word, result, end) = match outcome {
        Outcome::Passed => ("pass", "ok", "\n"),
        Outcome::Failed => ("fail", "not ok", "\n"),
        Outcome::Skipped => ("skip", "ok", " # SKIP "),
    };
    put!(
        console,
        "# vm_anon_name: {}: {}\n{} {} {}",
        name,
        word,
        result,
        number,
        name
    );
    console.put(end.as_bytes());
    outcome
}
