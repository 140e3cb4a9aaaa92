//! The file system around the program: set for each run, and struck behind it.
//!
//! The program sees [`ROOT`] as its root: a tmpfs with a few devices, `/proc` and
//! `/out` as the run wants them, and `/dev/console` as a plain file, so that what
//! is written there can be read.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, Result};
use guest_agent::{End, ForgedMaps, OLD, Out, Outcome, PROGRAM, Proc, Run};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::launch::{self, Child};

/// Where the program's root lies.
pub(crate) const ROOT: &str = "/stage";

/// The maps files that the program writes.
const MAPS_FILES: [&str; 4] = [
    "maps_1_start.txt",
    "maps_2_mmap.txt",
    "maps_3_set_vm_name.txt",
    "maps_4_ummap.txt",
];

/// How many mappings a process may have.
const MOST_MAPPINGS: &str = "40";

/// The stage is set.
pub(crate) struct Stage;

/// Makes what the helper itself needs, once.
pub(crate) fn prepare() -> Result<()> {
    make_directory("/proc")?;
    make_directory(ROOT)?;
    mount_at("proc", "/proc", "")?;
    // Whoever maps until no more is allowed shall do so in some calls, not in 30,000.
    fs::write("/proc/sys/vm/max_map_count", MOST_MAPPINGS).context("max_map_count")
}

impl Stage {
    /// Sets the stage as `run` wants it.
    pub(crate) fn set(run: &Run) -> Result<Self> {
        mount_at("tmpfs", ROOT, "mode=755")?;
        let stage = Stage;
        bind_program()?;
        make_directory(&format!("{ROOT}/dev"))?;
        fs::write(format!("{ROOT}/dev/console"), "")?;
        for (name, minor) in [("null", 3), ("zero", 5), ("full", 7)] {
            let path = format!("{ROOT}/dev/{name}");
            mknod(
                path.as_str(),
                SFlag::S_IFCHR,
                Mode::from_bits_truncate(0o666),
                makedev(1, minor),
            )?;
        }
        if !run.is_init {
            set_proc(run.proc)?;
        }
        set_out(run.out)?;
        Ok(stage)
    }

    /// What came of a run on this stage.
    pub(crate) fn outcome(self, run: &Run, end: End, child: Child) -> Result<Outcome> {
        let pid = if run.is_init { 1 } else { child.pid.as_raw() };
        let plain = |text: &str| relative(&without_pid(text, pid), run.randomised);
        Ok(Outcome {
            end,
            stdout: plain(&child.stdout.text()),
            stderr: plain(&child.stderr.text()),
            console: plain(&fs::read_to_string(format!("{ROOT}/dev/console"))?),
            files: files(run, &plain)?,
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // All mounts below it go along. Nothing uses them any more.
        let _ = umount2(ROOT, MntFlags::MNT_DETACH);
    }
}

/// The same file each time, not a copy: an emulator translates a program anew
/// wherever it finds it in memory.
fn bind_program() -> Result<()> {
    let place = format!("{ROOT}{PROGRAM}");
    fs::write(&place, "")?;
    let flags = MsFlags::MS_BIND;
    mount(
        Some(PROGRAM),
        Path::new(&place),
        None::<&str>,
        flags,
        None::<&str>,
    )
    .context("bind the program")
}

fn set_proc(proc: Proc) -> Result<()> {
    let place = &format!("{ROOT}/proc");
    if proc == Proc::Missing {
        return Ok(());
    }
    make_directory(place)?;
    match proc {
        Proc::Mounted => mount_at("proc", place, ""),
        // The namespace dies with its first process; its procfs stays.
        Proc::Foreign => launch::in_pid_namespace(&|| mount_at("proc", place, "")),
        Proc::Forged(maps) => {
            make_directory(&format!("{place}/self"))?;
            let content = match maps {
                ForgedMaps::Empty => "",
                ForgedMaps::Garbage => "\x1b[2Jnothing of the kind\n",
            };
            Ok(fs::write(format!("{place}/self/maps"), content)?)
        }
        Proc::Missing | Proc::Empty => Ok(()),
    }
}

fn set_out(out: Out) -> Result<()> {
    let place = &format!("{ROOT}/out");
    if out == Out::Missing {
        return Ok(());
    }
    make_directory(place)?;
    // With room for the four files, and no page more.
    mount_at("tmpfs", place, "mode=755,nr_blocks=4")?;
    for name in MAPS_FILES {
        fs::write(format!("{place}/{name}"), OLD)?;
    }
    match out {
        Out::Older => remount(place, MsFlags::empty(), "nr_blocks=64"),
        Out::ReadOnly => remount(place, MsFlags::MS_RDONLY, ""),
        Out::Full | Out::Missing => Ok(()),
    }
}

fn files(run: &Run, plain: &dyn Fn(&str) -> String) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let keeps_files = run.args.iter().any(|word| word == "/out");
    if !keeps_files || run.out == Out::Missing {
        return Ok(files);
    }
    for entry in fs::read_dir(format!("{ROOT}/out"))? {
        let entry = entry?;
        let content = fs::read(entry.path())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, plain(&String::from_utf8_lossy(&content)));
    }
    Ok(files)
}

fn make_directory(path: &str) -> Result<()> {
    match DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        result => result.with_context(|| format!("mkdir {path}")),
    }
}

fn mount_at(kind: &str, place: &str, options: &str) -> Result<()> {
    mount(
        Some(kind),
        Path::new(place),
        Some(kind),
        MsFlags::empty(),
        Some(options),
    )
    .with_context(|| format!("mount {kind} at {place}"))
}

fn remount(place: &str, flags: MsFlags, options: &str) -> Result<()> {
    let flags = flags | MsFlags::MS_REMOUNT;
    mount(
        None::<&str>,
        Path::new(place),
        None::<&str>,
        flags,
        Some(options),
    )
    .with_context(|| format!("remount {place}"))
}

/// Puts `PID` and `INODE` for the numbers that differ from start to start.
fn without_pid(text: &str, pid: i32) -> String {
    let text = text.replace(&format!("PID: {pid}\n"), "PID: PID\n");
    let text = text.replace(&format!("/proc/{pid}/"), "/proc/PID/");
    // The device of the kernel's own tmpfs, in which shared memory lies.
    let mut pieces = text.split(" 00:01 ");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        // Behind it there are blanks up to a column, fewer behind a longer number.
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit());
        plain.push_str(" 00:01 INODE ");
        plain.push_str(rest.trim_start_matches(' '));
    }
    plain
}

/// Puts `@N` for each address, N being how many bytes it lies behind the mapping
/// that the text tells of.
fn relative(text: &str, randomised: bool) -> String {
    let Some(origin) = randomised.then(|| origin(text)).flatten() else {
        return text.to_owned();
    };
    let mut plain = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_hexdigit() || (c == 'x' && word == "0") {
            word.push(c);
            continue;
        }
        match u64::from_str_radix(word.trim_start_matches("0x"), 16) {
            // Addresses have at least so many digits, offsets in them are smaller.
            Ok(address) if word.len() >= 8 && address > 0 => {
                plain.push_str(&format!("@{}", address.wrapping_sub(origin) as i64));
            }
            _ => plain.push_str(&word),
        }
        word.clear();
        plain.push(c);
    }
    plain.truncate(plain.len() - 1);
    plain
}

fn origin(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("mmap addr: 0x")?;
    let digits = rest.split_once(' ')?.0;
    u64::from_str_radix(digits, 16).ok()
}
