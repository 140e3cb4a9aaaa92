//! Smoke test of a release folder: runs the executables and boots the archive to append as a user
//! would, by their names in the folder.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{SUMS, executable_name, files, sha256};
use crate::guest::{self, Kept};
use crate::kernels::{self, Kernel};
use crate::target::Target;

/// Time limit of a boot.
const DEADLINE: Duration = Duration::from_secs(120);

/// What the init of the booted image prints.
const OWN_INIT: &str = "the image's own init runs";

/// Compares the sums, then runs both executables and boots the archive to append, for each
/// architecture. The initramfs around them also has the program of the target directory, which is
/// not run.
pub fn test(folder: &Path, targets: &[&'static Target]) -> Result<()> {
    expect_sums(folder)?;
    for target in targets {
        let kernel = kernels::find_for(target, kernels::DEFAULT)?;
        let name = target.name;
        run_executables(kernel, folder).with_context(|| format!("the executables for {name}"))?;
        boot_appended(kernel, folder)
            .with_context(|| format!("the archive to append for {name}"))?;
    }
    Ok(())
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
    let target = kernel.target;
    let minimal = format!("minimal-{}", target.name);
    let initramfs = guest::initramfs_for(target, script)?
        .file("/bin/full", 0o755, read(folder, target.name)?)
        .file("/bin/minimal", 0o755, read(folder, &minimal)?);
    let name = format!("dist-executables-{}", target.name);
    let mut machine = kernel.machine(&initramfs.write(&name)?)?;
    machine.name = name;
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
    let target = kernel.target;
    let image = guest::initramfs_for(target, &format!("echo \"{OWN_INIT}\"\n"))?;
    let appended = read(folder, &format!("append-{}.cpio", target.name))?;
    let name = format!("dist-appended-{}", target.name);
    let path = image.write(&name)?;
    fs::write(&path, [appended, image.to_bytes()?].concat())?;
    let mut machine = kernel.machine(&path)?;
    machine.name = name;
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

fn read(folder: &Path, architecture: &str) -> Result<Vec<u8>> {
    let name = executable_name(architecture);
    fs::read(folder.join(&name)).with_context(|| format!("no file {name}"))
}
