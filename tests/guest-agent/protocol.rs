//! What the rig asks of its helper in the guest, and what that answers.
//!
//! The helper is `/init`. It reads its [`Task`]s from the file [`TASKS`], a JSON
//! value a line, and prints an [`Answer`] to each in the same form, behind
//! [`MARK`], so that what the kernel says in between is told apart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where the tasks lie.
pub const TASKS: &str = "/tasks";
/// Where the program lies.
pub const PROGRAM: &str = "/vm_anon_name";
/// What a line with an answer begins with.
pub const MARK: &str = "guest-agent: ";

/// Something to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Start the program once.
    Once(Run),
    /// Start it so many times.
    Often(Run, u32),
    /// Start it once for each fault that each of its system calls can meet.
    Faults(Run),
}

/// What came of a [`Task`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// What the one start ended in.
    Once(Outcome),
    /// What the starts ended in, and how many in each.
    Often(Vec<(Outcome, u32)>),
    /// What became of each fault.
    Faults(Campaign),
    /// The helper itself failed.
    Trouble(String),
}

/// A start of the program, and what it finds around itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Run {
    /// The words behind the program's own name.
    pub args: Vec<String>,
    /// `execve` without any word, not even the program's name.
    pub no_words: bool,
    /// It is the first process of a PID namespace.
    pub is_init: bool,
    /// Addresses are where chance puts them.
    pub randomised: bool,
    /// Standard input.
    pub stdin: Stdin,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
    /// Sent at each pause, in this order, before Enter. Needs [`Stdin::Typed`].
    pub signals: Vec<i32>,
    /// At which of the pauses, counted from 0; at each if it is not said.
    pub pause: Option<usize>,
    /// What is at `/proc`.
    pub proc: Proc,
    /// What is at `/out`.
    pub out: Out,
    /// Resource limits, by the kernel's numbers.
    pub limits: Vec<(u32, u64)>,
    /// A system call that a seccomp filter answers, by its name.
    pub filter: Option<(String, Verdict)>,
}

/// Where input comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    /// A pipe that holds four newlines, and ends behind them.
    #[default]
    Enters,
    /// A pipe into which a newline comes at each pause.
    Typed,
    /// The same, and reading does not wait.
    TypedNonblocking,
    /// The same, and it can be written at any time.
    TypedBothWays,
    /// A directory.
    Directory,
    /// Closed.
    Closed,
}

/// Where output goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// A pipe.
    #[default]
    Pipe,
    /// A pipe that is nearly always full.
    Slow,
    /// The same, and writing does not wait.
    SlowNonblocking,
    /// A pipe that nobody reads.
    Broken,
    /// `/dev/full`.
    Full,
    /// Closed.
    Closed,
}

/// What is at `/proc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proc {
    /// procfs.
    #[default]
    Mounted,
    /// Nothing at all.
    Missing,
    /// An empty directory.
    Empty,
    /// procfs of a PID namespace that the program is not in.
    Foreign,
    /// Files that look like procfs, and hold this as `self/maps`.
    Forged(ForgedMaps),
}

/// What a forged maps file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForgedMaps {
    /// Nothing.
    Empty,
    /// Something else.
    Garbage,
}

/// What is at `/out`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Out {
    /// A directory with the four maps files of an earlier run, which hold [`OLD`].
    #[default]
    Older,
    /// The same, and nothing can be written.
    ReadOnly,
    /// The same, and it is full.
    Full,
    /// Nothing at all.
    Missing,
}

/// What is in the files of an earlier run.
pub const OLD: &str = "old\n";

/// What a seccomp filter does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It fails with this errno.
    Errno(i32),
    /// It kills the process.
    Kill,
    /// It asks somebody who never answers.
    Never,
}

/// What a start of the program ended in.
///
/// Numbers that differ from start to start are replaced: its own pid by `PID` and
/// the inode of shared memory by `INODE`; with randomised addresses also those, by
/// how many pages they lie behind the mapping that the program made.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What it wrote on standard output.
    pub stdout: String,
    /// What it wrote on standard error.
    pub stderr: String,
    /// What it wrote on `/dev/console`, if it opened that.
    pub console: String,
    /// The files in `/out`.
    pub files: BTreeMap<String, String>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum End {
    /// It exited with this status.
    Exited(i32),
    /// A signal ended it. For the first process of a namespace that is what
    /// `reboot` does: SIGINT stands for power off and halt, SIGHUP for restart.
    Killed(i32),
    /// It sleeps for ever, as the first process does in the end.
    Sleeps,
    /// It did not end in time, and was killed.
    #[default]
    Hung,
}

/// What became of every fault of one [`Run`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Campaign {
    /// The calls that were made without a fault.
    pub calls: Vec<Place>,
    /// What they ended in.
    pub baseline: Outcome,
    /// Each fault that was met.
    pub injections: Vec<Injection>,
    /// What faults ended in, each once.
    pub outcomes: Vec<Outcome>,
    /// Faults whose call was not made again.
    pub missed: Vec<(Place, Fault)>,
}

/// A fault, and what became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Injection {
    /// The call that failed.
    pub place: Place,
    /// How it failed.
    pub fault: Fault,
    /// The number of what the run ended in.
    pub outcome: usize,
    /// Calls that are made without the fault, and were not made with it.
    pub left_out: Vec<Place>,
}

/// One of the calls that a run makes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// 0 for the program, then its children in the order they are made, or should be.
    pub process: u32,
    /// The name of the call.
    pub call: String,
    /// How many calls of that name the process had made before.
    pub before: u32,
    /// The first argument, mostly a file descriptor.
    pub argument: u64,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Fault {
    /// It fails with this errno.
    Errno(i32),
    /// It fails with this errno, and so does each such call behind it.
    Forever(i32),
    /// It reads or writes no more than so many bytes.
    Count(u64),
    /// So does each such call behind it.
    CountForever(u64),
}
