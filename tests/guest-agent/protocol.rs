//! The tasks that the rig gives to its agent in the guest, and the answers.
//!
//! The agent is `/init` of the guest. It reads [`Task`]s from the file [`TASKS`], one JSON
//! value per line, and prints one [`Answer`] per task on the console, as JSON after
//! [`ANSWER_PREFIX`]. Lines without that prefix come from the kernel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The file with the tasks.
pub const TASKS: &str = "/tasks";
/// The program under test.
pub const PROGRAM: &str = "/vm_anon_name";
/// The prefix of a line that holds an answer.
pub const ANSWER_PREFIX: &str = "guest-agent: ";
/// The beginning of each prompt of the program.
pub const PROMPT: &str = "Press enter to ";
/// The maps files that `--output` writes, in the order of the pauses.
pub const MAPS_FILES: [&str; 4] = [
    "maps_1_start.txt",
    "maps_2_mmap.txt",
    "maps_3_set_vm_name.txt",
    "maps_4_ummap.txt",
];
/// The content of each maps file before a run, see [`OutDir`].
pub const OLD_CONTENT: &str = "old\n";

/// A saved smaps, which [`Stdin::Smaps`] holds.
pub const SAVED_SMAPS: &str = include_str!("../host/fixtures/saved/arm-3.10.smaps");

/// Something for the agent to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Run the program once.
    Run(Run),
    /// Run it this many times.
    Repeat(Run, u32),
    /// Run it once for each fault that each of its system calls can have.
    InjectFaults(Run),
}

/// The answer to a [`Task`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The result of the run.
    Run(RunResult),
    /// The different results, and the number of runs with each.
    Repeat(Vec<(RunResult, u32)>),
    /// The results of all faults.
    InjectFaults(Campaign),
    /// The agent itself failed, with this message.
    AgentFailed(String),
}

/// One execution of the program, and the conditions under which it runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Run {
    /// The arguments after `argv[0]`.
    pub args: Vec<String>,
    /// Whether `argv` is empty, without even `argv[0]`.
    pub empty_argv: bool,
    /// Whether the program is PID 1 of a new PID namespace.
    pub is_pid1: bool,
    /// Whether addresses are randomised. If not, they are the same in each run.
    pub randomise: bool,
    /// Standard input.
    pub stdin: Stdin,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
    /// Signals sent at a pause, in this order, before the newline. Needs a typed [`Stdin`].
    pub signals: Vec<i32>,
    /// The pause, counted from 0, at which the signals are sent. `None` means every pause.
    pub signal_pause: Option<usize>,
    /// The state of `/proc`.
    pub proc: Proc,
    /// The state of `/out`.
    pub out: OutDir,
    /// Resource limits: the kernel's number of the resource, and the limit.
    pub limits: Vec<(u32, u64)>,
    /// A seccomp filter: the name of a system call, and what happens when it is made.
    pub filter: Option<(String, FilterAction)>,
}

impl Run {
    /// A run with these arguments, separated by spaces, and default conditions.
    pub fn new(args: &str) -> Self {
        Self {
            args: args.split_whitespace().map(str::to_owned).collect(),
            ..Self::default()
        }
    }

    /// The same run with a seccomp filter.
    pub fn with_filter(self, call: &str, action: FilterAction) -> Self {
        Self {
            filter: Some((call.to_owned(), action)),
            ..self
        }
    }
}

/// The source of standard input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    /// A pipe that holds four newlines and then ends.
    #[default]
    FourNewlines,
    /// A pipe into which the agent writes a newline at each pause.
    Typed,
    /// As `Typed`, with `O_NONBLOCK`.
    TypedNonblocking,
    /// As `TypedNonblocking`, but open for reading and writing, so that it is always writable.
    TypedReadWrite,
    /// A pipe that holds a saved smaps, [`SAVED_SMAPS`], and then ends.
    Smaps,
    /// A directory.
    Directory,
    /// Closed.
    Closed,
}

/// The target of standard output or standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// A pipe.
    #[default]
    Pipe,
    /// A pipe that is full most of the time.
    SlowPipe,
    /// As `SlowPipe`, with `O_NONBLOCK`.
    SlowPipeNonblocking,
    /// A pipe whose read end is closed.
    ClosedPipe,
    /// `/dev/full`.
    DevFull,
    /// Closed.
    Closed,
}

/// The state of `/proc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proc {
    /// A procfs of the program's own PID namespace.
    #[default]
    Mounted,
    /// The directory does not exist.
    Missing,
    /// The directory is empty.
    Empty,
    /// A procfs of a PID namespace that does not contain the program.
    OtherNamespace,
    /// A procfs of the program's own PID namespace, which contains only the program and, as
    /// process 1, the tool `target`.
    Target,
    /// Regular files. The content is that of `self/maps`.
    Forged(ForgedMaps),
}

/// The content of a forged `self/maps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForgedMaps {
    /// No byte.
    Empty,
    /// A line that does not describe a VMA.
    Garbage,
}

/// The state of `/out`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutDir {
    /// A directory with the four [`MAPS_FILES`], which contain [`OLD_CONTENT`].
    #[default]
    OldFiles,
    /// As `OldFiles`, mounted read-only.
    ReadOnly,
    /// As `OldFiles`, without a free page.
    Full,
    /// The directory does not exist.
    Missing,
}

/// The action of a seccomp filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FilterAction {
    /// The call is not made and returns this errno; 0 means success.
    Errno(i32),
    /// The process is killed by SIGSYS.
    Kill,
    /// The call waits for the decision of a supervisor, which never comes.
    NoReply,
}

/// The result of a run.
///
/// Numbers that differ between runs are replaced: the program's PID by `PID`, and the inode
/// number of shared memory by `INODE`. With randomised addresses each address becomes `@N`,
/// where N is its distance in bytes from the mapping that the program made, or `@` if it is far
/// from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunResult {
    /// How the program ended.
    pub end: End,
    /// The text written to standard output.
    pub stdout: String,
    /// The text written to standard error.
    pub stderr: String,
    /// The text written to `/dev/console`, if the program opened it.
    pub console: String,
    /// The files in `/out` after the run, by name.
    pub files: BTreeMap<String, String>,
}

impl RunResult {
    /// The text written to standard error, standard output and the console.
    pub fn output(&self) -> String {
        [&*self.stderr, &self.stdout, &self.console].concat()
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum End {
    /// It exited with this status.
    Exited(i32),
    /// This signal killed it. In PID 1 of a namespace, `reboot(2)` has the effect of a
    /// signal: SIGINT for power off and halt, SIGHUP for restart.
    Killed(i32),
    /// It sleeps for ever, which PID 1 does if it cannot power off.
    Sleeps,
    /// It did not end in time, and the agent killed it.
    #[default]
    TimedOut,
}

/// The results of all faults of one [`Run`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Campaign {
    /// The calls of the run without faults.
    pub calls: Vec<Call>,
    /// The result of the run without faults.
    pub baseline: RunResult,
    /// The faults that were injected.
    pub injections: Vec<Injection>,
    /// The different results of the injections.
    pub results: Vec<RunResult>,
    /// Faults that were not injected, because the run did not make the call again.
    pub missed: Vec<(Call, Fault)>,
}

/// A fault that was injected, and its effect.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Injection {
    /// The call that failed.
    pub call: Call,
    /// How it failed.
    pub fault: Fault,
    /// The index of the result in [`Campaign::results`].
    pub result: usize,
    /// Calls of the run without faults that this run did not make.
    pub missing: Vec<Call>,
}

/// A system call of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Call {
    /// 0 for the program, then its children in the order in which it creates them. A child
    /// whose creation fails keeps its number.
    pub process: u32,
    /// The name of the call.
    pub name: String,
    /// The number of earlier calls of that name in that process.
    pub index: u32,
    /// The first argument, a file descriptor for most calls.
    pub argument: u64,
}

/// The failure of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Fault {
    /// This call fails with this errno.
    Errno(i32),
    /// This call fails with this errno, and so do all later calls of that name in the
    /// process; of `read` and `write`, those on the same file descriptor.
    ErrnoForever(i32),
    /// This call reads or writes at most this many bytes.
    Short(u64),
    /// This call and all later ones, as for `ErrnoForever`, read or write at most this many
    /// bytes.
    ShortForever(u64),
}
