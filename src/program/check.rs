//! `check`: runs the conformance suite and prints the results as KTAP.
//!
//! KTAP is the kernel's test protocol (`Documentation/dev-tools/ktap.rst`): a version, a
//! plan, and one line for each case. Some monitors cannot tell a skipped case from a
//! passed one there; the line `# vm_anon_name: CASE: skip` before it is for them.

use crate::{
    cold,
    commands::{VERSION, status},
    console::{Console, error},
    interpreter::{Interpreter, Outcome, Stop},
    naming, pid1,
    start::Process,
    sys::{
        Errno,
        process::{ChildEnd, getpid, run_in_child},
        system::Uname,
    },
};
use core::ffi::CStr;
use linux_raw_sys::{errno::EPERM, general::SIGSYS};
use vm_anon_name::{
    diagnosis::{Absence, Version},
    errno,
    format::Escaped,
    options::{Flag, Options},
    put,
    suite::{Case, Cases, Suite, operation},
};

/// How long the probe call may take, in seconds.
const PROBE_TIMEOUT: i64 = 10;

/// The signal with which a seccomp filter kills.
const FILTERED: u8 = SIGSYS as u8;

/// Helper cases that lower the limit on mappings, which makes some cases faster, and give
/// it its old value.
const LOWER: &CStr = c"..lower";
const RESTORE: &CStr = c"..restore";

/// Runs the cases that `options` names, or all, or the helper case that another case runs
/// by execve(2). Returns the exit status.
#[inline(never)] // Its frame must not add to the frames of other commands.
pub(crate) fn run(process: &Process, options: &Options, console: &mut Console) -> u8 {
    let suite = Suite::new(&cold::SUITE);
    let mut status = status::SUCCESS;
    for name in &options.cases {
        let is_helper = options.helper() == Some(name);
        if find(suite, name).is_none_or(|case| case.is_helper() && !is_helper) {
            let name = Escaped(name.to_bytes());
            error!(console, "'{}': no such case, see check --list", name);
            status = status::USAGE;
        }
    }
    if status != status::SUCCESS {
        return status;
    }
    if options.has(Flag::List) {
        let mut cases = suite.cases;
        while let Some(case) = next(&mut cases, options) {
            put!(console, "{}\n", Escaped(case.name));
        }
        return status;
    }
    let page = process.page_size() as u64;
    let mut interpreter = match Interpreter::new(suite, page, console) {
        Ok(interpreter) => interpreter,
        Err(errno) => {
            console.report(b"mmap of the window", errno);
            return status::FAILED;
        }
    };
    if let Some(case) = options.helper().and_then(|name| find(suite, name)) {
        return interpreter.run_helper(case.statements).status();
    }
    // If the limit cannot be lowered, some cases take longer.
    let is_lowered = getpid() == pid1::PID && run_helper(suite, LOWER, &mut interpreter);
    status = run_cases(suite, page, options, &mut interpreter);
    if is_lowered && !run_helper(suite, RESTORE, &mut interpreter) {
        error!(interpreter.console, "vm.max_map_count stays lowered");
    }
    status
}

/// The case of this name.
fn find<'a>(suite: Suite<'a>, name: &CStr) -> Option<Case<'a>> {
    suite
        .cases
        .into_iter()
        .find(|case| case.name == name.to_bytes())
}

/// Takes cases off, up to the next one that `options` chooses.
fn next<'a>(cases: &mut Cases<'a>, options: &Options) -> Option<Case<'a>> {
    let names = &options.cases;
    cases.find(|case| {
        let is_named = || names.iter().any(|name| name.to_bytes() == case.name);
        !case.is_helper() && (names.is_empty() || is_named())
    })
}

/// Runs a helper case of PID 1, and returns whether it has passed.
fn run_helper<'a>(suite: Suite<'a>, name: &CStr, interpreter: &mut Interpreter<'a>) -> bool {
    find(suite, name).is_some_and(|case| interpreter.run(case.statements).is_ok())
}

/// Runs the chosen cases. Returns the exit status.
fn run_cases<'a>(
    suite: Suite<'a>,
    page: u64,
    options: &Options,
    interpreter: &mut Interpreter<'a>,
) -> u8 {
    let console = &mut *interpreter.console;
    let (mut cases, mut count) = (suite.cases, 0u64);
    while next(&mut cases, options).is_some() {
        count += 1;
    }
    put!(console, "KTAP version 1\n1..{}\n# {}#", count, VERSION);
    let uname = Uname::get();
    for field in uname.all() {
        put!(console, " {}", Escaped(field));
    }
    put!(console, "\n# page size {}\n", page);
    console.flush();
    let release = uname.release();
    let probe = match run_in_child(PROBE_TIMEOUT, &mut || naming::probe().is_err().into()) {
        Ok(ChildEnd::Killed(FILTERED)) => EPERM as i32,
        // The cases will show what the call does instead of returning.
        Ok(ChildEnd::Killed(_) | ChildEnd::TimedOut) => 0,
        _ => naming::probe().err().map_or(0, Errno::number),
    };
    let kernel = Kernel {
        release,
        version: Version::of(release),
        absence: Absence::of(probe, release),
    };
    let require = options.has(Flag::Require);
    let [mut passed, mut failed, mut skipped] = [0u64; 3];
    let (mut cases, mut number) = (suite.cases, 0);
    while let Some(case) = next(&mut cases, options) {
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

/// The kernel under test.
struct Kernel<'a> {
    release: &'a [u8],
    version: Version,
    /// Why it names no memory.
    absence: Option<Absence>,
}

/// Why a case is skipped.
enum Skip {
    Absence(Absence),
    Since(Version),
    Before(Version),
    ShortAddresses,
    /// What the case needs failed with an error that it expects then.
    Error {
        operation: u8,
        errno: Errno,
    },
}

/// Runs a case, unless it does not apply to this kernel, and prints the result.
fn run_case<'a>(
    kernel: &Kernel,
    require: bool,
    number: u64,
    case: &Case<'a>,
    interpreter: &mut Interpreter<'a>,
) -> Outcome {
    let skip = if let Some(absence) = kernel.absence {
        Some(Skip::Absence(absence))
    } else if kernel.version < case.since {
        Some(Skip::Since(case.since))
    } else if kernel.version >= case.before {
        Some(Skip::Before(case.before))
    } else {
        (case.needs_64_bits && usize::BITS < u64::BITS).then_some(Skip::ShortAddresses)
    };
    let outcome = match skip {
        Some(Skip::Absence(absence)) if require => {
            let console = &mut *interpreter.console;
            put!(console, "# ");
            absence.explain(kernel.release, console);
            put!(console, "\n");
            Outcome::Failed
        }
        Some(skip) => {
            print_skip(kernel, number, case, &skip, interpreter.console);
            return Outcome::Skipped;
        }
        None => interpreter.in_child(&mut |interpreter| match interpreter.run(case.statements) {
            Ok(()) => Outcome::Passed,
            Err(Stop::Failed) => Outcome::Failed,
            Err(Stop::Skipped { operation, errno }) => {
                // The parent does not learn the reason. So the child prints the result.
                let skip = Skip::Error { operation, errno };
                print_skip(kernel, number, case, &skip, interpreter.console);
                Outcome::Skipped
            }
        }),
    };
    let name = Escaped(case.name);
    let (word, result) = match outcome {
        Outcome::Passed => ("pass", "ok"),
        Outcome::Failed => ("fail", "not ok"),
        Outcome::Skipped => return outcome,
    };
    put!(
        interpreter.console,
        "# vm_anon_name: {}: {}\n{} {} {}\n",
        name,
        word,
        result,
        number,
        name
    );
    outcome
}

/// Prints the result of a case that is skipped.
fn print_skip(kernel: &Kernel, number: u64, case: &Case, skip: &Skip, console: &mut Console) {
    let name = Escaped(case.name);
    put!(
        console,
        "# vm_anon_name: {}: skip\nok {} {} # SKIP ",
        name,
        number,
        name
    );
    match skip {
        Skip::Absence(absence) => absence.explain(kernel.release, console),
        Skip::Since(version) => print_version("since", *version, console),
        Skip::Before(version) => print_version("before", *version, console),
        Skip::ShortAddresses => put!(console, "needs 64-bit addresses"),
        Skip::Error { operation, errno } => {
            put!(console, "{}: {}", self::operation(*operation), *errno);
            let meaning = errno::meaning(errno.number());
            if !meaning.is_empty() {
                put!(console, ":{}", meaning);
            }
        }
    }
    put!(console, "\n");
}

fn print_version(word: &str, version: Version, console: &mut Console) {
    let [major, minor] = version.numbers();
    put!(console, "{} Linux {}.{}", word, major, minor);
}
