//! The root file system of the program, prepared for each run and removed after it.
//!
//! The program's root is [`ROOT`], a tmpfs with some device nodes, with `/proc` and `/out`
//! in the state that the run asks for. `/dev/console` is a regular file, from which the
//! agent reads what the program wrote.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::Path;

use anyhow::{Context, Result};
use guest_agent::{
    End, ForgedMaps, MAPS_FILES, OLD_CONTENT, OutDir, PROGRAM, Proc, Run, RunResult,
};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::launch::{self, Child};
use crate::watched::Watched;

/// The directory that becomes the program's root.
pub(crate) const ROOT: &str = "/sandbox";

/// `vm.max_map_count`. With the default of 65,530, the cases that reach the limit would split a
/// mapping 2,048 times and then be skipped, and every fault is injected into each of these calls.
const MAX_MAP_COUNT: &str = "40";

/// Prepares the guest for the agent itself, once.
pub(crate) fn prepare() -> Result<()> {
    make_directory("/proc")?;
    make_directory(ROOT)?;
    mount_at("proc", "/proc", "")?;
    Watched::prepare()?;
    fs::write("/proc/sys/vm/max_map_count", MAX_MAP_COUNT).context("max_map_count")
}

/// The prepared root file system of one run. Dropping it unmounts everything.
pub(crate) struct Sandbox {
    /// The process that the program reads.
    _watched: Option<Watched>,
}

impl Sandbox {
    /// Prepares the root for `run`.
    pub(crate) fn new(run: &Run) -> Result<Self> {
        mount_at("tmpfs", ROOT, "mode=755")?;
        let watched = match run.proc {
            Proc::Target => Some(Watched::start()?),
            _ => None,
        };
        let sandbox = Sandbox { _watched: watched };
        bind_program()?;
        make_directory(&format!("{ROOT}/dev"))?;
        fs::write(format!("{ROOT}/dev/console"), "")?;
        for (name, minor) in [("null", 3), ("zero", 5), ("full", 7)] {
            let path = format!("{ROOT}/dev/{name}");
            let mode = Mode::from_bits_truncate(0o666);
            mknod(path.as_str(), SFlag::S_IFCHR, mode, makedev(1, minor))?;
        }
        // The `/proc` of another PID namespace can only be mounted inside that namespace.
        if !run.is_pid1 {
            make_proc(run.proc)?;
        }
        make_out(run.out)?;
        Ok(sandbox)
    }

    /// The result of a run in this sandbox.
    pub(crate) fn result(self, run: &Run, end: End, child: Child) -> Result<RunResult> {
        let pid = if run.is_pid1 { 1 } else { child.pid.as_raw() };
        let normalise = |text: &str| {
            let text = replace_numbers(text, pid);
            match run.randomise {
                true => replace_addresses(&text),
                false => text,
            }
        };
        Ok(RunResult {
            end,
            stdout: normalise(&child.stdout.text()),
            stderr: normalise(&child.stderr.text()),
            console: normalise(&fs::read_to_string(format!("{ROOT}/dev/console"))?),
            files: files(run, &normalise)?,
        })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // This detaches the mounts below ROOT too.
        let _ = umount2(ROOT, MntFlags::MNT_DETACH);
    }
}

/// Makes the program appear in the sandbox by a bind mount, not by a copy. A copy would lie
/// at another physical address in each run, and QEMU would translate its code again.
fn bind_program() -> Result<()> {
    let target = format!("{ROOT}{PROGRAM}");
    fs::write(&target, "")?;
    let none = None::<&str>;
    let target = Path::new(&target);
    mount(Some(PROGRAM), target, none, MsFlags::MS_BIND, none).context("bind the program")
}

fn make_proc(proc: Proc) -> Result<()> {
    let target = &format!("{ROOT}/proc");
    if proc == Proc::Missing {
        return Ok(());
    }
    make_directory(target)?;
    match proc {
        Proc::Missing | Proc::Empty => Ok(()),
        Proc::Mounted => mount_at("proc", target, ""),
        // The agent itself is not in the namespace of its children.
        Proc::Target => launch::in_child(&|| mount_at("proc", target, "")),
        // The mount outlives the PID namespace, which ends with this process.
        Proc::OtherNamespace => launch::in_pid_namespace(&|| mount_at("proc", target, "")),
        Proc::Forged(maps) => {
            make_directory(&format!("{target}/self"))?;
            let content = match maps {
                ForgedMaps::Empty => "",
                ForgedMaps::Garbage => "\x1b[2Jnothing of the kind\n",
            };
            Ok(fs::write(format!("{target}/self/maps"), content)?)
        }
    }
}

fn make_out(out: OutDir) -> Result<()> {
    let target = &format!("{ROOT}/out");
    if out == OutDir::Missing {
        return Ok(());
    }
    make_directory(target)?;
    // Four blocks, one for each old file.
    mount_at("tmpfs", target, "mode=755,nr_blocks=4")?;
    for name in MAPS_FILES {
        fs::write(format!("{target}/{name}"), OLD_CONTENT)?;
    }
    match out {
        OutDir::OldFiles => remount(target, MsFlags::empty(), "nr_blocks=64"),
        OutDir::ReadOnly => remount(target, MsFlags::MS_RDONLY, ""),
        OutDir::Full | OutDir::Missing => Ok(()),
    }
}

/// The files in `/out`, if the run was told to write there.
fn files(run: &Run, normalise: &dyn Fn(&str) -> String) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let writes_files = run.args.iter().any(|word| word == "/out");
    if !writes_files || run.out == OutDir::Missing {
        return Ok(files);
    }
    for entry in fs::read_dir(format!("{ROOT}/out"))? {
        let entry = entry?;
        let content = fs::read(entry.path())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, normalise(&String::from_utf8_lossy(&content)));
    }
    Ok(files)
}

fn make_directory(path: &str) -> Result<()> {
    match DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        result => result.with_context(|| format!("mkdir {path}")),
    }
}

/// In PID 1 of a new namespace, after chroot(2): mounts a `/proc` in which this namespace looks
/// like the initial PID namespace, so that the program acts as the first process of a machine.
pub(crate) fn pretend_first_namespace() -> Result<()> {
    make_directory("/proc")?;
    mount_at("proc", "/proc", "")?;
    mount_at("tmpfs", "/proc/self/ns", "")?;
    Ok(symlink("pid:[4026531836]", "/proc/self/ns/pid")?)
}

fn mount_at(file_system: &str, target: &str, options: &str) -> Result<()> {
    let source = Some(file_system);
    let path = Path::new(target);
    mount(source, path, source, MsFlags::empty(), Some(options))
        .with_context(|| format!("mount {file_system} at {target}"))
}

fn remount(target: &str, flags: MsFlags, options: &str) -> Result<()> {
    let none = None::<&str>;
    let flags = flags | MsFlags::MS_REMOUNT;
    mount(none, Path::new(target), none, flags, Some(options))
        .with_context(|| format!("remount {target}"))
}

/// Replaces the program's PID by `PID`, and inode numbers of shared memory by `INODE`.
fn replace_numbers(text: &str, pid: i32) -> String {
    let text = text.replace(&format!("PID: {pid}\n"), "PID: PID\n");
    let text = text.replace(&format!("/proc/{pid}/"), "/proc/PID/");
    // Shared memory lies on the kernel's internal tmpfs, which is device 00:01.
    let mut pieces = text.split(" 00:01 ");
    let mut replaced = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        // The kernel pads the number with spaces up to a column.
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit());
        replaced.push_str(" 00:01 INODE ");
        replaced.push_str(rest.trim_start_matches(' '));
    }
    replaced
}

/// Addresses that are farther from the mapping than this have random distances from it.
const FAR: i64 = 8 << 20;

/// Replaces each address by `@N`, its distance in bytes from the mapping that the text
/// reports, or by `@` if that is larger than [`FAR`]. Without a report of a mapping the text stays as it is.
fn replace_addresses(text: &str) -> String {
    let Some(origin) = mapping(text) else {
        return text.to_owned();
    };
    let mut replaced = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_hexdigit() || (c == 'x' && word == "0") {
            word.push(c);
            continue;
        }
        match u64::from_str_radix(word.trim_start_matches("0x"), 16) {
            // Addresses have 8 or more digits. File offsets have 8 digits too, but are 0.
            Ok(address) if word.len() >= 8 && address > 0 => {
                replaced.push('@');
                let distance = address.wrapping_sub(origin) as i64;
                if distance.abs() <= FAR {
                    replaced.push_str(&distance.to_string());
                }
            }
            _ => replaced.push_str(&word),
        }
        word.clear();
        replaced.push(c);
    }
    replaced.truncate(replaced.len() - 1);
    replaced
}

/// The address of the mapping that the text reports.
fn mapping(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("mmap addr: 0x")?;
    let digits = rest.split_once(' ')?.0;
    u64::from_str_radix(digits, 16).ok()
}
