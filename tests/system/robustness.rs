//! The program under conditions that make it fail: it reports the failure, or works.
//!
//! A [`Scenario`] is a run of the program in a guest, with prepared descriptors, limits,
//! filters or files, and its expected result. One boot runs all scenarios. Further trials
//! boot an old kernel, and repeat the stages a thousand times.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use anyhow::{Context, Result, anyhow, ensure};
use guest_agent::{
    End, FilterAction, ForgedMaps, OLD_CONTENT, OutDir, Output, PROMPT, Proc, Run, RunResult, Stdin,
};
use rig::guest_agent::{repeat, run_each};
use rig::kernels::{self, Kernel};

use crate::messages::{SAME_MAPS, TOO_OLD};
use crate::trial::Trial;

// Numbers of signals, errnos and limits on arm64.
const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGALRM: i32 = 14;
const SIGTERM: i32 = 15;
const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;
const SIGWINCH: i32 = 28;
const SIGSYS: i32 = 31;
const EPERM: i32 = 1;
const ENOSYS: i32 = 38;
const RLIMIT_FSIZE: u32 = 1;
const RLIMIT_STACK: u32 = 3;
const RLIMIT_NOFILE: u32 = 7;
const RLIMIT_AS: u32 = 9;
const RLIM_INFINITY: u64 = u64::MAX;

pub(crate) fn trials() -> Vec<Trial> {
    let scenarios = SCENARIOS.iter().enumerate();
    let scenarios = scenarios.map(|(index, scenario)| {
        let test = move || scenario.check(result(index)?);
        Trial::new(&scenario.name, test)
    });
    let mut trials: Vec<Trial> = scenarios.collect();
    trials.push(Trial::on("debian-5.10", "empty argv", empty_argv));
    for kernel in ["6.12", "6.12-16k", "6.12-64k"] {
        trials.push(Trial::on(kernel, "a thousand runs", a_thousand_runs));
    }
    trials
}

/// A run of the program, and its expected result.
struct Scenario {
    name: String,
    run: Run,
    expected: Expected,
    files: Files,
}

/// How a run must end.
#[derive(Clone, Debug)]
enum Expected {
    /// Exit status 0, with the whole transcript and nothing on standard error.
    Success,
    /// This exit status, and this text on standard output or standard error.
    Message(i32, &'static str),
    /// As `Message`, and all four stages ran.
    MessageAndStages(i32, &'static str),
    /// This exit status, with any output.
    Status(i32),
    /// Killed by this signal.
    Killed(i32),
}

/// The expected content of `/out` after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    /// Anything.
    Any,
    /// The four old files.
    Old,
    /// Four new maps files, each complete.
    New,
}

static SCENARIOS: LazyLock<Vec<Scenario>> = LazyLock::new(|| {
    let scenarios = [
        closed_descriptors(),
        output_directories(),
        streams(),
        signals(),
        filters(),
        limits(),
        proc(),
        arguments(),
    ];
    scenarios.into_iter().flatten().collect()
});

/// The result of the scenario with this index. All come from one boot.
fn result(index: usize) -> Result<&'static RunResult> {
    static RESULTS: LazyLock<Result<Vec<RunResult>, String>> = LazyLock::new(|| {
        let runs = SCENARIOS.iter().map(|scenario| scenario.run.clone());
        kernels::find(kernels::DEFAULT)
            .and_then(|kernel| run_each(kernel, "robustness", runs))
            .map_err(|error| format!("{error:#}"))
    });
    let results = RESULTS.as_ref().map_err(|error| anyhow!("{error}"))?;
    results.get(index).context("no result")
}

/// Each combination of standard descriptors closed. The maps files must be complete: no
/// output may go to a file that got one of these descriptors.
fn closed_descriptors() -> Vec<Scenario> {
    let combinations = 1..8u32;
    let scenario = |closed: u32| {
        let [stdin, stdout, stderr] = [0, 1, 2].map(|descriptor| closed >> descriptor & 1 == 1);
        let output = |is_closed| match is_closed {
            true => Output::Closed,
            false => Output::Pipe,
        };
        let names = [(stdin, " stdin"), (stdout, " stdout"), (stderr, " stderr")];
        let names = names.iter().filter(|(is_closed, _)| *is_closed);
        let run = Run {
            stdin: match stdin {
                true => Stdin::Closed,
                false => Stdin::FourNewlines,
            },
            stdout: output(stdout),
            stderr: output(stderr),
            ..Run::new("-yo /out")
        };
        let expected = match (stdout, stderr) {
            (false, _) => Expected::Success,
            (true, false) => Expected::Message(1, "standard output: EBADF"),
            (true, true) => Expected::Status(1),
        };
        let name = names.fold("closed:".to_owned(), |text, (_, name)| text + name);
        Scenario::new(&name, run, expected).with_files(Files::New)
    };
    combinations.map(scenario).collect()
}

/// Directories into which the maps files cannot be written. Old files stay as they are, no
/// partial file is left, and the stages continue.
fn output_directories() -> Vec<Scenario> {
    let scenario = |name, out, message| {
        let run = Run {
            out,
            ..Run::new("-yo /out")
        };
        Scenario::new(name, run, Expected::MessageAndStages(1, message))
    };
    vec![
        scenario(
            "output directory is read-only",
            OutDir::ReadOnly,
            "maps_1_start.txt: EROFS (30): ",
        )
        .with_files(Files::Old),
        scenario(
            "output directory is full",
            OutDir::Full,
            "maps_1_start.txt: ENOSPC (28): ",
        )
        .with_files(Files::Old),
        scenario(
            "output directory does not exist",
            OutDir::Missing,
            "/out: ENOENT (2): ",
        ),
        Scenario::new(
            "output directory is a file",
            Run::new("-yo /dev/null"),
            Expected::MessageAndStages(1, "/dev/null: ENOTDIR (20): "),
        ),
        Scenario::new(
            "old maps files are replaced",
            Run::new("-yo /out"),
            Expected::Success,
        )
        .with_files(Files::New),
    ]
}

fn streams() -> Vec<Scenario> {
    let stdout = |name: &str, stdout, expected| {
        let run = Run {
            stdout,
            ..Run::new("-y")
        };
        Scenario::new(name, run, expected)
    };
    // The usage error goes to standard error; even if it is lost, the exit status is 2.
    let stderr = |name: &str, stderr| {
        let run = Run {
            stderr,
            ..Run::new("--nonsense")
        };
        Scenario::new(name, run, Expected::Status(2))
    };
    let stdin = |name: &str, stdin, expected| {
        let run = Run {
            stdin,
            ..Run::default()
        };
        Scenario::new(name, run, expected)
    };
    vec![
        stdout(
            "stdout is a closed pipe",
            Output::ClosedPipe,
            Expected::Message(1, "standard output: EPIPE"),
        ),
        stdout("stdout is a full pipe", Output::SlowPipe, Expected::Success),
        stdout(
            "stdout is a full nonblocking pipe",
            Output::SlowPipeNonblocking,
            Expected::Success,
        ),
        stdout(
            "stdout is /dev/full",
            Output::DevFull,
            Expected::Message(1, "standard output: ENOSPC"),
        ),
        stderr("stderr is a closed pipe", Output::ClosedPipe),
        stderr("stderr is /dev/full", Output::DevFull),
        stdin(
            "stdin is closed",
            Stdin::Closed,
            Expected::Message(1, "standard input: EBADF"),
        ),
        stdin(
            "stdin is a directory",
            Stdin::Directory,
            Expected::Message(1, "standard input: EISDIR"),
        ),
        stdin("stdin is a pipe", Stdin::FourNewlines, Expected::Success),
        stdin("stdin is a slow pipe", Stdin::Typed, Expected::Success),
        stdin(
            "stdin is a slow nonblocking pipe",
            Stdin::TypedNonblocking,
            Expected::Success,
        ),
        stdin(
            "stdin is a nonblocking pipe that can be written",
            Stdin::TypedReadWrite,
            Expected::Success,
        ),
    ]
}

/// Signals at each pause. SIGSTOP, SIGCONT and SIGWINCH must not end the pause; a signal
/// whose default action is to terminate must end the program.
fn signals() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for pause in 0..4 {
        let run = |signals: &[i32], stdin| Run {
            signals: signals.to_vec(),
            signal_pause: Some(pause),
            stdin,
            ..Run::default()
        };
        let harmless = [SIGSTOP, SIGCONT, SIGWINCH];
        scenarios.push(Scenario::new(
            &format!("stop, continue and resize at pause {pause}"),
            run(&harmless, Stdin::Typed),
            Expected::Success,
        ));
        scenarios.push(Scenario::new(
            &format!("stop, continue and resize at pause {pause}, nonblocking"),
            run(&harmless, Stdin::TypedNonblocking),
            Expected::Success,
        ));
        for (name, signal) in [
            ("SIGHUP", SIGHUP),
            ("SIGINT", SIGINT),
            ("SIGALRM", SIGALRM),
            ("SIGTERM", SIGTERM),
        ] {
            scenarios.push(Scenario::new(
                &format!("{name} at pause {pause}"),
                run(&[signal], Stdin::Typed),
                Expected::Killed(signal),
            ));
        }
    }
    scenarios
}

/// Calls without which `check` still has results. A case that needs one is skipped.
const REFUSABLE: &[&str] = &[
    "dup", "fcntl", "ioctl", "madvise", "mbind", "mlock", "mprotect", "mremap", "statx",
];

/// Seccomp filters that refuse a call, or kill the process that makes it.
fn filters() -> Vec<Scenario> {
    use Expected::{Killed, Message, Status};
    use FilterAction::{Errno, Kill, NoReply};
    const BLOCKED: &str = "# SKIP blocked before Linux";
    const FAILED: &str = "\nnot ok 1 name-is-shown\n";
    const KILLED: &str = "killed by signal 31";
    // The call, the action, and the expected results of stages, probe and check.
    let filters = [
        (
            ("prctl", Errno(EPERM)),
            Message(1, "EPERM (1): blocked before Linux"),
            Message(6, "EPERM (1)"),
            Message(4, BLOCKED),
        ),
        (
            ("prctl", Errno(ENOSYS)),
            Message(1, "ENOSYS (38): blocked before Linux"),
            Message(6, "ENOSYS (38)"),
            Message(4, BLOCKED),
        ),
        (
            ("prctl", Kill),
            Killed(SIGSYS),
            Message(6, KILLED),
            Message(4, BLOCKED),
        ),
        // The call returns success and has no effect.
        (
            ("prctl", Errno(0)),
            Message(
                1,
                "'/secret/mem/area' was accepted, but the maps do not show it",
            ),
            Message(7, "not-shown: "),
            Message(1, FAILED),
        ),
        // `check` maps a window for its cases.
        (
            ("mmap", Errno(EPERM)),
            Message(1, "mmap: EPERM"),
            Message(1, "failed: no memory"),
            Message(8, "Bail out! mmap: E"),
        ),
        (
            ("mmap", Errno(ENOSYS)),
            Message(1, "mmap: ENOSYS"),
            Message(1, "failed: no memory"),
            Message(8, "Bail out! mmap: E"),
        ),
        (
            ("mmap", Kill),
            Killed(SIGSYS),
            Message(6, KILLED),
            Killed(SIGSYS),
        ),
        (
            ("openat", Errno(EPERM)),
            Message(1, "/proc/self/maps: EPERM"),
            Message(8, "no-proc"),
            Message(8, "\nBail out! /proc/self/maps: EPERM (1)\n"),
        ),
        (
            ("openat", Errno(ENOSYS)),
            Message(1, "/proc/self/maps: ENOSYS"),
            Message(8, "no-proc"),
            Message(8, "\nBail out! /proc/self/maps: ENOSYS (38)\n"),
        ),
        (
            ("openat", Kill),
            Killed(SIGSYS),
            Message(6, KILLED),
            Message(1, FAILED),
        ),
        (("write", Errno(EPERM)), Status(1), Status(1), Status(1)),
    ];
    let mut scenarios = Vec::new();
    for ((call, action), stages, probe, check) in filters {
        for (command, args, expected) in [
            ("stages", "-y", stages),
            ("probe", "probe", probe),
            ("check", "check name-is-shown", check),
        ] {
            let name = format!("{command}, seccomp filter {call} {action:?}");
            let run = Run::new(args).with_filter(call, action);
            scenarios.push(Scenario::new(&name, run, expected));
        }
    }
    // Calls that cases make after they have named memory.
    for call in REFUSABLE {
        for errno in [EPERM, ENOSYS] {
            let name = format!("check, all cases, seccomp filter {call} {errno}");
            let run = Run::new("check").with_filter(call, Errno(errno));
            scenarios.push(Scenario::new(&name, run, Status(0)));
        }
    }
    scenarios.push(Scenario::new(
        "probe, seccomp filter prctl NoReply",
        Run::new("probe").with_filter("prctl", NoReply),
        Message(6, "blocked: the call does not return\n"),
    ));
    scenarios
}

fn limits() -> Vec<Scenario> {
    let scenario = |name: &str, args: &str, limit, expected| {
        let run = Run {
            limits: vec![limit],
            ..Run::new(args)
        };
        Scenario::new(name, run, expected)
    };
    let no_stack = Expected::Message(1, "the stack limit is below");
    vec![
        scenario(
            "address space of 1 MiB",
            "-ys 16M",
            (RLIMIT_AS, 1 << 20),
            Expected::Message(1, "mmap: ENOMEM (12): not enough memory"),
        ),
        scenario(
            "stack of 16 KiB",
            "-y",
            (RLIMIT_STACK, 16 << 10),
            no_stack.clone(),
        ),
        scenario(
            "stack of 16 KiB, probe",
            "probe",
            (RLIMIT_STACK, 16 << 10),
            no_stack,
        ),
        scenario(
            "unlimited stack",
            "-y",
            (RLIMIT_STACK, RLIM_INFINITY),
            Expected::Success,
        ),
        scenario(
            "no free descriptor",
            "-y",
            (RLIMIT_NOFILE, 3),
            Expected::Message(1, "/proc/self/maps: EMFILE"),
        ),
        scenario(
            "no free descriptor, probe",
            "probe",
            (RLIMIT_NOFILE, 3),
            Expected::Message(8, "no-proc"),
        ),
        scenario(
            "files of 0 bytes",
            "-yo /out",
            (RLIMIT_FSIZE, 0),
            Expected::Message(1, "maps_1_start.txt: EFBIG"),
        )
        .with_files(Files::Old),
        scenario(
            "files of 100 bytes",
            "-yo /out",
            (RLIMIT_FSIZE, 100),
            Expected::Message(1, "maps_4_ummap.txt: EFBIG"),
        )
        .with_files(Files::Old),
        Scenario::new(
            "randomised addresses",
            Run {
                randomise: true,
                ..Run::new("-y")
            },
            Expected::Success,
        ),
    ]
}

fn proc() -> Vec<Scenario> {
    let states = [
        ("/proc is missing", Proc::Missing, "ENOENT"),
        ("/proc is empty", Proc::Empty, "ENOENT"),
        ("/proc of another namespace", Proc::OtherNamespace, "ENOENT"),
        (
            "forged /proc, empty maps",
            Proc::Forged(ForgedMaps::Empty),
            "EIO",
        ),
        (
            "forged /proc, garbage in maps",
            Proc::Forged(ForgedMaps::Garbage),
            "EIO",
        ),
    ];
    let mut scenarios = Vec::new();
    for (name, proc, errno) in states {
        let scenario = |command: &str, args: &str, expected| {
            let run = Run {
                proc,
                ..Run::new(args)
            };
            Scenario::new(&format!("{name}, {command}"), run, expected)
        };
        scenarios.extend([
            scenario("stages", "-y", Expected::Message(1, errno)),
            scenario("probe", "probe", Expected::Message(8, "no-proc")),
            scenario(
                "check",
                "check name-is-shown",
                Expected::Message(8, "\nBail out! /proc/self/maps: "),
            ),
            scenario("maps files", "-yo /out", Expected::Message(1, errno)).with_files(Files::Old),
        ]);
    }
    scenarios
}

fn arguments() -> Vec<Scenario> {
    /// Clears the screen of a terminal.
    const ESCAPE: &str = "\x1b[2J";
    const ESCAPED: &str = "\\x1b[2J";
    // The longest argument that execve accepts is 32 pages, with its NUL.
    let longest = "a".repeat((32 << 12) - 1);
    let scenario = |name: &str, args: &[&str], expected| {
        let run = Run {
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            ..Run::default()
        };
        Scenario::new(name, run, expected)
    };
    vec![
        scenario(
            "name of 128 KiB",
            &["-y", "-n", &longest],
            Expected::Message(1, "a name has at most 79 bytes"),
        ),
        scenario(
            "directory of 128 KiB",
            &["-y", "-o", &longest],
            Expected::Message(1, ": ENAMETOOLONG (36)"),
        ),
        scenario(
            "word of 128 KiB",
            &[&longest],
            Expected::Message(2, "': unknown word"),
        ),
        scenario(
            "escape sequence in a name",
            &["-yn", ESCAPE],
            Expected::Message(1, ESCAPED),
        ),
        scenario(
            "escape sequence in a word",
            &[ESCAPE],
            Expected::Message(2, ESCAPED),
        ),
        scenario(
            "escape sequence in a directory",
            &["-yo", ESCAPE],
            Expected::Message(1, ESCAPED),
        ),
        scenario(
            "escape sequence in a case",
            &["check", ESCAPE],
            Expected::Message(2, ESCAPED),
        ),
        Scenario::new("empty argv", without_argv(), Expected::Success),
    ]
}

fn without_argv() -> Run {
    Run {
        empty_argv: true,
        ..Run::default()
    }
}

impl Scenario {
    fn new(name: &str, run: Run, expected: Expected) -> Self {
        Self {
            name: name.to_owned(),
            run,
            expected,
            files: Files::Any,
        }
    }

    fn with_files(self, files: Files) -> Self {
        Self { files, ..self }
    }

    fn check(&self, result: &RunResult) -> Result<()> {
        self.expected
            .check(result)
            .and_then(|()| self.files.check(&result.files))
            .with_context(|| show(result))
    }
}

impl Expected {
    fn check(&self, result: &RunResult) -> Result<()> {
        let output = result.output();
        let is_control = |c: char| c.is_control() && c != '\n';
        ensure!(!output.contains(is_control), "control characters");
        match self {
            Expected::Success => {
                ensure!(result.end == End::Exited(0), "not exit status 0");
                ensure!(result.stderr.is_empty(), "text on standard error");
                check_stages(result)?;
                ensure!(result.stdout.ends_with(SAME_MAPS), "no last comparison");
            }
            Expected::Message(status, text) | Expected::MessageAndStages(status, text) => {
                ensure!(
                    result.end == End::Exited(*status),
                    "not exit status {status}"
                );
                ensure!(output.contains(text), "no text {text:?}");
                if let Expected::MessageAndStages(..) = self {
                    check_stages(result)?;
                }
            }
            Expected::Status(status) => {
                ensure!(
                    result.end == End::Exited(*status),
                    "not exit status {status}"
                );
            }
            Expected::Killed(signal) => {
                ensure!(
                    result.end == End::Killed(*signal),
                    "not killed by signal {signal}"
                );
            }
        }
        Ok(())
    }
}

fn check_stages(result: &RunResult) -> Result<()> {
    let prompts = result.stdout.matches(PROMPT).count();
    ensure!(prompts == 4, "{prompts} prompts");
    Ok(())
}

impl Files {
    fn check(self, files: &BTreeMap<String, String>) -> Result<()> {
        if self == Files::Any {
            return Ok(());
        }
        ensure!(files.len() == 4, "files: {:?}", files.keys());
        for (name, content) in files {
            let is_complete = content.starts_with("00400000-") && content.ends_with("[stack]\n");
            let is_expected = match self {
                Files::Old => content == OLD_CONTENT,
                Files::New | Files::Any => is_complete,
            };
            ensure!(is_expected, "{name} is {content:?}");
        }
        Ok(())
    }
}

fn show(result: &RunResult) -> String {
    let start = |text: &str| text.chars().take(2000).collect::<String>();
    format!(
        "{:?}\n--- stdout\n{}\n--- stderr\n{}\n---",
        result.end,
        start(&result.stdout),
        start(&result.stderr)
    )
}

/// Before 5.18 the kernel executes a program with an empty argv. Later kernels add an empty
/// `argv[0]`.
fn empty_argv(kernel: &'static Kernel) -> Result<()> {
    let results = run_each(kernel, "robustness-empty-argv", [without_argv()])?;
    let result = results.first().context("no result")?;
    let expected = Expected::Message(4, TOO_OLD);
    expected.check(result).with_context(|| show(result))
}

/// With randomised addresses the changes of the maps are the same in each run: the mapping
/// extends a neighbour of six pages, the name splits it, and the last maps equal the first.
fn a_thousand_runs(kernel: &'static Kernel) -> Result<()> {
    const TIMES: u32 = 1000;
    let run = Run {
        randomise: true,
        ..Run::new("-y")
    };
    let log = format!("robustness-repeat-{}", kernel.name);
    let results = repeat(kernel, &log, run, TIMES)?;
    for (result, count) in &results {
        check_repeated(result, kernel.pages.bytes())
            .with_context(|| format!("in {count} runs\n{}", show(result)))?;
    }
    let total: u32 = results.iter().map(|(_, count)| count).sum();
    ensure!(total == TIMES, "{total} results");
    Ok(())
}

fn check_repeated(result: &RunResult, page: usize) -> Result<()> {
    ensure!(result.end == End::Exited(0), "not exit status 0");
    ensure!(result.stderr.is_empty(), "text on standard error");
    let line = first_changed_line(&result.stdout).context("no diff")?;
    let expected = transcript(line, page);
    let (maps, rest) = without_first_maps(&result.stdout).context("no maps")?;
    ensure!(rest == expected, "expected\n{expected}");
    let neighbour = format!("  @{page}-@{} rw-p 00000000 00:00 0 \n", 7 * page);
    ensure!(maps.matches(&neighbour).count() == 1, "no {neighbour}");
    Ok(())
}

/// The maps of the first stage, and the transcript without them.
fn without_first_maps(transcript: &str) -> Option<(String, String)> {
    let (start, rest) = transcript.split_once("PID: PID\n")?;
    let (maps, rest) = rest.split_once(" 1 start")?;
    Some((maps.to_owned(), format!("{start}PID: PID\n 1 start{rest}")))
}

/// The line of the maps in which the first change is. It depends on the mappings that the
/// kernel makes in each process.
fn first_changed_line(transcript: &str) -> Option<usize> {
    let (_, diff) = transcript.split_once(" size: ")?.1.split_once("\n  ")?;
    diff.split_once('c')?.0.parse().ok()
}

/// The transcript with all diffs. Addresses are relative to the mapping, see [`RunResult`].
fn transcript(line: usize, page: usize) -> String {
    let (next, before, end) = (line + 1, line - 1, 7 * page);
    let name = "rw-p 00000000 00:00 0                          [anon:/secret/mem/area]";
    let picture = [
        " 1 start      | .   .   .   .   .   . |  6 pages\n",
        " 2 mmap   | .   .   .   .   .   .   . |  7 pages: grown\n",
        " 3 name   | # | .   .   .   .   .   . |  1 + 6 pages: split\n",
        " 4 munmap     | .   .   .   .   .   . |  6 pages: gone\n",
    ];
    let [first, second, third, fourth] = picture;
    let all = picture.concat();
    format!(
        "Memory map a region and print vm_area_struct\nPID: PID\n{first}\n\
         Press enter to mmap - cat /proc/PID/maps > maps_1_start.txt\n\n\
         mmap addr: @0 size: {page}\n  \
         {line}c{line}\n  \
         < @{page}-@{end} rw-p 00000000 00:00 0 \n  \
         ---\n  \
         > @0-@{end} rw-p 00000000 00:00 0 \n{second}\n\
         Press enter to set vm_area_struct's name - cat /proc/PID/maps > maps_2_mmap.txt\n\n\
         Set [@0, @{page}] = /secret/mem/area\n  \
         {line}c{line},{next}\n  \
         < @0-@{end} rw-p 00000000 00:00 0 \n  \
         ---\n  \
         > @0-@{page} {name}\n  \
         > @{page}-@{end} rw-p 00000000 00:00 0 \n{third}\n\
         Press enter to unmmap the region - cat /proc/PID/maps > maps_3_set_vm_name.txt\n\n  \
         {line}d{before}\n  \
         < @0-@{page} {name}\n{fourth}\n\
         Press enter to exit - cat /proc/PID/maps > maps_4_ummap.txt\n\n \
         from @0 to @{end}\n{all}\n\
         The first and the last maps are the same.\n"
    )
}
