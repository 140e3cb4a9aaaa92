//! Surroundings that want the program to fail: it says so, or it does its work.
//!
//! Each case is a start of the program inside a guest, with what is around it set as
//! the case says; one boot serves them all. Then come a few boots that are hostile
//! themselves, and the four stages a thousand times over.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use guest_agent::{
    Answer, End, ForgedMaps, OLD, Out, Outcome, Output, Proc, Run, Stdin, Task, Verdict,
};
use libtest_mimic::{Arguments, Failed, Trial};
use rig::initramfs::Initramfs;
use rig::kernels::{self, Kernel};
use rig::program::Build;
use rig::qemu::Machine;

/// How long a boot may take.
const DEADLINE: Duration = Duration::from_secs(120);

// Signals, errnos and limits by the numbers of arm64.
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

fn main() {
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, trials()).exit();
}

fn trials() -> Vec<Trial> {
    let cases = (0..cases().len()).map(|number| {
        let name = cases()[number].name.clone();
        trial(&name, move || case(number))
    });
    let boots = [
        trial("words meant for others", words_meant_for_others),
        trial("a console that is not there", console_not_there),
        trial("the least memory", least_memory),
        trial("no word at all before Linux 5.18", no_word_on_an_old_kernel),
    ];
    let often = ["6.12", "6.12-16k", "6.12-64k"].map(|kernel| {
        trial(&format!("a thousand times on {kernel}"), move || {
            a_thousand_times(kernels::find(kernel)?)
        })
    });
    cases.chain(boots).chain(often).collect()
}

fn trial(name: &str, test: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test().map_err(|error| Failed::from(format!("{error:#}")))
    })
}

/// A start, and what it must end in.
struct Case {
    name: String,
    run: Run,
    expected: Expected,
    files: Files,
}

/// How a start must end.
#[derive(Clone, Debug)]
enum Expected {
    /// Success, with the whole transcript and no complaint.
    Complete,
    /// This exit status, and these words among what is written on either side.
    Says(i32, &'static str),
    /// This exit status, for nothing can be written.
    Mute(i32),
    /// The end by this signal.
    Killed(i32),
}

/// What must be in `/out` afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    /// `/out` is of no concern.
    None,
    /// The four files of an earlier run, untouched.
    Older,
    /// The four new files, whole.
    New,
}

/// A case without files.
fn of(name: &str, run: Run, expected: Expected) -> Case {
    Case {
        name: name.to_owned(),
        run,
        expected,
        files: Files::None,
    }
}

fn words(words: &str) -> Run {
    Run {
        args: words.split_whitespace().map(str::to_owned).collect(),
        ..Run::default()
    }
}

fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| {
        let mut cases = Vec::new();
        cases.extend(closed_descriptors());
        cases.extend(directories());
        cases.extend(streams());
        cases.extend(signals());
        cases.extend(filters());
        cases.extend(limits());
        cases.extend(proc());
        cases.extend(arguments());
        cases
    })
}

/// Each of the standard descriptors closed or open, in every combination. The maps
/// files must be whole: nothing that is printed may land in one.
fn closed_descriptors() -> impl Iterator<Item = Case> {
    (1..8u32).map(|closed| {
        let is_closed = |descriptor: u32| closed >> descriptor & 1 == 1;
        let output = |descriptor| match is_closed(descriptor) {
            true => Output::Closed,
            false => Output::Pipe,
        };
        let mut name = "closed:".to_owned();
        for descriptor in (0..3).filter(|descriptor| is_closed(*descriptor)) {
            let _ = write!(name, " {descriptor}");
        }
        Case {
            name,
            run: Run {
                stdin: if is_closed(0) {
                    Stdin::Closed
                } else {
                    Stdin::Enters
                },
                stdout: output(1),
                stderr: output(2),
                ..words("-yo /out")
            },
            expected: match (is_closed(1), is_closed(2)) {
                (false, _) => Expected::Complete,
                (true, false) => Expected::Says(1, "standard output: EBADF"),
                (true, true) => Expected::Mute(1),
            },
            files: Files::New,
        }
    })
}

fn directories() -> [Case; 5] {
    let case = |name: &str, out: Out, errno: &'static str| Case {
        name: name.to_owned(),
        run: Run {
            out,
            ..words("-yo /out")
        },
        expected: Expected::Says(1, errno),
        files: if out == Out::Missing {
            Files::None
        } else {
            Files::Older
        },
    };
    [
        case(
            "a read-only directory",
            Out::ReadOnly,
            "maps_1_start.txt: EROFS",
        ),
        case("a full directory", Out::Full, "maps_1_start.txt: ENOSPC"),
        case("a missing directory", Out::Missing, "/out: ENOENT"),
        of(
            "a file for a directory",
            words("-yo /dev/null"),
            Expected::Says(1, "/dev/null: ENOTDIR"),
        ),
        Case {
            name: "older files are replaced".to_owned(),
            run: words("-yo /out"),
            expected: Expected::Complete,
            files: Files::New,
        },
    ]
}

fn streams() -> [Case; 12] {
    let stdout = |stdout: Output| Run {
        stdout,
        ..words("-y")
    };
    let stderr = |stderr: Output| Run {
        stderr,
        ..words("--nonsense")
    };
    let stdin = |stdin: Stdin| Run { stdin, ..words("") };
    [
        of(
            "stdout is a closed pipe",
            stdout(Output::Broken),
            Expected::Says(1, "standard output: EPIPE"),
        ),
        of(
            "stdout is a full pipe",
            stdout(Output::Slow),
            Expected::Complete,
        ),
        of(
            "stdout is a full pipe, and does not wait",
            stdout(Output::SlowNonblocking),
            Expected::Complete,
        ),
        of(
            "stdout is /dev/full",
            stdout(Output::Full),
            Expected::Says(1, "standard output: ENOSPC"),
        ),
        of(
            "stderr is a closed pipe",
            stderr(Output::Broken),
            Expected::Mute(2),
        ),
        of(
            "stderr is /dev/full",
            stderr(Output::Full),
            Expected::Mute(2),
        ),
        of(
            "stdin is closed",
            stdin(Stdin::Closed),
            Expected::Says(1, "standard input: EBADF"),
        ),
        of(
            "stdin is a directory",
            stdin(Stdin::Directory),
            Expected::Says(1, "standard input: EISDIR"),
        ),
        of("stdin is a pipe", stdin(Stdin::Enters), Expected::Complete),
        of("stdin is slow", stdin(Stdin::Typed), Expected::Complete),
        of(
            "stdin is slow, and does not wait",
            stdin(Stdin::TypedNonblocking),
            Expected::Complete,
        ),
        of(
            "stdin could be written, and does not wait",
            stdin(Stdin::TypedBothWays),
            Expected::Complete,
        ),
    ]
}

/// At each pause. What stops the program, lets it go on or tells it of a window's
/// size must not end the pause; what ends other programs must end this.
fn signals() -> impl Iterator<Item = Case> {
    (0..4).flat_map(|pause| {
        let at = |signals: &[i32], stdin: Stdin| Run {
            signals: signals.to_vec(),
            pause: Some(pause),
            stdin,
            ..words("")
        };
        let harmless = [SIGSTOP, SIGCONT, SIGWINCH];
        let mut cases = vec![
            of(
                &format!("stopped at pause {pause}"),
                at(&harmless, Stdin::Typed),
                Expected::Complete,
            ),
            of(
                &format!("stopped at pause {pause} in ppoll"),
                at(&harmless, Stdin::TypedNonblocking),
                Expected::Complete,
            ),
        ];
        for signal in [SIGHUP, SIGINT, SIGALRM, SIGTERM] {
            cases.push(of(
                &format!("signal {signal} at pause {pause}"),
                at(&[signal], Stdin::Typed),
                Expected::Killed(signal),
            ));
        }
        cases
    })
}

/// Seccomp filters that refuse a call, or kill whoever makes it.
fn filters() -> Vec<Case> {
    let errno = Verdict::Errno;
    let table = [
        (
            "prctl",
            errno(EPERM),
            "EPERM (1): blocked before Linux",
            6,
            "EPERM (1)",
        ),
        (
            "prctl",
            errno(ENOSYS),
            "ENOSYS (38): blocked before Linux",
            6,
            "ENOSYS (38)",
        ),
        ("prctl", Verdict::Kill, "", 6, "killed by signal 31"),
        // It says that all is well, and does nothing.
        (
            "prctl",
            errno(0),
            "'/secret/mem/area' was accepted, but the maps do not show it",
            7,
            "not-shown: ",
        ),
        ("mmap", errno(EPERM), "mmap: EPERM", 1, "failed: no memory"),
        (
            "mmap",
            errno(ENOSYS),
            "mmap: ENOSYS",
            1,
            "failed: no memory",
        ),
        ("mmap", Verdict::Kill, "", 6, "killed by signal 31"),
        (
            "openat",
            errno(EPERM),
            "/proc/self/maps: EPERM",
            8,
            "no-proc",
        ),
        (
            "openat",
            errno(ENOSYS),
            "/proc/self/maps: ENOSYS",
            8,
            "no-proc",
        ),
        ("openat", Verdict::Kill, "", 6, "killed by signal 31"),
        ("write", errno(EPERM), "", 6, ""),
    ];
    let mut cases = Vec::new();
    for (call, verdict, stages, status, probe) in table {
        let filtered = |line: &str| Run {
            filter: Some((call.to_owned(), verdict)),
            ..words(line)
        };
        let (stages, probe) = match (call, verdict) {
            ("write", _) => (Expected::Mute(1), Expected::Mute(1)),
            (_, Verdict::Kill) => (Expected::Killed(SIGSYS), Expected::Says(status, probe)),
            _ => (Expected::Says(1, stages), Expected::Says(status, probe)),
        };
        let check = match (call, verdict) {
            ("write", _) => Expected::Mute(1),
            ("prctl", Verdict::Errno(0)) => Expected::Says(1, "\nnot ok 1 name-is-shown\n"),
            ("prctl", _) => Expected::Says(4, "# SKIP blocked before Linux"),
            // Without memory the suite cannot be unpacked.
            ("mmap", Verdict::Errno(_)) => Expected::Says(1, "vm_anon_name: mmap: E"),
            ("mmap", Verdict::Kill) => Expected::Killed(SIGSYS),
            ("openat", Verdict::Errno(EPERM)) => Expected::Says(
                1,
                "# openat(0x0, \"/proc/self/maps\", 0x80000): expected success, seen EPERM (1)\n",
            ),
            _ => Expected::Says(1, "\nnot ok 1 name-is-shown\n"),
        };
        let name = |command: &str| format!("{command}, a filter on {call}: {verdict:?}");
        cases.push(of(&name("stages"), filtered("-y"), stages));
        cases.push(of(&name("probe"), filtered("probe"), probe));
        let line = "check name-is-shown";
        cases.push(of(&name("check"), filtered(line), check));
    }
    let unanswered = Run {
        filter: Some(("prctl".to_owned(), Verdict::Never)),
        ..words("probe")
    };
    let says = Expected::Says(6, "blocked: the call does not return\n");
    cases.push(of("probe, a filter that never answers", unanswered, says));
    cases
}

fn limits() -> [Case; 9] {
    const UNLIMITED: u64 = u64::MAX;
    let limited = |limit: u32, value: u64, line: &str| Run {
        limits: vec![(limit, value)],
        ..words(line)
    };
    let no_stack = Expected::Says(1, "the stack limit is below");
    let no_room = Expected::Says(1, "ENOMEM (12): no memory left (ulimit -v)");
    [
        of(
            "little address space",
            limited(RLIMIT_AS, 1 << 20, "-ys 16M"),
            no_room,
        ),
        of(
            "a tiny stack",
            limited(RLIMIT_STACK, 16 << 10, "-y"),
            no_stack.clone(),
        ),
        of(
            "a tiny stack for probe",
            limited(RLIMIT_STACK, 16 << 10, "probe"),
            no_stack,
        ),
        of(
            "an unlimited stack",
            limited(RLIMIT_STACK, UNLIMITED, "-y"),
            Expected::Complete,
        ),
        of(
            "no descriptor left",
            limited(RLIMIT_NOFILE, 3, "-y"),
            Expected::Says(1, "/proc/self/maps: EMFILE"),
        ),
        of(
            "no descriptor left for probe",
            limited(RLIMIT_NOFILE, 3, "probe"),
            Expected::Says(8, "no-proc"),
        ),
        Case {
            name: "files of no size".to_owned(),
            run: limited(RLIMIT_FSIZE, 0, "-yo /out"),
            expected: Expected::Says(1, "maps_1_start.txt: EFBIG"),
            files: Files::Older,
        },
        Case {
            name: "files of some bytes".to_owned(),
            run: limited(RLIMIT_FSIZE, 100, "-yo /out"),
            expected: Expected::Says(1, "maps_4_ummap.txt: EFBIG"),
            files: Files::Older,
        },
        of(
            "addresses by chance",
            Run {
                randomised: true,
                ..words("-y")
            },
            Expected::Complete,
        ),
    ]
}

fn proc() -> Vec<Case> {
    let table = [
        ("no /proc", Proc::Missing, "ENOENT"),
        ("an empty /proc", Proc::Empty, "ENOENT"),
        ("another namespace's /proc", Proc::Foreign, "ENOENT"),
        (
            "a forged /proc without maps",
            Proc::Forged(ForgedMaps::Empty),
            "EIO",
        ),
        (
            "a forged /proc with garbage",
            Proc::Forged(ForgedMaps::Garbage),
            "EIO",
        ),
    ];
    let cases = table.into_iter().flat_map(|(name, proc, errno)| {
        let run = |line: &str| Run {
            proc,
            ..words(line)
        };
        [
            of(name, run("-y"), Expected::Says(1, errno)),
            of(
                &format!("{name}, probe"),
                run("probe"),
                Expected::Says(8, "no-proc"),
            ),
            of(
                &format!("{name}, check"),
                run("check name-is-shown"),
                Expected::Says(1, "\nnot ok 1 name-is-shown\n"),
            ),
            Case {
                name: format!("{name}, maps files"),
                run: run("-yo /out"),
                expected: Expected::Says(1, errno),
                files: Files::Older,
            },
        ]
    });
    cases.collect()
}

fn arguments() -> [Case; 8] {
    // The longest word that execve takes, its NUL included, is 32 pages.
    let longest = "a".repeat((32 << 12) - 1);
    let with = |option: &str| Run {
        args: vec!["-y".to_owned(), option.to_owned(), longest.clone()],
        ..Run::default()
    };
    let alone = Run {
        args: vec![longest.clone()],
        ..Run::default()
    };
    [
        of(
            "a name of 128 KiB",
            with("-n"),
            Expected::Says(1, "a name has 79 bytes at most"),
        ),
        of(
            "a directory of 128 KiB",
            with("-o"),
            Expected::Says(1, ": ENAMETOOLONG (36)"),
        ),
        of(
            "a word of 128 KiB",
            alone,
            Expected::Says(2, "': unknown word"),
        ),
        driving("a name that drives a terminal", &["-yn", CLEAR], 1),
        driving("a word that drives a terminal", &[CLEAR], 2),
        driving("a directory that drives a terminal", &["-yo", CLEAR], 1),
        driving("a case that drives a terminal", &["check", CLEAR], 2),
        of(
            "no word at all",
            Run {
                no_words: true,
                ..words("")
            },
            Expected::Complete,
        ),
    ]
}

/// What clears the screen of a terminal, and what is shown instead.
const CLEAR: &str = "\x1b[2J";
const CLEAR_SHOWN: &str = "\\x1b[2J";

/// A start with words of which one would drive a terminal.
fn driving(name: &str, words: &[&str], status: i32) -> Case {
    let run = Run {
        args: words.iter().map(|word| (*word).to_owned()).collect(),
        ..Run::default()
    };
    of(name, run, Expected::Says(status, CLEAR_SHOWN))
}

/// The outcomes of all cases, from one boot.
fn outcomes() -> Result<&'static Vec<Outcome>> {
    static OUTCOMES: OnceLock<Result<Vec<Outcome>, String>> = OnceLock::new();
    let boot = || -> Result<Vec<Outcome>> {
        let runs: Vec<Run> = cases().iter().map(|case| case.run.clone()).collect();
        start_each(kernels::find(kernels::DEFAULT)?, "hostile", runs)
    };
    let outcomes = OUTCOMES.get_or_init(|| boot().map_err(|error| format!("{error:#}")));
    outcomes
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error}"))
}

fn start_each(kernel: &Kernel, name: &str, runs: Vec<Run>) -> Result<Vec<Outcome>> {
    let tasks: Vec<Task> = runs.into_iter().map(Task::Once).collect();
    let answers = rig::guest_agent::perform(kernel, name, &tasks)?;
    answers
        .into_iter()
        .map(|answer| match answer {
            Answer::Once(outcome) => Ok(outcome),
            answer => bail!("no outcome but {answer:?}"),
        })
        .collect()
}

fn case(number: usize) -> Result<()> {
    let case = cases().get(number).context("no such case")?;
    let outcome = outcomes()?.get(number).context("no outcome")?;
    check(outcome, &case.expected).with_context(|| show(outcome))?;
    check_files(&outcome.files, case.files)
}

fn check(outcome: &Outcome, expected: &Expected) -> Result<()> {
    let said = [&*outcome.stdout, &outcome.stderr].concat();
    let drives = |c: char| c.is_control() && c != '\n';
    ensure!(!said.contains(drives), "it drives a terminal");
    match expected {
        Expected::Complete => {
            ensure!(outcome.end == End::Exited(0), "no success");
            ensure!(outcome.stderr.is_empty(), "a complaint");
            // With standard output elsewhere there is no transcript to see.
            let prompts = outcome.stdout.matches("\nPress enter to ").count();
            ensure!(prompts == 4, "{prompts} prompts");
            let ends_well = outcome
                .stdout
                .ends_with("\nThe first and the last maps are the same.\n");
            ensure!(ends_well, "no comparison at the end");
        }
        Expected::Says(status, words) => {
            ensure!(outcome.end == End::Exited(*status), "not status {status}");
            ensure!(said.contains(words), "it does not say {words:?}");
        }
        Expected::Mute(status) => {
            ensure!(outcome.end == End::Exited(*status), "not status {status}");
        }
        Expected::Killed(signal) => {
            ensure!(
                outcome.end == End::Killed(*signal),
                "not ended by signal {signal}"
            );
        }
    }
    Ok(())
}

fn check_files(files: &BTreeMap<String, String>, expected: Files) -> Result<()> {
    if expected == Files::None {
        return Ok(());
    }
    ensure!(files.len() == 4, "files: {:?}", files.keys());
    for (name, content) in files {
        let is_maps = content.starts_with("00400000-") && content.ends_with("[stack]\n");
        match expected {
            Files::Older => ensure!(content == OLD, "{name} is {content:?}"),
            Files::New | Files::None => ensure!(is_maps, "{name} is {content:?}"),
        }
    }
    Ok(())
}

fn show(outcome: &Outcome) -> String {
    let start = |text: &str| text.chars().take(2000).collect::<String>();
    format!(
        "{:?}\n--- stdout\n{}\n--- stderr\n{}\n---",
        outcome.end,
        start(&outcome.stdout),
        start(&outcome.stderr)
    )
}

/// The program as PID 1 of a machine of its own.
fn machine(name: &str) -> Result<Machine> {
    let initramfs = Initramfs::with_program(Build::Full)?.write(name)?;
    let mut machine = kernels::find(kernels::DEFAULT)?.machine(&initramfs)?;
    machine.name = name.to_owned();
    machine.args = vec!["-y".to_owned()];
    Ok(machine)
}

/// What boot loaders and distributions put there is reported and passed over.
fn words_meant_for_others() -> Result<()> {
    let mut machine = machine("hostile-words")?;
    // The kernel forgets all words before `init=`.
    machine.append = "init=/sbin/init BOOT_IMAGE=/boot/Image root=/dev/sda1 ro splash rhgb \
                      systemd.unit=rescue.target LANG=C single -x"
        .to_owned();
    let console = machine.run(DEADLINE)?;
    console.expect_power_off()?;
    let text = console.text();
    for word in ["splash", "rhgb", "single", "-x"] {
        let complaint = format!("vm_anon_name: '{word}': unknown word, try --help\n");
        ensure!(
            text.contains(&complaint),
            "nothing is said of {word}\n{text}"
        );
    }
    ensure!(
        text.contains("vm_anon_name: status 0, then poweroff"),
        "{text}"
    );
    ensure!(text.matches("\nPress enter to ").count() == 4, "{text}");
    Ok(())
}

/// The kernel then leaves descriptors 0, 1 and 2 closed. There is another console,
/// and the program finds it; only the kernel's own words are missing there.
fn console_not_there() -> Result<()> {
    let mut machine = machine("hostile-console")?;
    let line = "console=ttyS0 panic=-1 quiet -- -y";
    machine.extra_qemu = vec!["-append".to_owned(), line.to_owned()];
    let text = machine.run(DEADLINE)?.text();
    ensure!(text.matches("Press enter to ").count() == 4, "{text}");
    ensure!(
        text.contains("vm_anon_name: status 0, then poweroff"),
        "{text}"
    );
    Ok(())
}

/// Where the kernel still starts `/init`, the program does its work.
fn least_memory() -> Result<()> {
    let mut machine = machine("hostile-memory")?;
    for mib in 8.. {
        machine.memory_mib = mib;
        let console = machine.run(Duration::from_secs(20))?;
        let text = console.text();
        if text.contains("Memory map a region") {
            eprintln!("the least memory: {mib} MiB");
            console.expect_power_off()?;
            ensure!(
                text.contains("The first and the last maps are the same."),
                "{text}"
            );
            return Ok(());
        }
        ensure!(mib < 64, "{mib} MiB are still not enough\n{text}");
    }
    Ok(())
}

/// Since 5.18 the kernel puts an empty word where there is none.
fn no_word_on_an_old_kernel() -> Result<()> {
    let run = Run {
        no_words: true,
        ..words("")
    };
    let kernel = kernels::find("debian-5.10")?;
    let outcomes = start_each(kernel, "hostile-no-word", vec![run])?;
    let outcome = outcomes.first().context("no outcome")?;
    check(outcome, &Expected::Says(4, "is older than 5.17")).with_context(|| show(outcome))
}

/// With addresses by chance, each time the same: the mapping joins its neighbour of
/// six pages, the name parts it, and the end is the beginning.
fn a_thousand_times(kernel: &Kernel) -> Result<()> {
    const TIMES: u32 = 1000;
    let run = Run {
        randomised: true,
        ..words("-y")
    };
    let name = format!("hostile-often-{}", kernel.name);
    let answers = rig::guest_agent::perform(kernel, &name, &[Task::Often(run, TIMES)])?;
    let [Answer::Often(outcomes)] = answers.as_slice() else {
        bail!("no outcomes but {answers:?}");
    };
    let page = kernel.pages.bytes();
    for (outcome, count) in outcomes {
        eprintln!("{}: {count} times the same", kernel.name);
        ensure!(outcome.end == End::Exited(0), "{}", show(outcome));
        ensure!(outcome.stderr.is_empty(), "{}", show(outcome));
        let line = first_line_changed(&outcome.stdout).with_context(|| show(outcome))?;
        let expected = transcript(line, page);
        ensure!(
            outcome.stdout == expected,
            "expected\n{expected}\n{}",
            show(outcome)
        );
    }
    let total: u32 = outcomes.iter().map(|(_, count)| count).sum();
    ensure!(total == TIMES, "{total} outcomes");
    Ok(())
}

/// The line of the maps that the first diff is about. Which one it is depends on
/// what the kernel maps into every process, and is the same all the time.
fn first_line_changed(transcript: &str) -> Option<usize> {
    let (_, diff) = transcript.split_once(" size: ")?.1.split_once("\n  ")?;
    diff.split_once('c')?.0.parse().ok()
}

/// What each run prints, an address being `@` and how many bytes it lies behind the
/// mapping: `line` of the maps grows by a page, is parted in two, and loses one.
fn transcript(line: usize, page: usize) -> String {
    let (next, before, end) = (line + 1, line - 1, 7 * page);
    let name = "rw-p 00000000 00:00 0                          [anon:/secret/mem/area]";
    format!(
        "Memory map a region and print vm_area_struct\nPID: PID\n\n\
         Press enter to mmap - cat /proc/PID/maps > maps_1_start.txt\n\n\
         mmap addr: @0 size: {page}\n  \
         {line}c{line}\n  \
         < @{page}-@{end} rw-p 00000000 00:00 0 \n  \
         ---\n  \
         > @0-@{end} rw-p 00000000 00:00 0 \n\n\
         Press enter to set vm_area_struct's name - cat /proc/PID/maps > maps_2_mmap.txt\n\n\
         Set [@0, @{page}] = /secret/mem/area\n  \
         {line}c{line},{next}\n  \
         < @0-@{end} rw-p 00000000 00:00 0 \n  \
         ---\n  \
         > @0-@{page} {name}\n  \
         > @{page}-@{end} rw-p 00000000 00:00 0 \n\n\
         Press enter to unmmap the region - cat /proc/PID/maps > maps_3_set_vm_name.txt\n\n  \
         {line}d{before}\n  \
         < @0-@{page} {name}\n\n\
         Press enter to exit - cat /proc/PID/maps > maps_4_ummap.txt\n\n\
         The first and the last maps are the same.\n"
    )
}
