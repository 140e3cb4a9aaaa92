//! `with CONDITION... PROGRAM ARGUMENT...`: executes a program under unusual conditions.
//!
//! A tool for shell scripts in a guest, like env(1), setpriv(1) and prlimit(1), for what these
//! cannot set. The conditions are set up in the order in which they are given,
//! `executable` last:
//!
//! ```text
//! ignore=SIGNAL              the signal is ignored
//! block=all                  all signals are blocked
//! prctl=OPTION,ARGUMENT,...  prctl(2), by numbers
//! limit=RESOURCE,BYTES       setrlimit(2): both the soft and the hard limit, by numbers
//! refuse=CALL,ERRNO          a seccomp filter makes the system call fail with this errno
//! drop=CAPABILITY            prctl(PR_CAPBSET_DROP), by number
//! user=UID                   setgid(2) and setuid(2)
//! personality=FLAGS          personality(2), in hexadecimal
//! directory=removed          the current directory no longer exists
//! files=COUNT                all file descriptors below COUNT are open
//! executable=deleted|memfd   the program is a copy that is in no directory
//! polled=TTY                 the serial port has no interrupt: the driver sends 16 bytes a tick
//! ```
//!
//! # Safety
//!
//! Unsafe, because most of these calls have no safe wrappers. The process has one thread, and
//! the calls get numbers, or pointers to local variables that live as long as the call.
#![allow(unsafe_code)]

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, bail, ensure};

use guest_agent::FilterAction;

use crate::launch;

/// The name by which the agent's executable acts as this tool.
pub(crate) const NAME: &str = "with";

/// Sets the conditions, and becomes the program.
pub(crate) fn run(words: &[String]) -> Result<Infallible> {
    let mut copy = None;
    // The Rust runtime ignores SIGPIPE.
    // SAFETY: No handler is involved.
    check(unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) == libc::SIG_ERR })?;
    let mut words = words.iter();
    while let Some((key, value)) = words
        .as_slice()
        .first()
        .and_then(|word| word.split_once('='))
    {
        words.next();
        let condition = || format!("{key}={value}");
        match key {
            "executable" => copy = Some(value),
            _ => set(key, value).with_context(condition)?,
        }
    }
    let words = words.as_slice();
    let program = words.first().context("no program")?;
    let error = match copy {
        None => execute(program, words)?,
        Some(kind) => execute_copy(program, words, kind)?,
    };
    Err(error).with_context(|| format!("cannot execute {program}"))
}

fn set(key: &str, value: &str) -> Result<()> {
    let words: Vec<&str> = value.split(',').collect();
    match (key, words.as_slice()) {
        // SAFETY: It replaces no handler of this program.
        ("ignore", [signal]) => {
            check(unsafe { libc::signal(signal.parse()?, libc::SIG_IGN) == libc::SIG_ERR })
        }
        ("block", ["all"]) => {
            let all = nix::sys::signal::SigSet::all();
            Ok(all.thread_block()?)
        }
        ("prctl", words) => {
            let mut arguments = [0; 5];
            for (argument, word) in arguments.iter_mut().zip(words) {
                *argument = word.parse::<libc::c_ulong>()?;
            }
            let [option, a, b, c, d] = arguments;
            // SAFETY: The options that are used here take no pointers.
            check(unsafe { libc::prctl(i32::try_from(option)?, a, b, c, d) } < 0)
        }
        ("limit", [resource, value]) => launch::set_limit(resource.parse()?, value.parse()?),
        ("refuse", [call, errno]) => {
            let action = FilterAction::Errno(errno.parse()?);
            launch::set_filter(Some(launch::number(call)?), launch::filter_return(action))
        }
        ("drop", [capability]) => {
            let capability: libc::c_ulong = capability.parse()?;
            // SAFETY: No memory is involved.
            check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0)
        }
        ("user", [user]) => {
            let user = user.parse()?;
            // SAFETY: No memory is involved.
            check(unsafe { libc::setgid(user) } < 0)?;
            // SAFETY: No memory is involved.
            check(unsafe { libc::setuid(user) } < 0)
        }
        ("personality", [flags]) => {
            let flags = libc::c_ulong::from_str_radix(flags, 16)?;
            // SAFETY: The flags take effect at the next execve.
            check(unsafe { libc::personality(flags) } < 0)
        }
        ("directory", ["removed"]) => {
            let directory = format!("/tmp/removed-{}", std::process::id());
            fs::create_dir(&directory)?;
            std::env::set_current_dir(&directory)?;
            Ok(fs::remove_dir(&directory)?)
        }
        ("files", [count]) => {
            let count: i32 = count.parse()?;
            let mut last = 0;
            while last + 1 < count {
                // SAFETY: The descriptors are never closed, so none is closed twice.
                last = unsafe { libc::dup(0) };
                check(last < 0)?;
            }
            Ok(())
        }
        ("polled", [path]) => set_polled(path),
        _ => bail!("unknown condition"),
    }
}

fn check(failed: bool) -> Result<()> {
    ensure!(!failed, io::Error::last_os_error());
    Ok(())
}

/// The kernel's `struct serial_struct` as an array. The fourth number is `irq`.
type SerialStruct = [u32; 18];

/// `setserial TTY irq 0`: the 8250 driver then fills the FIFO of 16 bytes from a timer, about
/// 2,000 bytes a second.
fn set_polled(path: &str) -> Result<()> {
    let tty = File::options().read(true).write(true).open(path)?;
    let mut serial = SerialStruct::default();
    // SAFETY: The kernel writes a `struct serial_struct`, which has 72 bytes.
    check(unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCGSERIAL, &raw mut serial) } < 0)?;
    serial[3] = 0;
    // SAFETY: The kernel reads it.
    check(unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSSERIAL, &raw const serial) } < 0)
}

fn arguments(words: &[String]) -> Result<Vec<CString>> {
    words
        .iter()
        .map(|word| Ok(CString::new(word.as_str())?))
        .collect()
}

fn execute(program: &str, words: &[String]) -> Result<nix::errno::Errno> {
    let path = CString::new(program)?;
    Ok(nix::unistd::execvp(&path, &arguments(words)?).unwrap_err())
}

/// Executes a copy of the program that was removed from its tmpfs, or is in a memfd.
fn execute_copy(program: &str, words: &[String], kind: &str) -> Result<nix::errno::Errno> {
    let content = fs::read(program)?;
    let name = c"copy";
    // SAFETY: The name is a C string; the descriptor is new.
    let memory =
        || unsafe { OwnedFd::from_raw_fd(libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC)) };
    let file = match kind {
        "memfd" => {
            let file = memory();
            File::from(file.try_clone()?).write_all(&content)?;
            file
        }
        "deleted" => {
            let path = format!("/tmp/deleted-{}", std::process::id());
            fs::write(&path, content)?;
            fs::set_permissions(&path, Permissions::from_mode(0o755))?;
            let file = File::open(&path)?;
            fs::remove_file(&path)?;
            file.into()
        }
        _ => bail!("unknown kind of copy: {kind}"),
    };
    let environment: [&std::ffi::CStr; 0] = [];
    Ok(nix::unistd::fexecve(file, &arguments(words)?, &environment).unwrap_err())
}
