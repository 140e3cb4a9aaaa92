//! A process with everything around it as a run wants it.
//!
//! # Safety
//!
//! Unsafe, because `clone` into a namespace, `seccomp` and `prlimit` by number have
//! no safe wrappers. The helper has one thread, so its child may do as it likes.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::str::FromStr;
use std::{io, process};

use anyhow::{Context, Result, bail};
use guest_agent::{Output, PROGRAM, Run, Stdin, Verdict};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::personality::{self, Persona};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, chdir, chroot, pipe2};
use syscalls::Sysno;

use crate::stage::ROOT;

/// A process that the helper has started.
pub(crate) struct Child {
    pub(crate) pid: Pid,
    /// It waits until something is written here.
    gate: Option<File>,
    /// What types for it.
    pub(crate) keyboard: Option<File>,
    pub(crate) stdout: Collector,
    pub(crate) stderr: Collector,
}

/// Collects what comes out of a pipe.
#[derive(Default)]
pub(crate) struct Collector {
    pipe: Option<File>,
    bytes: Vec<u8>,
    /// How many bytes are taken at a time.
    gulp: usize,
    /// Bytes that were in the pipe from the start.
    ballast: usize,
}

/// Starts the program. It waits at its gate until [`Child::go`]. If it is `traced`,
/// its tracer is told of each call.
pub(crate) fn launch(run: &Run, traced: bool) -> Result<Child> {
    let (gate_out, gate_in) = pipe2(OFlag::O_CLOEXEC)?;
    let (stdin, keyboard) = stdin(run.stdin)?;
    let (stdout, stdout_collector) = output(run.stdout)?;
    let (stderr, stderr_collector) = output(run.stderr)?;
    let flags = libc::CLONE_NEWNS | if run.is_init { libc::CLONE_NEWPID } else { 0 };
    let Some(pid) = fork(flags)? else {
        // Of what it inherits it keeps only what it is given.
        drop((gate_in, keyboard));
        let error = become_program(run, traced, gate_out, [stdin, stdout, stderr]);
        eprintln!("the program cannot be started: {:#}", error.unwrap_err());
        process::exit(120);
    };
    Ok(Child {
        pid,
        gate: Some(gate_in.into()),
        keyboard,
        stdout: stdout_collector,
        stderr: stderr_collector,
    })
}

/// Does `work` as the first process of a PID namespace.
pub(crate) fn in_pid_namespace(work: &dyn Fn() -> Result<()>) -> Result<()> {
    let Some(pid) = fork(libc::CLONE_NEWPID)? else {
        process::exit(i32::from(work().is_err()));
    };
    match waitpid(pid, None)? {
        nix::sys::wait::WaitStatus::Exited(_, 0) => Ok(()),
        status => bail!("in a PID namespace: {status:?}"),
    }
}

impl Child {
    /// Lets it become the program.
    pub(crate) fn go(&mut self) -> Result<()> {
        let mut gate = self.gate.take().context("it has gone already")?;
        Ok(gate.write_all(b"g")?)
    }

    /// Takes what it has written meanwhile.
    pub(crate) fn collect(&mut self) -> Result<()> {
        self.stdout.collect()?;
        self.stderr.collect()
    }
}

impl Collector {
    /// What has come, without the ballast.
    pub(crate) fn text(&self) -> String {
        let bytes = self.bytes.get(self.ballast..).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Takes a gulp, or what there is of it.
    fn collect(&mut self) -> Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        let mut buffer = vec![0; self.gulp];
        match pipe.read(&mut buffer) {
            Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Takes all that is left, when nobody writes any more.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.gulp = 1 << 20;
        self.collect()
    }
}

/// `fork`, into new namespaces. `None` in the child.
fn fork(flags: i32) -> Result<Option<Pid>> {
    let flags = flags | libc::SIGCHLD;
    // SAFETY: Without CLONE_VM the child has its own copy of everything, and there
    // is no other thread whose locks it could inherit.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match i32::try_from(pid)? {
        -1 => Err(io::Error::last_os_error()).context("clone"),
        0 => Ok(None),
        pid => Ok(Some(Pid::from_raw(pid))),
    }
}

/// What the program gets as standard input, and what types there.
fn stdin(kind: Stdin) -> Result<(Option<OwnedFd>, Option<File>)> {
    let (out, keyboard) = pipe2(OFlag::O_CLOEXEC)?;
    let mut keyboard = File::from(keyboard);
    Ok(match kind {
        Stdin::Enters => {
            keyboard.write_all(b"\n\n\n\n")?;
            (Some(out), None)
        }
        Stdin::Typed => (Some(out), Some(keyboard)),
        Stdin::TypedNonblocking => {
            fcntl(&out, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            (Some(out), Some(keyboard))
        }
        Stdin::TypedBothWays => {
            let mut both = File::options();
            both.read(true).write(true).custom_flags(libc::O_NONBLOCK);
            let both = both.open(format!("/proc/self/fd/{}", out.as_raw_fd()))?;
            (Some(both.into()), Some(keyboard))
        }
        Stdin::Directory => (Some(File::open("/")?.into()), None),
        Stdin::Closed => (None, None),
    })
}

/// What the program gets to write to, and what collects it.
fn output(kind: Output) -> Result<(Option<OwnedFd>, Collector)> {
    let (out, into) = pipe2(OFlag::O_CLOEXEC)?;
    let mut collector = Collector {
        gulp: 1 << 20,
        ..Collector::default()
    };
    match kind {
        Output::Pipe => {}
        Output::Slow | Output::SlowNonblocking => {
            // It keeps a few bytes free at most.
            let room = fcntl(&into, FcntlArg::F_SETPIPE_SZ(4096))?;
            collector.ballast = usize::try_from(room)?;
            collector.gulp = 100;
            File::from(into.try_clone()?).write_all(&vec![b'.'; collector.ballast])?;
        }
        Output::Broken => return Ok((Some(into), Collector::default())),
        Output::Full => {
            let full = File::options()
                .write(true)
                .open(format!("{ROOT}/dev/full"))?;
            return Ok((Some(full.into()), Collector::default()));
        }
        Output::Closed => return Ok((None, Collector::default())),
    }
    if kind == Output::SlowNonblocking {
        fcntl(&into, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    fcntl(&out, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    collector.pipe = Some(out.into());
    Ok((Some(into), collector))
}

/// In the child: takes on what the run wants, and returns only on failure.
fn become_program(
    run: &Run,
    traced: bool,
    gate: OwnedFd,
    standard: [Option<OwnedFd>; 3],
) -> Result<()> {
    File::from(gate).read_exact(&mut [0])?;
    chroot(ROOT)?;
    chdir("/")?;
    if !run.randomised {
        personality::set(Persona::ADDR_NO_RANDOMIZE)?;
    }
    let path = CString::new(PROGRAM)?;
    let words = words(run)?;
    let pointers: Vec<_> = words
        .iter()
        .map(|word| word.as_ptr())
        .chain([std::ptr::null()])
        .collect();
    set_standard(standard)?;
    for (limit, value) in &run.limits {
        set_limit(*limit, *value)?;
    }
    if let Some((call, verdict)) = &run.filter {
        set_filter(Some(self::call(call)?), answer(*verdict))?;
    }
    if traced {
        set_filter(None, libc::SECCOMP_RET_TRACE)?;
    }
    // SAFETY: The path and the words end in NUL, the list of them in NULL.
    unsafe {
        libc::execve(
            path.as_ptr(),
            pointers.as_ptr(),
            [std::ptr::null()].as_ptr(),
        )
    };
    Err(io::Error::last_os_error()).context("execve")
}

/// The system call of that name.
fn call(name: &str) -> Result<Sysno> {
    match Sysno::from_str(name) {
        Ok(call) => Ok(call),
        Err(()) => bail!("no system call is called {name}"),
    }
}

/// What a seccomp filter answers.
fn answer(verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Errno(errno) => libc::SECCOMP_RET_ERRNO | errno as u32,
        Verdict::Kill => libc::SECCOMP_RET_KILL_PROCESS,
        Verdict::Never => libc::SECCOMP_RET_USER_NOTIF,
    }
}

fn words(run: &Run) -> Result<Vec<CString>> {
    if run.no_words {
        return Ok(Vec::new());
    }
    let words = std::iter::once(PROGRAM).chain(run.args.iter().map(String::as_str));
    words.map(|word| Ok(CString::new(word)?)).collect()
}

/// Makes descriptors 0, 1 and 2 what they are to be, or closes them.
fn set_standard(standard: [Option<OwnedFd>; 3]) -> Result<()> {
    // Out of the way first, so that none is overwritten before its turn.
    let mut moved: [Option<RawFd>; 3] = [None; 3];
    for (place, file) in moved.iter_mut().zip(standard) {
        if let Some(file) = file {
            *place = Some(fcntl(&file, FcntlArg::F_DUPFD_CLOEXEC(100))?);
        }
    }
    for (number, file) in (0..).zip(moved) {
        // SAFETY: Nobody in this process uses 0, 1 and 2 from here on, but for the
        // complaint of a failure.
        let result = match file {
            Some(file) => unsafe { libc::dup2(file, number) },
            None => unsafe { libc::close(number) },
        };
        if result < 0 {
            return Err(io::Error::last_os_error()).context("standard descriptors");
        }
    }
    Ok(())
}

/// A seccomp filter gives this `call` the `errno` from now on.
pub(crate) fn refuse(call: &str, errno: i32) -> Result<()> {
    set_filter(Some(self::call(call)?), answer(Verdict::Errno(errno)))
}

pub(crate) fn set_limit(limit: u32, value: u64) -> Result<()> {
    let limits = libc::rlimit64 {
        rlim_cur: value,
        rlim_max: value,
    };
    // SAFETY: The kernel reads `limits`.
    match unsafe { libc::setrlimit64(limit, &raw const limits) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()).context("setrlimit"),
    }
}

/// From now on a seccomp filter answers this `call`, or every call.
fn set_filter(call: Option<Sysno>, answer: u32) -> Result<()> {
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let is_equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let give = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut steps = Vec::new();
    if let Some(call) = call {
        // The call's number is first in `struct seccomp_data`.
        steps.push(step(load, 0, 0, 0));
        steps.push(step(is_equal, 1, 0, call.id() as u32));
        steps.push(step(give, 0, 0, libc::SECCOMP_RET_ALLOW));
    }
    steps.push(step(give, 0, 0, answer));
    let program = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    let flags = match answer {
        libc::SECCOMP_RET_USER_NOTIF => libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
        _ => 0,
    };
    // SAFETY: The kernel reads `program` and the steps it points to.
    let listener = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) };
    if listener < 0 {
        return Err(io::Error::last_os_error()).context("seccomp");
    }
    if flags != 0 {
        // Who is asked is the program itself, which knows nothing of it. Were the
        // descriptor closed, the call would fail.
        // SAFETY: It was opened just now.
        let listener = unsafe { BorrowedFd::borrow_raw(listener.try_into()?) };
        fcntl(listener, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    Ok(())
}
