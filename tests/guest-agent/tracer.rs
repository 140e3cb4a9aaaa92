//! Lets one call of a process fail, with ptrace.
//!
//! A seccomp filter stops the process and its children before each call. A call that
//! is to fail is not made: its number becomes -1, its result the errno. `close` alone
//! is made nevertheless, for it closes even when it fails. A call that is to read or
//! write less is made with that length.
//!
//! Children that `fork` makes are held until their parent waits, and a parent that has
//! lent its memory until its child has ended, so that the order of calls in each
//! process is the same every time.
//!
//! # Safety
//!
//! Unsafe, because the number of a call can be changed by plain `ptrace` only.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, HashMap};
use std::os::raw::c_void;

use anyhow::{Context, Result, bail};
use guest_agent::{End, Fault, Place};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, alarm};
use syscalls::Sysno;

use crate::launch::Child;
use crate::watch::end_of;

/// How long all processes of a run may go on, in seconds: longer than the program
/// waits for some children that do not end. In the guest waiting takes no time.
const PATIENCE: u32 = 1000;

/// How many calls they may make. An untroubled run makes some hundred.
const MOST_CALLS: usize = 50_000;

/// What came of a traced run.
pub(crate) struct Traced {
    pub(crate) end: End,
    /// The calls that were made, those of the helper before `execve` left out.
    pub(crate) calls: Vec<Place>,
    /// Whether the fault was met.
    pub(crate) hit: bool,
}

/// Runs `child` to its end, with `fault` at its place.
pub(crate) fn trace(child: &mut Child, fault: Option<&(Place, Fault)>) -> Result<Traced> {
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACESECCOMP
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(child.pid, options).context("seize")?;
    let mut tracer = Tracer {
        main: child.pid,
        processes: HashMap::new(),
        born: 0,
        fault,
        traced: Traced {
            end: End::Hung,
            calls: Vec::new(),
            hit: false,
        },
    };
    tracer.processes.insert(child.pid, Process::default());
    child.go()?;
    let timer = Timer::start()?;
    let result = tracer.run();
    drop(timer);
    tracer.kill_rest();
    child.stdout.finish()?;
    child.stderr.finish()?;
    result.map(|()| tracer.traced)
}

/// A process under trace.
#[derive(Default)]
struct Process {
    number: u32,
    /// It is the program, no longer the helper.
    runs: bool,
    /// It must wait until its parent does.
    held: bool,
    /// It has made its first stop.
    stopped: bool,
    /// The child that has its memory, and whether it waits before a call for that.
    lent: Option<(Pid, bool)>,
    /// How often it made each call.
    counts: BTreeMap<i32, u32>,
    /// What the `close` it is in shall give.
    result: Option<i64>,
}

struct Tracer<'a> {
    main: Pid,
    processes: HashMap<Pid, Process>,
    born: u32,
    fault: Option<&'a (Place, Fault)>,
    traced: Traced,
}

impl Tracer<'_> {
    fn run(&mut self) -> Result<()> {
        while !self.processes.is_empty() {
            let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Ok(status) => status,
                Err(Errno::EINTR | Errno::ECHILD) => return Ok(()), // The time is up.
                Err(errno) => return Err(errno).context("waitpid"),
            };
            if let Some((pid, end)) = end_of(&status) {
                if pid == self.main && self.traced.end != End::Sleeps {
                    self.traced.end = end;
                }
                self.processes.remove(&pid);
                self.release_all()?;
                self.return_memory(pid)?;
            } else if !self.handle(status)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Handles a stop. Tells whether to go on.
    fn handle(&mut self, status: WaitStatus) -> Result<bool> {
        match status {
            WaitStatus::PtraceSyscall(pid) => self.behind_call(pid)?,
            WaitStatus::PtraceEvent(pid, _, libc::PTRACE_EVENT_SECCOMP) => {
                return self.before_call(pid);
            }
            WaitStatus::PtraceEvent(pid, _, event) => self.at_event(pid, event)?,
            WaitStatus::Stopped(pid, signal) => resume(pid, Some(signal))?,
            _ => {}
        }
        Ok(true)
    }

    fn at_event(&mut self, pid: Pid, event: i32) -> Result<()> {
        match event {
            libc::PTRACE_EVENT_EXEC => {
                self.processes.entry(pid).or_default().runs = true;
            }
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                let child = Pid::from_raw(i32::try_from(ptrace::getevent(pid)?)?);
                self.born += 1;
                let process = self.processes.entry(child).or_default();
                process.number = self.born;
                process.runs = true;
                // The parent of a vfork waits already.
                process.held = event != libc::PTRACE_EVENT_VFORK;
                if process.stopped && !process.held {
                    resume(child, None)?;
                }
                if event == libc::PTRACE_EVENT_VFORK {
                    self.processes.entry(pid).or_default().lent = Some((child, false));
                }
            }
            libc::PTRACE_EVENT_STOP => {
                let known = self.processes.contains_key(&pid);
                let process = self.processes.entry(pid).or_default();
                process.stopped = true;
                if process.held || !known {
                    return Ok(());
                }
            }
            _ => {}
        }
        resume(pid, None)
    }

    /// Tells whether to go on.
    fn before_call(&mut self, pid: Pid) -> Result<bool> {
        let process = self
            .processes
            .get_mut(&pid)
            .context("a process unheard of")?;
        if !process.runs {
            resume(pid, None)?;
            return Ok(true);
        }
        if let Some((_, waits)) = &mut process.lent {
            *waits = true;
            return Ok(true);
        }
        let registers = ptrace::getregs(pid)?;
        let (number, arguments) = (registers.regs[8] as usize, &registers.regs[..6]);
        let call = Sysno::new(number).context("no call has this number")?;
        if call == Sysno::ppoll && arguments[1] == 0 && arguments[2] == 0 {
            self.traced.end = End::Sleeps;
            return Ok(false);
        }
        let before = process.counts.entry(call.id()).or_default();
        let place = Place {
            process: process.number,
            call: call.name().to_owned(),
            before: *before,
            argument: arguments[0],
        };
        *before += 1;
        if is_wait(call) {
            self.release_all()?;
        }
        let fault = self
            .fault
            .and_then(|(at, fault)| applies(at, *fault, &place));
        self.traced.calls.push(place);
        match fault {
            Some(fault) => {
                self.traced.hit = true;
                self.inject(pid, call, fault, registers)?;
            }
            None => resume(pid, None)?,
        }
        Ok(self.traced.calls.len() < MOST_CALLS)
    }

    fn behind_call(&mut self, pid: Pid) -> Result<()> {
        let process = self
            .processes
            .get_mut(&pid)
            .context("a process unheard of")?;
        // There is a stop before the call, too.
        let is_behind = ptrace::syscall_info(pid)?.op == libc::PTRACE_SYSCALL_INFO_EXIT;
        if is_behind && let Some(result) = process.result.take() {
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
            Fault::Errno(errno) | Fault::Forever(errno) => -i64::from(errno),
            Fault::Count(0) | Fault::CountForever(0) => 0,
            Fault::Count(count) | Fault::CountForever(count) => {
                registers.regs[2] = registers.regs[2].min(count);
                ptrace::setregs(pid, registers)?;
                return resume(pid, None);
            }
        };
        if call == Sysno::clone {
            // The number of the child that is not made is nobody else's.
            self.born += 1;
        }
        if call == Sysno::close {
            self.processes.entry(pid).or_default().result = Some(result);
            return Ok(ptrace::syscall(pid, None)?);
        }
        set_call(pid, -1)?;
        registers.regs[0] = result as u64;
        ptrace::setregs(pid, registers)?;
        resume(pid, None)
    }

    fn release_all(&mut self) -> Result<()> {
        for (pid, process) in &mut self.processes {
            let was_held = std::mem::take(&mut process.held);
            if was_held && process.stopped {
                resume(*pid, None)?;
            }
        }
        Ok(())
    }

    /// Lets whoever has lent its memory to `child` go on.
    fn return_memory(&mut self, child: Pid) -> Result<()> {
        let mut lenders = self.processes.iter_mut();
        let lender = lenders.find_map(|(pid, process)| {
            let (_, waits) = process.lent.take_if(|(borrower, _)| *borrower == child)?;
            waits.then_some(*pid)
        });
        match lender {
            Some(pid) => self.before_call(pid).map(drop),
            None => Ok(()),
        }
    }

    fn kill_rest(&mut self) {
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

/// The fault, if it is to happen at `place`.
fn applies(at: &Place, fault: Fault, place: &Place) -> Option<Fault> {
    if (at.process, &at.call) != (place.process, &place.call) || place.before < at.before {
        return None;
    }
    // What is wrong with one file is wrong with that file only.
    let is_same = at.argument == place.argument || !matches!(&*at.call, "read" | "write");
    match fault {
        _ if place.before == at.before => Some(fault),
        Fault::Forever(_) | Fault::CountForever(_) if is_same => Some(fault),
        _ => None,
    }
}

/// Whether a parent waits in this call for its children, or has done with them.
fn is_wait(call: Sysno) -> bool {
    matches!(call, Sysno::exit_group | Sysno::ppoll | Sysno::wait4)
}

fn resume(pid: Pid, signal: Option<Signal>) -> Result<()> {
    match ptrace::cont(pid, signal) {
        // It was killed meanwhile, and its end will be reported.
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno).context("resume"),
    }
}

/// Makes the call that `pid` is about to make another.
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
        _ => bail!("cannot change a system call: {}", Errno::last()),
    }
}

/// Interrupts the helper when the time is up.
struct Timer;

impl Timer {
    fn start() -> Result<Self> {
        extern "C" fn nothing(_: i32) {}
        let action = SigAction::new(
            SigHandler::Handler(nothing),
            SaFlags::empty(),
            SigSet::empty(),
        );
        // SAFETY: The handler does nothing at all.
        unsafe { sigaction(Signal::SIGALRM, &action) }?;
        alarm::set(PATIENCE);
        Ok(Timer)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        alarm::cancel();
    }
}
