//! C programs for the guests of each architecture: static with Debian's musl or with nolibc of the
//! kernel, which need no cross libc; or with the libc of the compiler, for the peers.
//!
//! All are linked by the linker of the program: GNU ld aligns each segment of an aarch64
//! executable to 64 KiB in the file, which adds up to 60 KiB of padding to a dynamic one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::target::Target;
use crate::{debian, kernels, paths, program, tool};

/// Debian's package of musl.
pub(crate) const MUSL: &str = "musl-dev";

/// Flags for the smallest executables.
pub(crate) const FLAGS: &[&str] = &[
    "-Os",
    "-s",
    "-Wall",
    "-Wextra",
    "-Werror",
    // Leave out unused functions and data.
    "-ffunction-sections",
    "-fdata-sections",
    "-Wl,--gc-sections",
    // Leave out relocations and the table of addresses.
    "-fno-pie",
    "-no-pie",
    "-Wl,-z,norelro",
    // Put constants beside the code, which saves a segment.
    "-Wl,--no-rosegment",
    // No notes.
    "-fno-ident",
    "-Wl,--build-id=none",
    "-fuse-ld=lld",
];

/// C needs no unwinding, and the stack protector would make each function larger.
const C_FLAGS: &[&str] = &[
    "-static",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
    "-fno-stack-protector",
];

/// The directory where programs are built, and their architecture.
pub struct Workbench {
    directory: PathBuf,
    target: &'static Target,
}

impl Workbench {
    /// A workbench with the compiler of this architecture, which is installed if it is missing.
    pub fn open(target: &'static Target) -> Result<Self> {
        target.compiler.ensure()?;
        let directory = paths::scratch(&format!("workbench/{}", target.name))?;
        Ok(Self { directory, target })
    }

    /// Runs the compiler; returns the path of the executable.
    pub fn compile(&self, mut command: Command, name: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        // Tests that run at the same time may build the same program.
        let partial = tempfile::NamedTempFile::new_in(&self.directory)?.into_temp_path();
        command.arg("-B").arg(linkers()?);
        tool::output(command.arg("-o").arg(&partial))?;
        partial.persist(&path)?;
        Ok(path)
    }

    /// A command that compiles the source with the libc of the compiler.
    pub(crate) fn c(&self, source: &Path) -> Command {
        let mut command = Command::new(self.gcc());
        command.args(FLAGS).args(C_FLAGS).arg(source);
        command
    }

    /// The same with Debian's musl, and libgcc.
    pub fn musl(&self, source: &Path) -> Result<Command> {
        let package = debian::unpack(&self.target.package(MUSL))?;
        let library = of_musl(&package.join("usr/lib"))?;
        let headers = of_musl(&package.join("usr/include"))?;
        let mut command = self.bare_c(source, &[&headers])?;
        command.args(["crt1.o", "crti.o", "libc.a"].map(|file| library.join(file)));
        command.arg("-lgcc").arg(library.join("crtn.o"));
        Ok(command)
    }

    /// The same with the kernel's nolibc, a libc in headers.
    pub(crate) fn nolibc(&self, source: &Path) -> Result<Command> {
        let kernel = kernels::find_for(self.target, kernels::DEFAULT)?;
        let (linux, headers) = kernel.headers()?;
        let nolibc = linux.join("tools/include/nolibc");
        let mut command = self.bare_c(source, &[&nolibc, &headers])?;
        command.args(["-DNOLIBC", "-include", "nolibc.h", "-lgcc"]);
        Ok(command)
    }

    /// Without the libc of the compiler: other headers, before those of the compiler itself.
    fn bare_c(&self, source: &Path, headers: &[&Path]) -> Result<Command> {
        let own = tool::output(Command::new(self.gcc()).arg("-print-file-name=include"))?;
        let mut command = self.c(source);
        command.args(["-nostdinc", "-nostdlib"]);
        for directory in headers.iter().copied().chain([Path::new(own.trim_end())]) {
            command.arg("-isystem").arg(directory);
        }
        Ok(command)
    }

    fn gcc(&self) -> String {
        format!("{}-gcc", self.target.gnu)
    }
}

/// The compiler and the linker with their versions.
pub(crate) fn versions(target: &Target) -> Result<[String; 2]> {
    let gcc = Command::new(format!("{}-gcc", target.gnu));
    let lld = Command::new(linkers()?.join("ld.lld"));
    Ok([first_line(gcc)?, first_line(lld)?])
}

/// The first line that a tool prints about its version.
pub(crate) fn first_line(mut command: Command) -> Result<String> {
    let text = tool::output(command.arg("--version"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// The directory in which gcc finds the linker of the active toolchain.
fn linkers() -> Result<PathBuf> {
    Ok(program::linker()?.with_file_name("gcc-ld"))
}

/// The entry of the directory whose name ends as those of musl do, after the architecture:
/// `-musl`, `-musleabihf`.
fn of_musl(directory: &Path) -> Result<PathBuf> {
    let mut entries = fs::read_dir(directory)?.flatten().map(|entry| entry.path());
    let found = entries.find(|path| path.to_string_lossy().contains("-linux-musl"));
    found.with_context(|| format!("no musl in {}", directory.display()))
}
