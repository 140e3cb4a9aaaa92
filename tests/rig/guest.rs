//! A guest with a shell: a script goes in, files come out.
//!
//! The console is the only way out of a guest, and it changes newlines. So what
//! a script wants judged it hands to `keep`, which prints it in base64, and the
//! host gets every byte back.

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

/// What every script can rely on: busybox's commands, the usual file systems, the
/// program on the path, and `keep NAME FILE`.
const PRELUDE: &str = r#"#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
# PID 1 must not exit, however the script ends.
trap 'sync; poweroff -f' EXIT
mkdir -p /proc /dev /tmp
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
keep() { echo "@@ $1 $(base64 "$2" | tr -d '\n')"; }
"#;

/// The files that a script has kept, by name.
pub struct Kept {
    files: BTreeMap<String, Vec<u8>>,
    /// All that the console showed, for messages.
    pub console: String,
}

/// Boots `kernel` with the program at /bin/vm_anon_name, runs `script` in a shell
/// as PID 1, and returns what it has kept.
pub fn run(kernel: &Kernel, name: &str, script: &str, deadline: Duration) -> Result<Kept> {
    let initramfs = initramfs(script)?.write(name)?;
    let mut machine = kernel.machine(&initramfs)?;
    machine.name = name.to_owned();
    let console = machine.run(deadline)?;
    console.expect_power_off()?;
    Kept::of(console.text())
}

/// An archive with busybox, the program, and `script` as /init behind the prelude.
pub fn initramfs(script: &str) -> Result<Initramfs> {
    let busybox = debian::unpack("busybox-static")?;
    let busybox = ["bin/busybox", "usr/bin/busybox"]
        .iter()
        .find_map(|path| fs::read(busybox.join(path)).ok())
        .context("the package busybox-static has no busybox")?;
    let program = program::build(Build::Full)?;
    let program = fs::read(&program).with_context(|| format!("no {}", program.display()))?;
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
                .with_context(|| format!("{name} was mangled on the console"))?;
            files.insert(name.to_owned(), content);
        }
        Ok(Self { files, console })
    }

    /// The bytes kept as `name`.
    pub fn bytes(&self, name: &str) -> Result<&[u8]> {
        let file = self.files.get(name).map(Vec::as_slice);
        file.ok_or_else(|| anyhow!("the guest kept no {name}:\n{}", self.console))
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> Result<&str> {
        std::str::from_utf8(self.bytes(name)?).with_context(|| format!("{name} is no text"))
    }
}
