//! A tracer that makes one system call of a process fail, with ptrace.
//!
//! A seccomp filter stops the process and its children before each call. To make a call
//! fail, the tracer replaces its number by -1 and its return value by the errno, so the call
//! is not made. `close` is the exception: the kernel closes the descriptor even when it
//! returns an error, so the call is made and only its return value is replaced. A short read
//! or write is made with a smaller length.
//!
//! The order of calls within a process must be the same in each run. So a child of `fork` is
//! held until its parent waits for it or exits, and the parent of a `vfork` is held until the
//! child has ended.
//!
//! strace can inject errors too (`--inject`), but not short counts, and it cannot fix this
//! order.
//!
//! # Safety
//!
//! Unsafe, because nix has no wrapper for the ptrace request that sets the system call number
//! on arm64, and because installing a signal handler is unsafe.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, HashMap};
use std::os::raw::c_void;

use anyhow::{Context, Result, bail};
use guest_agent::{Call, End, Fault};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, alarm};
use syscalls::Sysno;

use crate::launch::Child;
use crate::supervise::end_of;

/// Time limit for a run, in seconds of guest time. It is longer than the program itself waits
/// for a child. The guest's clock jumps ahead while all processes wait, so a hang ends at once.
const TIMEOUT: u32 = 1000;

/// The largest number of calls in a run. A run without faults makes a few hundred.
const MAX_CALLS: usize = 50_000;

/// The record of a traced run.
pub(crate) struct Trace {
    pub(crate) end: End,
    /// The calls that the program and its children made, in order.
    pub(crate) calls: Vec<Call>,
    /// Whether the fault was injected.
    pub(crate) injected: bool,
}

/// Runs `child` to its end, and injects the fault into the call that `fault` names.
pub(crate) fn trace(child: &mut Child, fault: Option<&(Call, Fault)>) -> Result<Trace> {
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACESECCOMP
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(child.pid, options).context("seize")?;
    let mut tracer = Tracer {
        program: child.pid,
        processes: HashMap::from([(child.pid, Process::default())]),
        children: 0,
        fault,
        trace: Trace {
            end: End::TimedOut,
            calls: Vec::new(),
            injected: false,
        },
    };
    child.execute()?;
    let timer = Timer::start()?;
    let result = tracer.run();
    drop(timer);
    tracer.kill_all();
    child.collect_rest()?;
    result.map(|()| tracer.trace)
}

/// A traced process.
#[derive(Default)]
struct Process {
    /// See [`Call::process`].
    number: u32,
    /// Whether it executes the program instead of the agent.
    is_program: bool,
    /// Whether it must not run until its parent waits.
    is_held: bool,
    /// Whether it has made its first stop, and can be resumed.
    has_stopped: bool,
    /// The vfork child that uses its memory.
    vfork_child: Option<VforkChild>,
    /// The number of calls made so far, by system call number.
    counts: BTreeMap<i32, u32>,
    /// The return value to report for the `close` in progress.
    close_result: Option<i64>,
}

struct VforkChild {
    pid: Pid,
    /// Whether the parent is stopped before its next call, because the child has executed
    /// another program but has not ended.
    stops_parent: bool,
}

struct Tracer<'a> {
    program: Pid,
    processes: HashMap<Pid, Process>,
    /// The number of children created so far.
    children: u32,
    fault: Option<&'a (Call, Fault)>,
    trace: Trace,
}

impl Tracer<'_> {
    fn run(&mut self) -> Result<()> {
        while !self.processes.is_empty() {
            let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Ok(status) => status,
                // The time is over, or no child is left.
                Err(Errno::EINTR | Errno::ECHILD) => return Ok(()),
                Err(errno) => return Err(errno).context("waitpid"),
            };
            if let Some((pid, end)) = end_of(&status) {
                if pid == self.program && self.trace.end != End::Sleeps {
                    self.trace.end = end;
                }
                self.processes.remove(&pid);
                self.release_children()?;
                self.release_vfork_parent(pid)?;
            } else if !self.handle_stop(status)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Returns whether the trace continues.
    fn handle_stop(&mut self, status: WaitStatus) -> Result<bool> {
        match status {
            WaitStatus::PtraceSyscall(pid) => self.after_close(pid)?,
            WaitStatus::PtraceEvent(pid, _, libc::PTRACE_EVENT_SECCOMP) => {
                return self.before_call(pid);
            }
            WaitStatus::PtraceEvent(pid, _, event) => self.handle_event(pid, event)?,
            WaitStatus::Stopped(pid, signal) => resume(pid, Some(signal))?,
            _ => {}
        }
        Ok(true)
    }

    fn handle_event(&mut self, pid: Pid, event: i32) -> Result<()> {
        match event {
            libc::PTRACE_EVENT_EXEC => {
                self.processes.entry(pid).or_default().is_program = true;
            }
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                let is_vfork = event == libc::PTRACE_EVENT_VFORK;
                let child_pid = Pid::from_raw(i32::try_from(ptrace::getevent(pid)?)?);
                self.children += 1;
                let child = self.processes.entry(child_pid).or_default();
                child.number = self.children;
                child.is_program = true;
                // The kernel itself lets the parent of a vfork wait.
                child.is_held = !is_vfork;
                if child.has_stopped && !child.is_held {
                    resume(child_pid, None)?;
                }
                if is_vfork {
                    self.processes.entry(pid).or_default().vfork_child = Some(VforkChild {
                        pid: child_pid,
                        stops_parent: false,
                    });
                }
            }
            // The first stop of a child may come before or after the event of its parent.
            libc::PTRACE_EVENT_STOP => {
                let is_known = self.processes.contains_key(&pid);
                let process = self.processes.entry(pid).or_default();
                process.has_stopped = true;
                if process.is_held || !is_known {
                    return Ok(());
                }
            }
            _ => {}
        }
        resume(pid, None)
    }

    /// Records the call that the process is about to make, and injects the fault if it is
    /// for this call. Returns whether the trace continues.
    fn before_call(&mut self, pid: Pid) -> Result<bool> {
        let process = self.process(pid)?;
        if !process.is_program {
            resume(pid, None)?;
            return Ok(true);
        }
        if let Some(child) = &mut process.vfork_child {
            child.stops_parent = true;
            return Ok(true);
        }
        let registers = ptrace::getregs(pid)?;
        let (number, arguments) = (registers.regs[8] as usize, &registers.regs[..6]);
        let sysno = Sysno::new(number).context("not the number of a system call")?;
        // No file descriptors and no timeout: this never returns.
        if sysno == Sysno::ppoll && arguments[1] == 0 && arguments[2] == 0 {
            self.trace.end = End::Sleeps;
            return Ok(false);
        }
        let count = process.counts.entry(sysno.id()).or_default();
        let call = Call {
            process: process.number,
            name: sysno.name().to_owned(),
            index: *count,
            argument: arguments[0],
        };
        *count += 1;
        if waits_for_child(sysno) {
            self.release_children()?;
        }
        let fault = self.fault;
        let fault = fault.filter(|(at, fault)| applies(at, *fault, &call));
        self.trace.calls.push(call);
        match fault {
            Some((_, fault)) => {
                self.trace.injected = true;
                self.inject(pid, sysno, *fault, registers)?;
            }
            None => resume(pid, None)?,
        }
        Ok(self.trace.calls.len() < MAX_CALLS)
    }

    fn process(&mut self, pid: Pid) -> Result<&mut Process> {
        self.processes.get_mut(&pid).context("unknown process")
    }

    /// Replaces the return value of a `close`, at the second of the two stops around it.
    fn after_close(&mut self, pid: Pid) -> Result<()> {
        let process = self.process(pid)?;
        let is_after = ptrace::syscall_info(pid)?.op == libc::PTRACE_SYSCALL_INFO_EXIT;
        if is_after && let Some(result) = process.close_result.take() {
            let mut registers = ptrace::getregs(pid)?;
            registers.regs[0] = result as u64;
            ptrace::setregs(pid, registers)?;
            return resume(pid, None);
        }
        Ok(ptrace::syscall(pid, None)?)
    }

    fn inject(
        &mut self,
        pid: Pid,
        call: Sysno,
        fault: Fault,
        mut registers: libc::user_regs_struct,
    ) -> Result<()> {
        let result = match fault {
            Fault::Errno(errno) | Fault::ErrnoForever(errno) => -i64::from(errno),
            Fault::Short(0) | Fault::ShortForever(0) => 0,
            Fault::Short(length) | Fault::ShortForever(length) => {
                registers.regs[2] = registers.regs[2].min(length);
                ptrace::setregs(pid, registers)?;
                return resume(pid, None);
            }
        };
        if call == Sysno::clone {
            // The child that is not created keeps its number.
            self.children += 1;
        }
        if call == Sysno::close {
            self.process(pid)?.close_result = Some(result);
            return Ok(ptrace::syscall(pid, None)?);
        }
        set_call(pid, -1)?;
        registers.regs[0] = result as u64;
        ptrace::setregs(pid, registers)?;
        resume(pid, None)
    }

    /// Resumes all children that are held until their parent waits.
    fn release_children(&mut self) -> Result<()> {
        for (pid, process) in &mut self.processes {
            let was_held = std::mem::take(&mut process.is_held);
            if was_held && process.has_stopped {
                resume(*pid, None)?;
            }
        }
        Ok(())
    }

    /// Resumes the parent that waits before its next call for this vfork child.
    fn release_vfork_parent(&mut self, ended: Pid) -> Result<()> {
        let parent = self.processes.iter_mut().find_map(|(pid, process)| {
            let child = process.vfork_child.take_if(|child| child.pid == ended)?;
            child.stops_parent.then_some(*pid)
        });
        match parent {
            Some(pid) => self.before_call(pid).map(drop),
            None => Ok(()),
        }
    }

    fn kill_all(&mut self) {
        for pid in self.processes.keys() {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        while !self.processes.is_empty() {
            match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Ok(status) => {
                    if let Some((pid, _)) = end_of(&status) {
                        self.processes.remove(&pid);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }
}

/// Whether the fault of the call `at` is for `call` too.
fn applies(at: &Call, fault: Fault, call: &Call) -> bool {
    if (at.process, &at.name) != (call.process, &call.name) {
        return false;
    }
    let is_forever = matches!(fault, Fault::ErrnoForever(_) | Fault::ShortForever(_));
    // A file that cannot be read or written does not affect other files.
    let is_same_file = at.argument == call.argument || !matches!(&*at.name, "read" | "write");
    call.index == at.index || (call.index > at.index && is_forever && is_same_file)
}

/// Whether this call waits for a child, or ends the process.
fn waits_for_child(call: Sysno) -> bool {
    matches!(call, Sysno::exit_group | Sysno::ppoll | Sysno::wait4)
}

fn resume(pid: Pid, signal: Option<Signal>) -> Result<()> {
    match ptrace::cont(pid, signal) {
        // The process was killed in the meantime. `waitpid` will report its end.
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno).context("resume"),
    }
}

/// Replaces the number of the system call before which `pid` is stopped.
fn set_call(pid: Pid, mut number: i32) -> Result<()> {
    const NT_ARM_SYSTEM_CALL: usize = 0x404;
    let mut value = libc::iovec {
        iov_base: (&raw mut number).cast::<c_void>(),
        iov_len: size_of::<i32>(),
    };
    let request = libc::PTRACE_SETREGSET;
    // SAFETY: The kernel reads `value`, and `number` through it.
    let result = unsafe { libc::ptrace(request, pid.as_raw(), NT_ARM_SYSTEM_CALL, &raw mut value) };
    match result {
        0 => Ok(()),
        _ => bail!("cannot replace a system call: {}", Errno::last()),
    }
}

/// An alarm that interrupts `waitpid` when the time for a run is over.
struct Timer;

impl Timer {
    fn start() -> Result<Self> {
        extern "C" fn ignore(_: i32) {}
        let action = SigAction::new(
            SigHandler::Handler(ignore),
            SaFlags::empty(),
            SigSet::empty(),
        );
        // SAFETY: The handler does nothing.
        unsafe { sigaction(Signal::SIGALRM, &action) }?;
        alarm::set(TIMEOUT);
        Ok(Timer)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        alarm::cancel();
    }
}
