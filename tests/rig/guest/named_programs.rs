//! Programs that name their memory, running in a guest: in Go, with glibc, and in Java.

use std::time::Duration;

use anyhow::Result;

use super::{Kept, initramfs, software};
use crate::kernels::Kernel;
use crate::paths;

const DEADLINE: Duration = Duration::from_secs(400);

/// A program that names its memory.
#[derive(Debug)]
pub struct Program {
    /// Its name in file names.
    pub name: &'static str,
    /// A label that it has.
    pub label: &'static str,
    files: &'static [software::File],
    /// Starts it in a shell. `$pid` becomes its process id.
    start: &'static str,
    /// A shell condition that is met when it has its memory.
    is_ready: &'static str,
    /// Memory of the guest, in MiB.
    memory_mib: u32,
}

/// All programs.
pub static ALL: [Program; 3] = [
    // Names are on by default in programs that are written for Go 1.25 or later.
    Program {
        name: "go",
        label: "[anon: Go: heap]",
        files: software::GRON,
        start: "GODEBUG=decoratemappings=1 gron < /tmp/input > /dev/null 2>&1 & pid=$!",
        is_ready: "grep -q 'Go: gc bits' /proc/$pid/maps",
        memory_mib: 256,
    },
    Program {
        name: "glibc",
        label: "[anon: glibc: malloc arena]",
        files: &[],
        start: "GLIBC_TUNABLES=glibc.mem.decorate_maps=1 threads > /tmp/threads & pid=$!",
        is_ready: "grep -q ready /tmp/threads",
        memory_mib: 256,
    },
    // keytool waits for a certificate.
    Program {
        name: "java",
        label: "[anon: glibc: pthread stack: *]",
        files: software::JAVA,
        start: "GLIBC_TUNABLES=glibc.mem.decorate_maps=1 /jvm/bin/java -Xmx64m -XX:+UseSerialGC \
            -m java.base/sun.security.tools.keytool.Main -printcert < /tmp/input & pid=$!",
        is_ready: "[ $(grep -c 'pthread stack' /proc/$pid/maps) -ge 12 ]",
        memory_mib: 1024,
    },
];

impl Program {
    /// Boots the kernel, starts the program, stops it when it is ready, and runs the script.
    pub fn boot(&self, kernel: &Kernel, name: &str, script: &str) -> Result<Kept> {
        let (start, is_ready) = (self.start, self.is_ready);
        let script = format!(
            "mkfifo /tmp/input; exec 3<> /tmp/input
            {start}
            until {is_ready}; do kill -0 $pid || exit; usleep 100000; done
            kill -STOP $pid
            until grep -q '^State:.T' /proc/$pid/status; do usleep 10000; done
            {script}"
        );
        let source = paths::workspace().join("tests/peers/threads.c");
        let threads = software::compile(&source, &["-Wall", "-Wextra", "-Werror", "-pthread"])?;
        let archive = initramfs(&script)?.file("/bin/threads", 0o755, threads);
        let archive = software::add(archive, software::GLIBC)?;
        let archive = software::add(archive, self.files)?.write(name)?;
        let mut machine = kernel.machine(&archive)?;
        machine.memory_mib = self.memory_mib;
        machine.name = name.to_owned();
        let boot = machine.run(DEADLINE)?;
        boot.expect_power_off()?;
        Kept::of(boot.text())
    }
}
