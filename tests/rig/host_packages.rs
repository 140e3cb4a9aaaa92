//! Debian packages that the host needs, by purpose.
//!
//! The rig finds out by looking for files whether the packages are installed, so it needs
//! no package manager for that. If some are missing, it installs them if it runs as root;
//! otherwise the error names the command that installs them.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use which::which;

use crate::paths;
use crate::progress::Progress;
use crate::tool;

/// Packages for one purpose, and a check that they are installed.
#[derive(Debug)]
pub struct Purpose {
    pub(crate) what: &'static str,
    pub(crate) packages: &'static [&'static str],
    pub(crate) is_met: fn() -> bool,
}

/// For building kernels, in addition to the compiler.
pub const KERNEL_BUILD: Purpose = Purpose {
    what: "build kernels",
    packages: &[
        "bc",
        "bison",
        "flex",
        "gcc",
        "libc6-dev",
        "libelf-dev",
        "make",
        "xz-utils",
    ],
    is_met: || {
        // objtool, which checks x86 code, needs libelf.
        on_path(&["bc", "bison", "flex", "gcc", "make", "xz"])
            && ["stdio.h", "libelf.h"]
                .iter()
                .all(|header| Path::new("/usr/include").join(header).exists())
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

/// For compiling the peers in C++ and with glibc.
pub const PEERS: Purpose = Purpose {
    what: "compile C and C++ for aarch64",
    packages: &[
        "g++-aarch64-linux-gnu",
        "gcc-aarch64-linux-gnu",
        "libc6-dev-arm64-cross",
    ],
    is_met: || {
        on_path(&["aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++"])
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

/// For compiling the program together with Rust's core library, if neither the active
/// toolchain nor Debian has that library for the target.
pub const RUST_SOURCE: Purpose = Purpose {
    what: "compile Rust's core library",
    packages: &["rustc-web", "rust-web-src", "rust-web-clippy"],
    is_met: || {
        [
            "bin/clippy-driver",
            "bin/rustc",
            "lib/rustlib/src/rust/library",
        ]
        .iter()
        .all(|path| Path::new("/usr").join(path).exists())
    },
};

/// For checking the manual page.
pub const MANDOC: Purpose = Purpose {
    what: "check manual pages",
    packages: &["mandoc"],
    is_met: || on_path(&["mandoc"]),
};

/// For checking the Debian package.
pub const LINTIAN: Purpose = Purpose {
    what: "check Debian packages",
    packages: &["lintian"],
    is_met: || on_path(&["lintian"]),
};

/// For compiling libFuzzer, which is C++.
pub const FUZZER: Purpose = Purpose {
    what: "fuzz",
    packages: &["g++"],
    is_met: || on_path(&["c++"]),
};

/// For running Python programs. LAVA's dispatcher needs libmagic, which the package `file` brings.
pub const PYTHON: Purpose = Purpose {
    what: "run Python programs",
    packages: &["file", "python3", "python3-venv"],
    is_met: || {
        let mut import = Command::new("python3");
        import
            .args(["-c", "import ensurepip"])
            .stderr(Stdio::null());
        on_path(&["file"]) && import.status().is_ok_and(|status| status.success())
    },
};

/// For running programs of a Debian system for arm64, which is unpacked and not installed.
pub const FOREIGN_DEBIAN: Purpose = Purpose {
    what: "run a Debian system for arm64",
    packages: &["mmdebstrap", "qemu-user-static"],
    is_met: || on_path(&["mmdebstrap", "qemu-aarch64-static"]),
};

/// For opening HTML pages in a browser.
pub const BROWSER: Purpose = Purpose {
    what: "open HTML pages",
    packages: &["chromium"],
    is_met: || on_path(&["chromium"]),
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
        // The update fails if any archive of the machine fails, even one that is not
        // needed here. If an archive that is needed fails, the installation below fails.
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

/// Whether all these commands can be run.
pub(crate) fn on_path(tools: &[&str]) -> bool {
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
    // New machines often run another apt at boot, which holds the lock.
    command.args(["-o", "DPkg::Lock::Timeout=300"]);
    command
}
