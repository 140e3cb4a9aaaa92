//! The release folder: what a user downloads, made by `cargo xtask dist`.
//!
//! | file | what it is |
//! |---|---|
//! | `vm_anon_name-ARCH`, `vm_anon_name-minimal-ARCH` | the executables |
//! | `NAME.debug` | the executable NAME as it was linked, with symbols and line numbers |
//! | `vm_anon_name-ARCH.cpio` | an initramfs with the program as `/init` |
//! | `vm_anon_name-append-ARCH.cpio` | the program as `/vm_anon_name`, to put before an initramfs |
//! | `vm_anon_name-VERSION.crate` | the source for image builders, with its revision |
//! | `vm_anon_name_VERSION_DEBARCH.deb` | the Debian package |
//! | `vm_anon_name.1` | the manual page |
//! | `NOTICES`, `sbom.cdx.json` | licences and list of what is linked in |
//! | `ktap/KERNEL.ktap` | what `check` reported on each kernel, run from the `.cpio` |
//! | `SHA256SUMS` | the sums of all other files |
//!
//! The same sources and compiler give the same bytes on every machine: no file contains the
//! build time, a local path or a host name. Where a format needs a time, it is the commit's.

mod deb;
mod dependencies;
mod executable;
mod notices;
mod sbom;
pub mod smoke;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use self::dependencies::Dependency;
use crate::checkout::Checkout;
use crate::conformance::{self, TestedKernel};
use crate::initramfs::Initramfs;
use crate::kernels::Kernel;
use crate::program::Build;
use crate::report::ExpectedResults;
use crate::target::Target;
use crate::{paths, source_package};

pub use self::executable::loaded_part;

/// Name of the file with the sums.
pub const SUMS: &str = "SHA256SUMS";

/// A release: the checkout, and what all its files have in common.
struct Release<'a> {
    checkout: &'a Checkout,
    version: String,
    /// Time of the commit, in seconds since 1970.
    time: u64,
    dependencies: Vec<Dependency>,
    notices: String,
}

/// Name of the full executable for an architecture.
pub fn executable_name(architecture: &str) -> String {
    format!("vm_anon_name-{architecture}")
}

/// Makes the release folder for these architectures, and runs `check` from it in each of the
/// kernels. An existing folder is replaced when the new one is complete.
pub fn make(
    checkout: &Checkout,
    folder: &Path,
    targets: &[&'static Target],
    kernels: &[&'static Kernel],
) -> Result<()> {
    let partial = paths::emptied(folder.with_added_extension("partial"))?;
    Release::of(checkout)?.fill(&partial, targets)?;
    for kernel in kernels {
        let ktap = paths::directory(partial.join("ktap"))?;
        let name = format!("{}.ktap", kernel.name);
        paths::write(&ktap.join(name), check(kernel, &partial)?)?;
    }
    write_sums(&partial)?;
    if folder.exists() {
        paths::remove(folder)?;
    }
    paths::rename(&partial, folder)
}

impl<'a> Release<'a> {
    fn of(checkout: &'a Checkout) -> Result<Self> {
        let time = checkout.git(&["log", "-1", "--format=%ct"])?;
        let (version, dependencies) = dependencies::of(checkout)?;
        let notices = notices::text(checkout, &dependencies)?;
        Ok(Self {
            checkout,
            version,
            time: time.parse().context("the time of the commit")?,
            dependencies,
            notices,
        })
    }

    fn fill(&self, folder: &Path, targets: &[&'static Target]) -> Result<()> {
        for target in targets {
            self.add_architecture(target, folder)?;
        }
        let archive = source_package::make_of(self.checkout)?;
        let name = archive.file_name().context("a package has a name")?;
        copy(&archive, &folder.join(name))?;
        let manual = self.read("tests/packaging/vm_anon_name.1")?;
        paths::write(&folder.join("vm_anon_name.1"), manual)?;
        paths::write(&folder.join("NOTICES"), &self.notices)?;
        paths::write(&folder.join("sbom.cdx.json"), sbom::text(self, targets)?)
    }

    fn add_architecture(&self, target: &'static Target, folder: &Path) -> Result<()> {
        let full = executable_name(target.name);
        let minimal = executable_name(&format!("minimal-{}", target.name));
        let program = self.add_executable(target, Build::Full, folder, &full)?;
        self.add_executable(target, Build::Minimal, folder, &minimal)?;

        let init = Initramfs::new().file("/init", 0o755, program.clone());
        // Without a directory: an entry for /bin would replace the symbolic link to /usr/bin.
        let appended = Initramfs::new().file("/vm_anon_name", 0o755, program.clone());
        let (init, appended) = (init.to_bytes()?, appended.to_bytes()?);
        paths::write(&folder.join(format!("{full}.cpio")), &init)?;
        let append = executable_name(&format!("append-{}.cpio", target.name));
        paths::write(&folder.join(append), &appended)?;

        let package = self.debian_package(target, program, init, appended)?;
        let name = format!("vm_anon_name_{}_{}.deb", self.version, target.debian);
        paths::write(&folder.join(name), package)
    }

    /// Adds the executable and the one with its symbols. Returns the former.
    fn add_executable(
        &self,
        target: &'static Target,
        build: Build,
        folder: &Path,
        name: &str,
    ) -> Result<Vec<u8>> {
        let linked = executable::build(self.checkout, target, build)?;
        let linked =
            fs::read(&linked).with_context(|| format!("cannot read {}", linked.display()))?;
        let program = loaded_part(&linked)?;
        paths::write(&folder.join(format!("{name}.debug")), linked)?;
        paths::write_executable(&folder.join(name), &program)?;
        Ok(program)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        let path = self.checkout.source.join(path);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

/// Boots the folder's initramfs with `check`; returns the report.
fn check(kernel: &'static Kernel, folder: &Path) -> Result<String> {
    let initramfs = folder.join(format!("{}.cpio", executable_name(kernel.target.name)));
    let name = format!("dist-{}", kernel.name);
    let boot = TestedKernel::Listed(kernel).boot(&initramfs, &name, &["check"])?;
    let report = conformance::read(&boot).with_context(|| kernel.name)?;
    let expected = ExpectedResults::load(kernel.name)?;
    let failed: Vec<&str> = report
        .failed()
        .map(|case| case.name.as_str())
        .filter(|name| expected.reference(name).is_none())
        .collect();
    ensure!(
        failed.is_empty(),
        "{}: {} failed",
        kernel.name,
        failed.join(", ")
    );
    Ok(ktap(&boot.text()))
}

/// The lines of the report, without what the console shows before and after.
fn ktap(console: &str) -> String {
    let mut report = String::new();
    for line in console.lines().skip_while(|line| *line != "KTAP version 1") {
        report.push_str(line);
        report.push('\n');
        if line.starts_with("# Totals:") {
            break;
        }
    }
    report
}

/// Writes the sums of all files, in the format of sha256sum(1).
fn write_sums(folder: &Path) -> Result<()> {
    let mut sums = String::new();
    for name in files(folder)? {
        let data = fs::read(folder.join(&name))?;
        sums.push_str(&format!("{}  {name}\n", sha256(&data)));
    }
    paths::write(&folder.join(SUMS), sums)
}

/// The paths of all files below the folder, in order.
pub fn files(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.file_type()?.is_dir() {
            true => {
                let inner = files(&entry.path())?;
                names.extend(inner.iter().map(|inner| format!("{name}/{inner}")));
            }
            false => names.push(name),
        }
    }
    names.sort();
    Ok(names)
}

/// The SHA-256 sum in hexadecimal digits.
fn sha256(data: &[u8]) -> String {
    let sum = Sha256::digest(data);
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let data = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    paths::write(to, data)
}
