//! Guests with a shell: runs a script as PID 1 and returns the files that it keeps.
//!
//! A script copies a file to the host with `keep NAME FILE`, which prints it in base64.
//! The console is the only way out of a guest, and its tty would change newlines.

pub mod named_programs;
pub mod software;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::debian;
use crate::initramfs::Initramfs;
use crate::kernels::Kernel;
use crate::program::{self, Build};
use crate::target::{self, Target};

/// The package with the shell.
pub(crate) const SHELL: &str = "busybox-static";

/// Start of every script: busybox's commands and the program in PATH, /proc and /dev
/// mounted, and `keep`.
const PRELUDE: &str = r#"#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
# The kernel panics if PID 1 exits.
trap 'sync; poweroff -f' EXIT
mkdir -p /proc /dev /tmp
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
# The kernel must not print a message in the middle of the line. stty waits until it is sent.
keep() {
    read -r level rest < /proc/sys/kernel/printk
    dmesg -n 1
    echo "@@ $1 $(base64 "$2" | tr -d '\n')"
    stty opost < /dev/console
    dmesg -n "$level"
}
"#;

/// Files that a script has kept, by name.
pub struct Kept {
    files: BTreeMap<String, Vec<u8>>,
    /// Output of the console, for error messages.
    pub console: String,
}

/// Boots the kernel, runs the script in a shell as PID 1 with the program at
/// /bin/vm_anon_name, and returns the files that it keeps. The log is called `name`.
pub fn run(kernel: &Kernel, name: &str, script: &str, deadline: Duration) -> Result<Kept> {
    let initramfs = initramfs_for(kernel.target, script)?.write(name)?;
    let mut machine = kernel.machine(&initramfs)?;
    machine.name = name.to_owned();
    let boot = machine.run(deadline)?;
    boot.expect_power_off()?;
    Kept::of(boot.text())
}

/// Debian's static busybox for an architecture.
pub fn busybox(target: &Target) -> Result<Vec<u8>> {
    let package = debian::unpack(&target.package(SHELL))?;
    let mut places = ["bin/busybox", "usr/bin/busybox"].iter();
    let found = places.find_map(|path| fs::read(package.join(path)).ok());
    found.with_context(|| format!("no busybox in the package {SHELL}"))
}

/// An archive for the default architecture with busybox, the program, and as /init the prelude
/// and `script`.
pub fn initramfs(script: &str) -> Result<Initramfs> {
    initramfs_for(target::DEFAULT, script)
}

/// The archive of [`initramfs`] for another architecture.
pub fn initramfs_for(target: &'static Target, script: &str) -> Result<Initramfs> {
    let busybox = busybox(target)?;
    let program = program::build_for(target, Build::Full)?;
    let program =
        fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
    Ok(Initramfs::new()
        .directory("/bin", 0o755)
        .file("/bin/busybox", 0o755, busybox)
        .file("/bin/vm_anon_name", 0o755, program)
        .file("/init", 0o755, format!("{PRELUDE}{script}")))
}

impl Kept {
    /// The files in the output of a console.
    pub fn of(console: String) -> Result<Self> {
        let mut files = BTreeMap::new();
        for line in console.lines() {
            let Some((name, content)) = line.strip_prefix("@@ ").and_then(|it| it.split_once(' '))
            else {
                continue;
            };
            let content = BASE64_STANDARD
                .decode(content)
                .with_context(|| format!("{name} is not base64 on the console"))?;
            files.insert(name.to_owned(), content);
        }
        Ok(Self { files, console })
    }

    /// The file that was kept as `name`.
    pub fn bytes(&self, name: &str) -> Result<&[u8]> {
        let file = self.files.get(name).map(Vec::as_slice);
        file.ok_or_else(|| anyhow!("the guest has not kept {name}:\n{}", self.console))
    }

    /// The file that was kept as `name`, as UTF-8.
    pub fn text(&self, name: &str) -> Result<&str> {
        std::str::from_utf8(self.bytes(name)?).with_context(|| format!("{name} is not UTF-8"))
    }
}
