//! Inherited settings and missing files: none makes `check` report a failure of the kernel.
//!
//! For each of two kernels, one boot runs `check` without conditions, then under each condition.
//! Under a condition, a case may be skipped in addition, with a reason that names the error.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use rig::kernels;
use rig::report::{KtapReport, Outcome};

use crate::shell::{self, Output};
use crate::trial::Trial;

const DEADLINE: Duration = Duration::from_secs(900);

/// The exit status after `Bail out!`: `check` could not read maps or create children.
const NO_VERDICT: i32 = 8;

/// Condition, script, and what `check` must say.
type Row = (&'static str, &'static str, Expected);

/// The expected output of `check`, compared with the run without conditions.
#[derive(Clone, Copy)]
enum Expected {
    /// The same results.
    Same,
    /// The same results, or skips whose reason has one of these words.
    Skips(&'static [&'static str]),
    /// `Bail out!` with this word, and no results.
    BailsOut(&'static str),
    /// This many reports, each with the same totals.
    SameTotals(usize),
    /// The exit status 0 with any output, for commands other than `check`.
    Success,
}

use Expected::{BailsOut, Same, SameTotals, Skips, Success};

/// With a limit of 1,024 mappings instead of 65,530, the cases that reach it are not skipped.
const PREPARATION: &str = "echo 1024 > /proc/sys/vm/max_map_count
mkdir -m 1777 /dev/shm; chmod 1777 /tmp";

const UNDISTURBED: &str = "vm_anon_name check";

/// Conditions for the default kernel.
const ROWS: &[Row] = &[
    // Signals.
    ("SIGCHLD ignored", "with ignore=17 vm_anon_name check", Same),
    ("SIGCHLD ignored by the shell", "trap '' CHLD; vm_anon_name check", Same),
    ("all signals blocked", "with block=all vm_anon_name check", Same),
    (
        "SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGXFSZ ignored",
        "with ignore=1 ignore=2 ignore=13 ignore=15 ignore=25 vm_anon_name check",
        Same,
    ),
    // Attributes set by prctl(2), by number.
    ("PR_SET_MEMORY_MERGE", "with prctl=67,1 vm_anon_name check", Same),
    ("PR_SET_MDWE", "with prctl=65,1 vm_anon_name check", Skips(&["EACCES"])),
    ("PR_SET_NO_NEW_PRIVS", "with prctl=38,1 vm_anon_name check", Same),
    ("PR_SET_THP_DISABLE", "with prctl=41,1 vm_anon_name check", Same),
    ("PR_SET_TIMERSLACK of a second", "with prctl=29,1000000000 vm_anon_name check", Same),
    (
        // SECBIT_NOROOT, SECBIT_NO_SETUID_FIXUP and the locks: root without capabilities.
        "PR_SET_SECUREBITS",
        "with prctl=28,47 vm_anon_name check",
        Skips(&["EPERM", "EACCES"]),
    ),
    // Seccomp filters of older container engines.
    (
        "seccomp: EPERM for calls that are newer than the filter",
        "with refuse=memfd_secret,1 refuse=mseal,1 refuse=process_madvise,1 vm_anon_name check",
        Skips(&["EPERM"]),
    ),
    (
        "seccomp: EPERM for memfd_create and shmget",
        "with refuse=memfd_create,1 refuse=shmget,1 vm_anon_name check",
        Skips(&["EPERM"]),
    ),
    (
        "seccomp: EACCES for calls that only prepare",
        "with refuse=memfd_create,13 refuse=shmget,13 refuse=mlock,13 refuse=memfd_secret,13 vm_anon_name check",
        Skips(&["EACCES"]),
    ),
    (
        "seccomp: EPERM for personality",
        "with refuse=personality,1 vm_anon_name check",
        Same,
    ),
    (
        "seccomp: EPERM for uname",
        "with refuse=uname,1 vm_anon_name check",
        Skips(&["since Linux ", "before Linux "]),
    ),
    // Limits on the whole system.
    (
        "vm.max_map_count of 64",
        "echo 64 > /proc/sys/vm/max_map_count; vm_anon_name check
        status=$?; echo 1024 > /proc/sys/vm/max_map_count; exit $status",
        Skips(&["EAGAIN", "ENOMEM"]),
    ),
    (
        // The kernel's default. The cases that reach the limit are skipped if it is above 4,096.
        "vm.max_map_count of 65530",
        "echo 65530 > /proc/sys/vm/max_map_count; vm_anon_name check
        status=$?; echo 1024 > /proc/sys/vm/max_map_count; exit $status",
        Skips(&["E2BIG"]),
    ),
    // Files and directories.
    (
        "another user's file in a sticky /dev/shm",
        "mount -t tmpfs -o mode=1777 tmpfs /dev/shm; touch /dev/shm/.vm_anon_name
        with user=1000 vm_anon_name check",
        Same,
    ),
    (
        "/dev/shm not writable",
        "mount -t tmpfs -o mode=755 tmpfs /dev/shm; with user=1000 vm_anon_name check",
        Skips(&["EACCES"]),
    ),
    (
        "/dev/shm full",
        "mount -t tmpfs -o size=64k tmpfs /dev/shm
        dd if=/dev/zero of=/dev/shm/all bs=4k count=32
        vm_anon_name check",
        Skips(&["ENOSPC"]),
    ),
    (
        "/dev/shm without inodes",
        "mount -t tmpfs -o nr_inodes=3 tmpfs /dev/shm
        touch /dev/shm/a /dev/shm/b /dev/shm/c
        vm_anon_name check",
        Skips(&["ENOSPC"]),
    ),
    (
        "/dev/shm read-only",
        "mount -t tmpfs -o ro tmpfs /dev/shm; vm_anon_name check",
        Skips(&["EROFS"]),
    ),
    (
        "/dev/zero on a nodev mount",
        "mount -t tmpfs -o nodev tmpfs /dev; mknod -m 666 /dev/zero c 1 5; vm_anon_name check",
        Skips(&["EACCES"]),
    ),
    (
        "/dev/zero a regular file",
        "mount -t tmpfs tmpfs /dev; dd if=/proc/version of=/dev/zero; vm_anon_name check",
        Skips(&["EINVAL"]),
    ),
    (
        "/dev/zero an empty regular file",
        "mount -t tmpfs tmpfs /dev; : > /dev/zero; vm_anon_name check",
        Skips(&["EINVAL"]),
    ),
    (
        "no /dev",
        "mount -t tmpfs tmpfs /dev; vm_anon_name check",
        Skips(&["ENOENT"]),
    ),
    ("umask 0777", "umask 0777; vm_anon_name check", Same),
    ("umask 0777, another user", "umask 0777; with user=1000 vm_anon_name check", Same),
    ("the current directory removed", "with directory=removed vm_anon_name check", Same),
    ("descriptors 0 to 255 open", "with files=256 vm_anon_name check", Same),
    (
        "eight runs at once",
        "i=0; while [ $i -lt 8 ]; do vm_anon_name check > /tmp/run$i & i=$((i+1)); done; wait
        cat /tmp/run?; ! grep -q '^not ok' /tmp/run?",
        SameTotals(8),
    ),
    (
        "a file that an interrupted run left",
        "mount -t tmpfs tmpfs /dev/shm; mkdir /dev/shm/.vm_anon_name; vm_anon_name check",
        Same,
    ),
    // The executable.
    (
        "executable of mode 0111, another user",
        "cp /bin/vm_anon_name /tmp/0111; chmod 111 /tmp/0111; with user=1000 /tmp/0111 check",
        Skips(&["EACCES"]),
    ),
    (
        "executable removed from its tmpfs",
        "with executable=deleted /bin/vm_anon_name check",
        Skips(&["ENOENT"]),
    ),
    (
        "executable in a memfd",
        "with executable=memfd /bin/vm_anon_name check",
        Skips(&["ENOENT"]),
    ),
    (
        "executable at a path of 4,000 bytes",
        "name=$(printf %0246d 0)
        mkdir /tmp/deep; cd /tmp/deep
        i=0; while [ $i -lt 16 ]; do mkdir $name; cd $name; i=$((i+1)); done
        cp /bin/vm_anon_name .; ./vm_anon_name check",
        Same,
    ),
    // Limits of System V shared memory.
    (
        "kernel.shmmni=0",
        "old=$(cat /proc/sys/kernel/shmmni); echo 0 > /proc/sys/kernel/shmmni
        vm_anon_name check; status=$?
        echo $old > /proc/sys/kernel/shmmni; exit $status",
        Skips(&["ENOSPC"]),
    ),
    (
        "kernel.shmmax=0",
        "old=$(cat /proc/sys/kernel/shmmax); echo 0 > /proc/sys/kernel/shmmax
        vm_anon_name check; status=$?
        echo $old > /proc/sys/kernel/shmmax; exit $status",
        Skips(&["EINVAL"]),
    ),
    // Resource limits, by number.
    ("RLIMIT_AS 16 MiB", "with limit=9,16777216 vm_anon_name check", Skips(&["ENOMEM"])),
    ("RLIMIT_AS 32 MiB", "with limit=9,33554432 vm_anon_name check", Skips(&["ENOMEM"])),
    ("RLIMIT_AS 128 MiB", "with limit=9,134217728 vm_anon_name check", Skips(&["ENOMEM"])),
    ("ulimit -v of 512 MiB", "ulimit -v 524288; vm_anon_name check", Skips(&["ENOMEM"])),
    ("RLIMIT_AS 1 MiB", "with limit=9,1048576 vm_anon_name check", BailsOut("ENOMEM")),
    ("RLIMIT_DATA 64 KiB", "with limit=2,65536 vm_anon_name check", Skips(&["ENOMEM"])),
    (
        // The limit is on files, not on pipes.
        "RLIMIT_FSIZE 0",
        "{ with limit=1,0 vm_anon_name check; echo $? > /tmp/code; } | cat; exit $(cat /tmp/code)",
        Skips(&["EFBIG"]),
    ),
    (
        "RLIMIT_MEMLOCK 0, another user",
        "with limit=8,0 user=1000 vm_anon_name check",
        Skips(&["EPERM", "ENOMEM"]),
    ),
    ("RLIMIT_NOFILE 3", "with limit=7,3 vm_anon_name check", BailsOut("EMFILE")),
    ("RLIMIT_NOFILE 4", "with limit=7,4 vm_anon_name check", Skips(&["EMFILE"])),
    ("RLIMIT_NOFILE 5", "with limit=7,5 vm_anon_name check", Skips(&["EMFILE"])),
    ("RLIMIT_NOFILE 8", "with limit=7,8 vm_anon_name check", Same),
    ("RLIMIT_NPROC 0, another user", "with user=1000 limit=6,0 vm_anon_name check", BailsOut("EAGAIN")),
    (
        "RLIMIT_NPROC 2, another user",
        "with user=1000 limit=6,2 vm_anon_name check",
        Skips(&["EAGAIN"]),
    ),
    ("RLIMIT_CPU 1 s", "with limit=0,1 vm_anon_name check", Same),
    (
        "RLIMIT_CORE, RSS, LOCKS, SIGPENDING, MSGQUEUE, NICE, RTPRIO, RTTIME 0",
        "with limit=4,0 limit=5,0 limit=10,0 limit=11,0 limit=12,0 limit=13,0 limit=14,0 limit=15,0 vm_anon_name check",
        Same,
    ),
    ("RLIMIT_STACK 256 KiB", "with limit=3,262144 vm_anon_name check", Same),
    // Personality.
    // The heap then begins directly after the program.
    ("ADDR_NO_RANDOMIZE", "with personality=40000 vm_anon_name check", Skips(&["EEXIST"])),
    ("ADDR_COMPAT_LAYOUT", "with personality=200000 vm_anon_name check", Same),
    ("READ_IMPLIES_EXEC", "with personality=400000 vm_anon_name check", Same),
    ("MMAP_PAGE_ZERO", "echo 0 > /proc/sys/vm/mmap_min_addr; with personality=100000 vm_anon_name check", Same),
    ("UNAME26", "with personality=20000 vm_anon_name check", Same),
    ("WHOLE_SECONDS, STICKY_TIMEOUTS, SHORT_INODE", "with personality=7000000 vm_anon_name check", Same),
    // /proc.
    (
        "a chroot without /proc",
        "mkdir -p /tmp/root/bin; cp /bin/vm_anon_name /tmp/root/bin; chroot /tmp/root /bin/vm_anon_name check",
        BailsOut("ENOENT"),
    ),
    ("/proc covered", "mount -t tmpfs tmpfs /proc; vm_anon_name check", BailsOut("ENOENT")),
    (
        "/proc/self/maps not readable",
        "mount -t tmpfs tmpfs /proc; mkdir /proc/self; touch /proc/self/maps; chmod 0 /proc/self/maps
        with user=1000 vm_anon_name check",
        BailsOut("EACCES"),
    ),
    (
        "/proc/self/maps empty",
        "mount -t tmpfs tmpfs /proc; mkdir /proc/self; touch /proc/self/maps; vm_anon_name check",
        BailsOut("EIO"),
    ),
    (
        "/proc of another process",
        "mkdir -p /tmp/other/self; cp /proc/self/maps /tmp/other/self; mount -o bind /tmp/other /proc
        vm_anon_name check",
        BailsOut("EIO"),
    ),
    (
        "/proc with subset=pid",
        "mount -t proc -o subset=pid proc /proc; vm_anon_name check",
        Skips(&["ENOENT"]),
    ),
    (
        "/proc with hidepid=2, another user",
        "mount -t proc -o hidepid=2 proc /proc; with user=1000 vm_anon_name check",
        Same,
    ),
    // Users and capabilities.
    ("another user", "with user=1000 vm_anon_name check", Same),
    (
        "no capabilities",
        "i=0; while [ $i -le 40 ]; do drop=\"$drop drop=$i\"; i=$((i+1)); done
        with $drop vm_anon_name check",
        Same,
    ),
    // The other commands.
    ("probe, SIGCHLD ignored", "with ignore=17 vm_anon_name probe", Success),
    ("probe, UNAME26", "with personality=20000 vm_anon_name probe", Success),
    ("probe, the current directory removed", "with directory=removed vm_anon_name probe", Success),
    ("probe, PR_SET_MEMORY_MERGE", "with prctl=67,1 vm_anon_name probe", Success),
    ("stages, all signals blocked", "with block=all vm_anon_name -y", Success),
    ("stages, PR_SET_MEMORY_MERGE", "with prctl=67,1 vm_anon_name -y", Success),
    ("stages, READ_IMPLIES_EXEC", "with personality=400000 vm_anon_name -y", Success),
    ("stages, executable in a memfd", "with executable=memfd /bin/vm_anon_name -y", Success),
];

/// Conditions for the kernel `rich`.
const RICH_ROWS: &[Row] = &[
    (
        "a user namespace",
        "with user=1000 unshare -Ur vm_anon_name check",
        Skips(&["EPERM", "EINVAL"]),
    ),
    (
        "a user namespace without a mapping",
        "with user=1000 unshare -U vm_anon_name check",
        Skips(&["EPERM", "EINVAL", "EOVERFLOW"]),
    ),
    ("an IPC namespace", "unshare -i vm_anon_name check", Same),
    (
        "cgroup: pids.max of 2",
        "mkdir -p /tmp/cgroup; mount -t cgroup2 cgroup2 /tmp/cgroup
        echo +pids > /tmp/cgroup/cgroup.subtree_control; mkdir -p /tmp/cgroup/few
        echo 2 > /tmp/cgroup/few/pids.max; echo $$ > /tmp/cgroup/few/cgroup.procs
        vm_anon_name check",
        BailsOut("EAGAIN"),
    ),
    (
        "cgroup: memory.max of 4 MiB",
        "mkdir -p /tmp/cgroup; mount -t cgroup2 cgroup2 /tmp/cgroup
        echo +memory > /tmp/cgroup/cgroup.subtree_control; mkdir -p /tmp/cgroup/small
        echo 4194304 > /tmp/cgroup/small/memory.max; echo $$ > /tmp/cgroup/small/cgroup.procs
        echo 65530 > /proc/sys/vm/max_map_count
        vm_anon_name check; status=$?
        echo 1024 > /proc/sys/vm/max_map_count; exit $status",
        Skips(&["E2BIG"]),
    ),
];

pub(crate) fn trials() -> Vec<Trial> {
    let on_default = rows_trials(kernels::DEFAULT, ROWS, &DEFAULT_OUTPUTS);
    let on_rich = rows_trials("rich", RICH_ROWS, &RICH_OUTPUTS);
    let bare = Trial::new("a kernel with the fewest options", bare_kernel);
    let large = Trial::new("6.12-64k: RLIMIT_STACK 256 KiB", large_pages);
    on_default.chain(on_rich).chain([bare, large]).collect()
}

/// The outputs of a boot; the first is that of the run without conditions.
type Outputs = OnceLock<Result<Vec<Output>, String>>;

static DEFAULT_OUTPUTS: Outputs = OnceLock::new();
static RICH_OUTPUTS: Outputs = OnceLock::new();

fn rows_trials(
    kernel: &'static str,
    rows: &'static [Row],
    outputs: &'static Outputs,
) -> impl Iterator<Item = Trial> {
    rows.iter().enumerate().map(move |(number, row)| {
        let (name, _, expected) = *row;
        Trial::new(format!("{kernel}: {name}"), move || {
            let outputs = outputs.get_or_init(|| {
                let scripts = rows.iter().map(|(_, script, _)| *script);
                let scripts = std::iter::once(UNDISTURBED).chain(scripts);
                let name = format!("system-inherited-{kernel}");
                let outputs = shell::run_all(kernel, &name, PREPARATION, scripts, DEADLINE);
                outputs.map_err(|error| format!("{error:#}"))
            });
            let outputs = outputs.as_ref().map_err(|error| anyhow!("{error}"))?;
            let output = outputs.get(number + 1).context("no output")?;
            judge(output, &outputs[0], expected).map_err(|error| anyhow!("{error:#}\n{output}"))
        })
    })
}

fn judge(output: &Output, undisturbed: &Output, expected: Expected) -> Result<()> {
    let is_not_ok = |line: &&str| line.starts_with("not ok ");
    let failed: Vec<&str> = output.stdout.lines().filter(is_not_ok).collect();
    ensure!(failed.is_empty(), "{} failed: {failed:?}", failed.len());
    let words = match expected {
        Success => {
            ensure!(output.status == 0);
            return Ok(());
        }
        BailsOut(word) => {
            let mut lines = output.stdout.lines();
            let line = lines.find(|line| line.starts_with("Bail out! "));
            ensure!(line.context("no `Bail out!`")?.contains(word), "no {word}");
            ensure!(output.status == NO_VERDICT);
            return Ok(());
        }
        SameTotals(count) => {
            let mut totals = undisturbed.stdout.lines();
            let totals = totals.find(|line| line.starts_with("# Totals: "));
            let totals = totals.context("no totals")?;
            let found = output.stdout.lines().filter(|line| *line == totals);
            ensure!(found.count() == count, "not {count} times {totals}");
            return Ok(());
        }
        Same => &[],
        Skips(words) => words,
    };
    let before = KtapReport::read(&undisturbed.stdout)?;
    let report = KtapReport::read(&output.stdout)?;
    ensure!(
        report.cases.len() == before.cases.len(),
        "a case is missing"
    );
    for (case, before) in report.cases.iter().zip(&before.cases) {
        if case.outcome == before.outcome {
            continue;
        }
        let Outcome::Skipped(reason) = &case.outcome else {
            anyhow::bail!(
                "{}: {:?}, before {:?}",
                case.name,
                case.outcome,
                before.outcome
            );
        };
        let is_told = words.iter().any(|word| reason.contains(word));
        ensure!(is_told, "{} is skipped: {reason}", case.name);
    }
    ensure!(output.status == 0);
    Ok(())
}

/// With pages of 64 KiB, a stack of 256 KiB has 4 pages.
fn large_pages() -> Result<()> {
    let scripts = [UNDISTURBED, "with limit=3,262144 vm_anon_name check"];
    let outputs = shell::run_all(
        "6.12-64k",
        "system-inherited-large-pages",
        PREPARATION,
        scripts,
        DEADLINE,
    )?;
    match outputs.as_slice() {
        [before, output] => judge(output, before, Same),
        _ => anyhow::bail!("{} outputs", outputs.len()),
    }
}

/// No SHMEM, TMPFS, DEVTMPFS, SYSCTL, SYSFS, FUTEX, EPOLL, POSIX_TIMERS, FILE_LOCKING,
/// MULTIUSER, SECCOMP, MEMFD_CREATE: every case passes, or is skipped with its reason.
fn bare_kernel() -> Result<()> {
    let kernel = kernels::find("bare")?;
    let initramfs = rig::initramfs::Initramfs::with_program(rig::program::Build::Full)?;
    let mut machine = kernel.machine(&initramfs.write("system-bare")?)?;
    machine.name = "system-bare".to_owned();
    machine.args = vec!["check".to_owned()];
    let boot = machine.run(Duration::from_secs(120))?;
    boot.expect_power_off()?;
    let report = KtapReport::read(&boot.text())?;
    let failed: Vec<&str> = report.failed().map(|case| case.name.as_str()).collect();
    ensure!(failed.is_empty(), "{failed:?}");
    ensure!(boot.status() == Some(0), "{:?}", boot.status());
    ensure!(
        report.passed() > 100,
        "only {} cases passed",
        report.passed()
    );
    Ok(())
}
