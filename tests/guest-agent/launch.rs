//! A process started under the conditions of a run.
//!
//! # Safety
//!
//! Unsafe, because `clone` into a namespace, `execve` without arguments, `setrlimit` by number
//! and `seccomp` have no safe wrappers. The agent has one thread, so the child of a `clone`
//! inherits no lock of another thread.
#![allow(unsafe_code)]

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::str::FromStr;
use std::{io, iter, process, ptr};

use anyhow::{Context, Result, anyhow, bail};
use guest_agent::{FilterAction, Output, PROGRAM, Run, SAVED_SMAPS, Stdin};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::personality::{self, Persona};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, chdir, chroot, pipe2};
use syscalls::Sysno;

use crate::sandbox::{self, ROOT};

/// The exit status of a child that could not execute the program.
const CANNOT_EXECUTE: i32 = 120;

/// The number of bytes to read from a pipe in one read: all that it can hold.
const PIPE_SIZE: usize = 1 << 20;

/// A child process that is, or will be, the program.
pub(crate) struct Child {
    pub(crate) pid: Pid,
    /// The write end of the pipe on which the child waits before it executes the program.
    gate: Option<File>,
    /// The write end of standard input, if the agent writes there at each pause.
    pub(crate) keyboard: Option<File>,
    pub(crate) stdout: Collector,
    pub(crate) stderr: Collector,
}

/// The bytes that came out of a pipe.
#[derive(Default)]
pub(crate) struct Collector {
    pipe: Option<File>,
    bytes: Vec<u8>,
    /// The number of bytes to read in one read.
    chunk: usize,
    /// The number of bytes that the agent itself wrote into the pipe to fill it.
    padding: usize,
}

/// Forks a child that executes the program when [`Child::execute`] is called. If `traced`, each
/// system call of the child stops it for a tracer.
pub(crate) fn launch(run: &Run, traced: bool) -> Result<Child> {
    let (gate_out, gate_in) = pipe2(OFlag::O_CLOEXEC)?;
    let (stdin, keyboard) = stdin(run.stdin)?;
    let (stdout, stdout_collector) = output(run.stdout)?;
    let (stderr, stderr_collector) = output(run.stderr)?;
    let flags = libc::CLONE_NEWNS | if run.is_pid1 { libc::CLONE_NEWPID } else { 0 };
    let Some(pid) = fork(flags)? else {
        // The write ends must be open in the agent alone, or readers would see no end of file.
        drop((gate_in, keyboard));
        let Err(error) = execute_program(run, traced, gate_out, [stdin, stdout, stderr]);
        eprintln!("the program cannot be started: {error:#}");
        process::exit(CANNOT_EXECUTE);
    };
    Ok(Child {
        pid,
        gate: Some(gate_in.into()),
        keyboard,
        stdout: stdout_collector,
        stderr: stderr_collector,
    })
}

/// Calls `work` in a new process that is PID 1 of a new PID namespace.
pub(crate) fn in_pid_namespace(work: &dyn Fn() -> Result<()>) -> Result<()> {
    in_process(libc::CLONE_NEWPID, work)
}

/// Calls `work` in a new process, in the PID namespace of the agent's children.
pub(crate) fn in_child(work: &dyn Fn() -> Result<()>) -> Result<()> {
    in_process(0, work)
}

fn in_process(flags: i32, work: &dyn Fn() -> Result<()>) -> Result<()> {
    let Some(pid) = fork(flags)? else {
        process::exit(i32::from(work().is_err()));
    };
    match waitpid(pid, None)? {
        WaitStatus::Exited(_, 0) => Ok(()),
        status => bail!("in another process: {status:?}"),
    }
}

impl Child {
    /// Lets the child execute the program.
    pub(crate) fn execute(&mut self) -> Result<()> {
        let mut gate = self.gate.take().context("the program is running")?;
        Ok(gate.write_all(b"x")?)
    }

    /// Reads a chunk of what the program has written, without waiting.
    pub(crate) fn collect(&mut self) -> Result<()> {
        self.stdout.collect()?;
        self.stderr.collect()
    }

    /// Reads the rest, after the program has ended.
    pub(crate) fn collect_rest(&mut self) -> Result<()> {
        self.stdout.chunk = PIPE_SIZE;
        self.stderr.chunk = PIPE_SIZE;
        self.collect()
    }
}

impl Collector {
    /// The text that the program has written.
    pub(crate) fn text(&self) -> String {
        let bytes = self.bytes.get(self.padding..).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn collect(&mut self) -> Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        let mut buffer = vec![0; self.chunk];
        match pipe.read(&mut buffer) {
            Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// `fork` with clone flags. Returns `None` in the child.
fn fork(flags: i32) -> Result<Option<Pid>> {
    let flags = flags | libc::SIGCHLD;
    // SAFETY: Without CLONE_VM the child has its own copy of all memory. The agent has no
    // other thread whose locks it could inherit.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match i32::try_from(pid)? {
        -1 => Err(io::Error::last_os_error()).context("clone"),
        0 => Ok(None),
        pid => Ok(Some(Pid::from_raw(pid))),
    }
}

/// Standard input for the program, and the agent's end of it.
fn stdin(kind: Stdin) -> Result<(Option<OwnedFd>, Option<File>)> {
    let (out, keyboard) = pipe2(OFlag::O_CLOEXEC)?;
    let mut keyboard = File::from(keyboard);
    Ok(match kind {
        Stdin::FourNewlines => {
            keyboard.write_all(b"\n\n\n\n")?;
            (Some(out), None)
        }
        Stdin::Smaps => {
            keyboard.write_all(SAVED_SMAPS.as_bytes())?;
            (Some(out), None)
        }
        Stdin::Typed => (Some(out), Some(keyboard)),
        Stdin::TypedNonblocking => {
            fcntl(&out, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            (Some(out), Some(keyboard))
        }
        Stdin::TypedReadWrite => {
            let mut both = File::options();
            both.read(true).write(true).custom_flags(libc::O_NONBLOCK);
            let both = both.open(format!("/proc/self/fd/{}", out.as_raw_fd()))?;
            (Some(both.into()), Some(keyboard))
        }
        Stdin::Directory => (Some(File::open("/")?.into()), None),
        Stdin::Closed => (None, None),
    })
}

/// Standard output or standard error for the program, and the agent's end of it.
fn output(kind: Output) -> Result<(Option<OwnedFd>, Collector)> {
    let (out, into) = pipe2(OFlag::O_CLOEXEC)?;
    let mut collector = Collector {
        chunk: PIPE_SIZE,
        ..Collector::default()
    };
    match kind {
        Output::Pipe => {}
        Output::SlowPipe | Output::SlowPipeNonblocking => {
            // The pipe starts full, and each poll of the supervisor frees a few bytes.
            let size = fcntl(&into, FcntlArg::F_SETPIPE_SZ(4096))?;
            collector.padding = usize::try_from(size)?;
            collector.chunk = 100;
            File::from(into.try_clone()?).write_all(&vec![b'.'; collector.padding])?;
        }
        Output::ClosedPipe => return Ok((Some(into), Collector::default())),
        Output::DevFull => {
            let full = File::options()
                .write(true)
                .open(format!("{ROOT}/dev/full"))?;
            return Ok((Some(full.into()), Collector::default()));
        }
        Output::Closed => return Ok((None, Collector::default())),
    }
    if kind == Output::SlowPipeNonblocking {
        fcntl(&into, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    fcntl(&out, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    collector.pipe = Some(out.into());
    Ok((Some(into), collector))
}

/// In the child: sets up the conditions of the run and executes the program.
fn execute_program(
    run: &Run,
    traced: bool,
    gate: OwnedFd,
    standard: [Option<OwnedFd>; 3],
) -> Result<Infallible> {
    File::from(gate).read_exact(&mut [0])?;
    chroot(ROOT)?;
    chdir("/")?;
    if run.is_pid1 {
        sandbox::pretend_first_namespace()?;
    }
    if !run.randomise {
        personality::set(Persona::ADDR_NO_RANDOMIZE)?;
    }
    // Allocated before the limits and the filter, which may forbid it.
    let path = CString::new(PROGRAM)?;
    let args = args(run)?;
    let argv = args.iter().map(|arg| arg.as_ptr()).chain([ptr::null()]);
    let argv: Vec<_> = argv.collect();
    let envp = [ptr::null()];
    set_standard(standard)?;
    for (resource, limit) in &run.limits {
        set_limit(*resource, *limit)?;
    }
    if let Some((call, action)) = &run.filter {
        set_filter(Some(number(call)?), filter_return(*action))?;
    }
    if traced {
        set_filter(None, libc::SECCOMP_RET_TRACE)?;
    }
    // SAFETY: The path and the arguments end with NUL, both lists with NULL.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    Err(io::Error::last_os_error()).context("execve")
}

/// `argv` of the program.
fn args(run: &Run) -> Result<Vec<CString>> {
    if run.empty_argv {
        return Ok(Vec::new());
    }
    let args = iter::once(PROGRAM).chain(run.args.iter().map(String::as_str));
    args.map(|arg| Ok(CString::new(arg)?)).collect()
}

/// The number of the system call with this name.
pub(crate) fn number(call: &str) -> Result<Sysno> {
    Sysno::from_str(call).map_err(|()| anyhow!("unknown system call {call}"))
}

/// Installs the files as descriptors 0, 1 and 2. Closes a descriptor for which there is no
/// file.
fn set_standard(standard: [Option<OwnedFd>; 3]) -> Result<()> {
    // They may have the numbers 0, 1 and 2 themselves, so first move them out of the way.
    let mut moved: [Option<RawFd>; 3] = [None; 3];
    for (place, file) in moved.iter_mut().zip(standard) {
        if let Some(file) = file {
            *place = Some(fcntl(&file, FcntlArg::F_DUPFD_CLOEXEC(100))?);
        }
    }
    for (number, file) in (0..).zip(moved) {
        // SAFETY: From here on this process uses 0, 1 and 2 only to report an error.
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

/// Sets the soft and the hard limit of a resource, given by its number in the kernel.
pub(crate) fn set_limit(resource: u32, limit: u64) -> Result<()> {
    let limits = libc::rlimit64 {
        rlim_cur: limit,
        rlim_max: limit,
    };
    // SAFETY: The kernel reads `limits`.
    match unsafe { libc::setrlimit64(resource, &raw const limits) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()).context("setrlimit"),
    }
}

/// The return value of a seccomp filter for an action.
pub(crate) fn filter_return(action: FilterAction) -> u32 {
    match action {
        FilterAction::Errno(errno) => libc::SECCOMP_RET_ERRNO | errno as u32,
        FilterAction::Kill => libc::SECCOMP_RET_KILL_PROCESS,
        FilterAction::NoReply => libc::SECCOMP_RET_USER_NOTIF,
    }
}

/// Installs a seccomp filter that returns `value` for `call`, or for every call.
pub(crate) fn set_filter(call: Option<Sysno>, value: u32) -> Result<()> {
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let jump_if_equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let ret = (libc::BPF_RET | libc::BPF_K) as u16;
    let instruction = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut filter = Vec::new();
    if let Some(call) = call {
        // The number of the call is the first field of `struct seccomp_data`.
        filter.push(instruction(load, 0, 0, 0));
        filter.push(instruction(jump_if_equal, 1, 0, call.id() as u32));
        filter.push(instruction(ret, 0, 0, libc::SECCOMP_RET_ALLOW));
    }
    filter.push(instruction(ret, 0, 0, value));
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    let flags = match value {
        libc::SECCOMP_RET_USER_NOTIF => libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
        _ => 0,
    };
    // SAFETY: The kernel reads `program` and the instructions that it points to.
    let listener = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) };
    if listener < 0 {
        return Err(io::Error::last_os_error()).context("seccomp");
    }
    if flags != 0 {
        // The program itself keeps the listener open, and never answers. If it were closed,
        // the call would fail instead of waiting.
        // SAFETY: `seccomp` has just opened this descriptor.
        let listener = unsafe { BorrowedFd::borrow_raw(listener.try_into()?) };
        fcntl(listener, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    Ok(())
}
