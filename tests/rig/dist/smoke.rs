//! Smoke test of a release folder: boots its files as a user would boot them, by their names in
//! the folder. Nothing comes from the target directory.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{SUMS, executable_name, files, sha256};
use crate::guest::{self, Kept};
use crate::kernels::{self, Kernel};

/// Time limit of a boot.
const DEADLINE: Duration = Duration::from_secs(120);

/// What the init of the booted image prints.
const OWN_INIT: &str = "the image's own init runs";

/// Compares the sums, then boots the executables and the archives.
pub fn test(folder: &Path) -> Result<()> {
    expect_sums(folder)?;
    let kernel = kernels::find(kernels::DEFAULT)?;
    run_executables(kernel, folder).context("the executables")?;
    boot_appended(kernel, folder).context("the archive to append")
}

fn expect_sums(folder: &Path) -> Result<()> {
    let sums = fs::read_to_string(folder.join(SUMS)).context("no sums")?;
    let mut listed = Vec::new();
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").context("a line without a name")?;
        let data = fs::read(folder.join(name)).with_context(|| format!("no file {name}"))?;
        ensure!(sha256(&data) == sum, "{name} has another sum");
        listed.push(name);
    }
    let mut there = files(folder)?;
    there.retain(|name| name != SUMS);
    ensure!(
        listed == there,
        "the sums are those of {listed:?}, not of {there:?}"
    );
    Ok(())
}

/// Runs both executables from a shell.
fn run_executables(kernel: &Kernel, folder: &Path) -> Result<()> {
    let script = "full --version > /tmp/version; keep version /tmp/version\n\
        full probe > /tmp/probe; keep probe /tmp/probe\n\
        minimal > /tmp/stages < /dev/null; keep stages /tmp/stages\n";
    let initramfs = guest::initramfs(script)?
        .file("/bin/full", 0o755, executable(folder, "aarch64")?)
        .file(
            "/bin/minimal",
            0o755,
            executable(folder, "minimal-aarch64")?,
        );
    let mut machine = kernel.machine(&initramfs.write("dist-executables")?)?;
    machine.name = "dist-executables".to_owned();
    let boot = machine.run(DEADLINE)?;
    boot.expect_power_off()?;
    let kept = Kept::of(boot.text())?;
    let version = format!("vm_anon_name {} (", env!("CARGO_PKG_VERSION"));
    for (name, start) in [
        ("version", version.as_str()),
        ("probe", "supported: Linux "),
        (
            "stages",
            "Memory map a region and print vm_area_struct\nPID: ",
        ),
    ] {
        let text = kept.text(name)?;
        ensure!(text.starts_with(start), "{name}: {text}");
    }
    ensure!(
        !kept.text("version")?.contains("(unknown)"),
        "the executable does not know its revision"
    );
    Ok(())
}

/// Boots an image with the archive before it: `probe` runs first, then the image's own init.
fn boot_appended(kernel: &Kernel, folder: &Path) -> Result<()> {
    let image = guest::initramfs(&format!("echo \"{OWN_INIT}\"\n"))?;
    let name = executable_name("append-aarch64.cpio");
    let appended = fs::read(folder.join(&name)).with_context(|| format!("no file {name}"))?;
    let path = image.write("dist-appended")?;
    fs::write(&path, [appended, image.to_bytes()?].concat())?;
    let mut machine = kernel.machine(&path)?;
    machine.name = "dist-appended".to_owned();
    machine.append = "rdinit=/vm_anon_name".to_owned();
    machine.args = ["probe", "--then", "/init"].map(str::to_owned).to_vec();
    let boot = machine.run(DEADLINE)?;
    boot.expect_power_off()?;
    let text = boot.text();
    for words in ["supported: Linux ", OWN_INIT] {
        ensure!(text.contains(words), "no '{words}' in\n{text}");
    }
    Ok(())
}

fn executable(folder: &Path, architecture: &str) -> Result<Vec<u8>> {
    let name = executable_name(architecture);
    fs::read(folder.join(&name)).with_context(|| format!("no file {name}"))
}
