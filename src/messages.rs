//! What the full build says, but for the transcript of the stages, the help, and the names
//! of calls and files.
//!
//! A message is known by its place in the list; a `%` stands for a value. The build script
//! includes this file, too, and packs what is in it: see [`pairs`](crate::pairs).

/// A message, by its place.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub struct Message(pub(crate) u8);

macro_rules! messages {
    ($($NAME:ident = $text:literal;)*) => {
        /// The messages, each at its place.
        pub const MESSAGES: &[&str] = &[$($text),*];

        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Place { $($NAME,)* COUNT }

        impl Message {
            $(#[doc = stringify!($text)] pub const $NAME: Message = Message(Place::$NAME as u8);)*
        }
    };
}

// Those of `check` come first, because they are found soonest there.
messages! {
    PASSED = "# vm_anon_name: %: pass\nok % %";
    FAILED = "# vm_anon_name: %: fail\nnot ok % %";
    SKIPPED = "# vm_anon_name: %: skip\nok % % # SKIP ";
    SINCE = "since Linux %.%";
    BEFORE = "before Linux %.%";
    NEEDS = "what it needs is not in this kernel";
    NEWLINE = "\n";
    LINE = "%\n";
    FIELD = " %";
    COMMENT = "# ";
    HEAD = "KTAP version 1\n1..%\n# %#";
    PAGE_SIZE = "\n# page size %\n";
    LOWERED = "vm.max_map_count stays lowered";
    TOTALS = "# Totals: pass:% fail:% xfail:0 xpass:0 skip:% error:0\n";
    HUNG = "#   it hung and was killed\n";
    KILLED = "#   killed by signal %\n";
    NO_CHILD = "#   no child, or no word of its end";
    COMPARED = "#   expected %\n#   seen %\n";
    CALL = "# %";
    OPENED = "(";
    ARGUMENT = "%";
    TEXT = "\"%\"";
    COMMA = ", ";
    CLOSED = ")";
    OUTCOME = ": expected %, seen % (%)";
    WINDOW = "\n#   the window is at %, a page has % bytes\n";
    MAPS = "#   %\n";
    SUCCESS = "success";
    NO_CASE = "'%': no such case, see check --list";

    SUPPORTED =
        "supported: Linux % names private memory, shared memory: %, PROCMAP_QUERY: %";
    BUILT_WITHOUT = "built-without: ";
    TOO_OLD = "too-old: ";
    BLOCKED = "blocked: ";
    NOT_SHOWN = "not-shown: the call succeeds, but /proc/self/maps has no name";
    NO_PROC = "no-proc: the call succeeds, but /proc/self/maps cannot be read";
    NO_MEMORY = "failed: no memory to try it on";
    SIGNAL = "killed by signal %";
    NO_RETURN = "the call does not return";
    YES = "yes";
    NO = "no";
    UNKNOWN = "unknown";

    IS_OLD = "Linux % is older than 5.17, the first to name anonymous memory";
    LACKS = "Linux % was built without CONFIG_ANON_VMA_NAME";
    FILTERED = "blocked before Linux % saw it, as by a seccomp filter";
    LONG_NAME = ": a name has 79 bytes at most";
    BAD_BYTE = ": no name may have a '%'";
    NO_SHARED = ": shared mappings can be named since 6.2";
    TOO_MANY = ": too many mappings (vm.max_map_count)";
    COLON = ": ";

    UNCHANGED = "The maps did not change.\n";
    UNSEEN = "'%' was accepted, but the maps do not show it";
    SAME = "\nThe first and the last maps are the same.\n";
    DIFFERENT = "\nThe first and the last maps differ.\n";
    NAMING = "prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, %, %, \"%\")";

    ERRNO = ": % (%)";
    PROGRAM = "vm_anon_name: ";
    STACK = "the stack limit is below 256 KiB, see ulimit -s";
    NO_SUITE = "this build has no probe and no check";
    PANIC = "panic at %:%";
    END = "\nvm_anon_name: status %, then %\n";

    REFUSED = "'%': %";
    UNKNOWN_WORD = "unknown word, try --help";
    NO_VALUE = "it needs a value";
    VALUE = "it takes no value";
    SIZE = "give a size above 0, as 4096, 64K, 2M or 1G";
    CASES = "64 cases at most";
    NO_INIT = "this is for PID 1 alone";
}

/// The name of each error, and what it means to the program, beyond that; first what stands
/// for any other error. These 40 are the same on every architecture that uses the generic numbering
/// (`include/uapi/asm-generic/errno-base.h`, `errno.h`).
pub const ERRORS: [[&str; 2]; 41] = [
    ["errno", ""],
    ["EPERM", ": not permitted"],
    ["ENOENT", ": no such file"],
    ["ESRCH", ""],
    ["EINTR", ""],
    ["EIO", ": the device failed"],
    ["ENXIO", ""],
    ["E2BIG", ""],
    ["ENOEXEC", ""],
    ["EBADF", ": closed or not open for this"],
    ["ECHILD", ""],
    ["EAGAIN", ": not ready"],
    ["ENOMEM", ": no memory left (ulimit -v)"],
    ["EACCES", ": not permitted"],
    ["EFAULT", ""],
    ["ENOTBLK", ""],
    ["EBUSY", ""],
    ["EEXIST", ""],
    ["EXDEV", ""],
    ["ENODEV", ""],
    ["ENOTDIR", ": not a directory"],
    ["EISDIR", ""],
    ["EINVAL", ""],
    ["ENFILE", ": too many files"],
    ["EMFILE", ": too many open files (ulimit -n)"],
    ["ENOTTY", ""],
    ["ETXTBSY", ""],
    ["EFBIG", ": too large a file (ulimit -f)"],
    ["ENOSPC", ": no space left"],
    ["ESPIPE", ""],
    ["EROFS", ": read-only"],
    ["EMLINK", ""],
    ["EPIPE", ": nobody reads it"],
    ["EDOM", ""],
    ["ERANGE", ""],
    ["EDEADLK", ""],
    ["ENAMETOOLONG", ""],
    ["ENOLCK", ""],
    ["ENOSYS", ": not in this kernel, or blocked"],
    ["ENOTEMPTY", ""],
    ["ELOOP", ""],
];

impl Message {
    /// The name of error `number`, which [`ERRORS`] has.
    pub(crate) const fn of_error(number: u8) -> Self {
        Message(Place::COUNT as u8 + 2 * number)
    }

    /// Its text, as it is written here.
    pub fn text(self) -> &'static str {
        all().nth(self.0.into()).map_or("", |(_, text)| text)
    }

    /// The message behind this one.
    pub(crate) const fn next(self) -> Self {
        Message(self.0 + 1)
    }
}

/// All messages, each at its place, with their texts.
pub fn all() -> impl Iterator<Item = (Message, &'static str)> {
    let texts = MESSAGES.iter().chain(ERRORS.as_flattened());
    (0..).map(Message).zip(texts.copied())
}
