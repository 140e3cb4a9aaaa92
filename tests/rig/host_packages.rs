//! Debian packages that the host needs, by purpose.
//!
//! Whether a purpose is met is found by looking for files, without a package manager.
//! If it is not, the packages are installed if the rig runs as root, and otherwise the
//! error names the command that installs them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use which::which;

use crate::paths;
use crate::progress::Progress;
use crate::tool;

/// Packages for one purpose, and a check that they are installed.
pub struct Purpose {
    what: &'static str,
    packages: &'static [&'static str],
    is_met: fn() -> bool,
}

/// For booting kernels.
pub const EMULATOR: Purpose = Purpose {
    what: "boot aarch64 kernels",
    packages: &["qemu-system-arm"],
    is_met: || on_path(&["qemu-system-aarch64"]),
};

/// For building kernels.
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

/// For measuring the compressed program.
pub const COMPRESSORS: Purpose = Purpose {
    what: "compress archives",
    packages: &["gzip", "xz-utils"],
    is_met: || on_path(&["gzip", "xz"]),
};

/// For building mutants.
pub const PATCH: Purpose = Purpose {
    what: "patch kernels",
    packages: &["patch"],
    is_met: || on_path(&["patch"]),
};

/// For reading KTAP with perl's prove and the kernel's kunit.py.
pub const KTAP_JUDGES: Purpose = Purpose {
    what: "read KTAP reports",
    packages: &["perl", "python3"],
    is_met: || on_path(&["prove", "python3"]),
};

/// For compiling the peers in C and C++, and the meter.
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

/// For linking the guest agent with a libc.
pub const CROSS_LIBC: Purpose = Purpose {
    what: "link for aarch64",
    packages: &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
    is_met: || {
        on_path(&["aarch64-linux-gnu-gcc"])
            && Path::new("/usr/aarch64-linux-gnu/lib/libc.a").exists()
    },
};

/// For compiling the program where the active toolchain lacks the aarch64 target.
pub const RUST_TARGET: Purpose = Purpose {
    what: "compile Rust for aarch64",
    packages: &["rustc-web", "libstd-rust-web-dev:arm64", "rust-web-clippy"],
    is_met: || {
        Path::new("/usr/bin/clippy-driver").exists()
            && Path::new("/usr/bin/rustc").exists()
            && has_core(Path::new("/usr"))
    },
};

/// For compiling libFuzzer, which is C++.
pub const FUZZER: Purpose = Purpose {
    what: "fuzz",
    packages: &["g++"],
    is_met: || on_path(&["c++"]),
};

impl Purpose {
    /// Installs the packages unless they are there.
    pub fn ensure(&self) -> Result<()> {
        if (self.is_met)() {
            return Ok(());
        }
        // Tests that run in parallel need the same packages.
        let _lock = paths::lock("host")?;
        if (self.is_met)() {
            return Ok(());
        }
        if !is_root()? || which("apt-get").is_err() {
            bail!(
                "this machine lacks packages to {}; type\n  {}",
                self.what,
                self.by_hand()
            );
        }
        self.install()?;
        if !(self.is_met)() {
            bail!(
                "{} are installed, but this machine still cannot {}",
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
        // It fails if any archive of the machine fails, even one that is not needed.
        // If one is, the installation fails.
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

/// Whether the Rust installation at this prefix has the core library for aarch64.
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
    // New machines often run another apt at boot.
    command.args(["-o", "DPkg::Lock::Timeout=300"]);
    command
}
