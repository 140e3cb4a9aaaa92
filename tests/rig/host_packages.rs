//! The Debian packages the host needs, by purpose.
//!
//! A purpose is met when its tools are there, which costs a few look-ups and no
//! package manager. Otherwise root gets them installed, and anyone else is told
//! the command to type.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use which::which;

use crate::paths;
use crate::progress::Progress;
use crate::tool;

/// Packages that serve one end, and how to see that they are installed.
pub struct Purpose {
    what: &'static str,
    packages: &'static [&'static str],
    is_met: fn() -> bool,
}

/// Boots kernels.
pub const EMULATOR: Purpose = Purpose {
    what: "boot aarch64 kernels",
    packages: &["qemu-system-arm"],
    is_met: || on_path(&["qemu-system-aarch64"]),
};

/// Turns Debian's kernel sources into an image.
pub const KERNEL_BUILD: Purpose = Purpose {
    what: "build kernels",
    packages: &[
        "bc",
        "bison",
        "flex",
        "gcc",
        "gcc-aarch64-linux-gnu",
        "libc6-dev",
        "make",
        "xz-utils",
    ],
    is_met: || {
        on_path(&[
            "bc",
            "bison",
            "flex",
            "gcc",
            "aarch64-linux-gnu-gcc",
            "make",
            "xz",
        ]) && Path::new("/usr/include/stdio.h").exists()
    },
};

/// Breaks kernels on purpose.
pub const PATCH: Purpose = Purpose {
    what: "patch kernels",
    packages: &["patch"],
    is_met: || on_path(&["patch"]),
};

/// Reads KTAP without the rig's help: prove of perl, kunit.py of the kernel.
pub const KTAP_JUDGES: Purpose = Purpose {
    what: "judge reports",
    packages: &["perl", "python3"],
    is_met: || on_path(&["prove", "python3"]),
};

/// Compiles what the program is measured beside, and what measures it.
pub const PEERS: Purpose = Purpose {
    what: "compile C and C++ for aarch64",
    packages: &[
        "g++-aarch64-linux-gnu",
        "gcc-aarch64-linux-gnu",
        "libc6-dev-arm64-cross",
        "lld",
    ],
    is_met: || {
        on_path(&["aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "ld.lld"])
            && Path::new("/usr/aarch64-linux-gnu/include/stdio.h").exists()
    },
};

/// A libc to link the guest's helper with.
pub const CROSS_LIBC: Purpose = Purpose {
    what: "link for aarch64",
    packages: &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
    is_met: || {
        on_path(&["aarch64-linux-gnu-gcc"])
            && Path::new("/usr/aarch64-linux-gnu/lib/libc.a").exists()
    },
};

/// A Rust compiler with the aarch64 target, for where rustup has none.
pub const RUST_TARGET: Purpose = Purpose {
    what: "compile Rust for aarch64",
    packages: &["rustc-web", "libstd-rust-web-dev:arm64", "rust-web-clippy"],
    is_met: || {
        Path::new("/usr/bin/clippy-driver").exists()
            && Path::new("/usr/bin/rustc").exists()
            && has_core(Path::new("/usr"))
    },
};

/// Compiles libFuzzer, which is C++.
pub const FUZZER: Purpose = Purpose {
    what: "fuzz",
    packages: &["g++"],
    is_met: || on_path(&["c++"]),
};

impl Purpose {
    /// Makes sure the packages are there.
    pub fn ensure(&self) -> Result<()> {
        if (self.is_met)() {
            return Ok(());
        }
        // One at a time: the tests start side by side and need the same things.
        let _lock = paths::lock("host")?;
        if (self.is_met)() {
            return Ok(());
        }
        if !is_root()? || which("apt-get").is_err() {
            bail!(
                "to {} this machine needs some packages; type\n  {}",
                self.what,
                self.by_hand()
            );
        }
        self.install()?;
        if !(self.is_met)() {
            bail!(
                "{} are installed, yet cannot be used to {}",
                self.packages.join(" "),
                self.what
            );
        }
        Ok(())
    }

    fn install(&self) -> Result<()> {
        let progress = Progress::start(format!("installing {}", self.packages.join(" ")));
        if self.is_foreign() {
            tool::output(Command::new("dpkg").args(["--add-architecture", "arm64"]))?;
        }
        // Fails over any archive of the machine, needed here or not; what is
        // missing then shows in the next step.
        if let Err(error) = tool::output(apt_get().arg("update")) {
            eprintln!("{error:#}");
        }
        let mut install = apt_get();
        install.args(["install", "--yes", "--no-install-recommends"]);
        tool::output(install.args(self.packages))?;
        progress.done();
        Ok(())
    }

    fn by_hand(&self) -> String {
        let architecture = match self.is_foreign() {
            true => "sudo dpkg --add-architecture arm64 && ",
            false => "",
        };
        let packages = self.packages.join(" ");
        let install = "sudo apt-get install --no-install-recommends";
        format!("{architecture}sudo apt-get update && {install} {packages}")
    }

    fn is_foreign(&self) -> bool {
        self.packages
            .iter()
            .any(|package| package.ends_with(":arm64"))
    }
}

/// Whether the Rust installation at this prefix can compile for aarch64.
pub fn has_core(sysroot: &Path) -> bool {
    let libraries = sysroot.join("lib/rustlib/aarch64-unknown-linux-gnu/lib");
    fs::read_dir(libraries).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libcore-") && name.ends_with(".rlib")
        })
    })
}

fn on_path(tools: &[&str]) -> bool {
    tools.iter().all(|tool| which(tool).is_ok())
}

fn is_root() -> Result<bool> {
    let id = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    let id = id.context("cannot run id -u")?;
    Ok(id.stdout.trim_ascii() == b"0")
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    // Another installation may just be running, as it often is on a new machine.
    command.args(["-o", "DPkg::Lock::Timeout=300"]);
    command
}
