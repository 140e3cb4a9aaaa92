//! The README: its commands do what it says.
//!
//! The word after `shell` says where the commands of a block are typed: `board` in a guest,
//! `downloads` in a release folder, `clone` in a clone of the repository.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use libtest_mimic::Trial;
use rig::checkout::{Checkout, git};
use rig::dist;
use rig::guest::{self, Kept};
use rig::kernels::{self, Kernel};
use rig::target::AARCH64;
use rig::{host_packages, paths, program, tool};

use crate::clones;
use crate::trial;

/// Time limit of a boot.
const DEADLINE: Duration = Duration::from_secs(120);

/// What the init of the README's image `initrd.img` prints.
const OWN_INIT: &str = "the image's own init runs";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("readme::every command is tested", every_block_is_known),
        trial("readme::commands on a board", on_a_board),
        trial("readme::commands on downloaded files", on_downloaded_files),
        trial("readme::commands in a clone", in_a_clone),
    ]
}

/// A block of commands.
struct Block {
    /// Where they are typed.
    place: String,
    commands: String,
}

/// The blocks of commands in the README, in order.
fn blocks() -> Result<Vec<Block>> {
    let text = fs::read_to_string(paths::workspace().join("README.md"))?;
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in text.lines() {
        let Some(language) = line.strip_prefix("```") else {
            if let Some(block) = &mut open {
                block.commands.push_str(line);
                block.commands.push('\n');
            }
            continue;
        };
        if let Some(block) = open.take() {
            blocks.push(block);
            continue;
        }
        let (language, place) = language.split_once(' ').unwrap_or((language, ""));
        open = Some(Block {
            place: match language {
                "shell" => place.to_owned(),
                other => other.to_owned(),
            },
            commands: String::new(),
        });
    }
    Ok(blocks)
}

/// The commands that are typed at that place, as one script.
fn commands(place: &str) -> Result<String> {
    let blocks = blocks()?;
    let commands = blocks.iter().filter(|block| block.place == place);
    let commands: String = commands.map(|block| block.commands.as_str()).collect();
    ensure!(
        !commands.is_empty(),
        "the README has no block `shell {place}`"
    );
    Ok(commands)
}

/// A block without commands is `text`.
fn every_block_is_known() -> Result<()> {
    for block in blocks()? {
        let place = block.place.as_str();
        ensure!(
            ["board", "downloads", "clone", "text"].contains(&place),
            "a block of the kind '{place}' is not tested:\n{}",
            block.commands
        );
    }
    Ok(())
}

/// A folder with the files of a release for one architecture.
fn release(name: &str) -> Result<PathBuf> {
    let folder = paths::scratch("readme")?.join(name);
    dist::make(&Checkout::own("dist")?, &folder, &[&AARCH64], &[])?;
    Ok(folder)
}

fn on_a_board() -> Result<()> {
    let folder = release("board")?;
    let script = format!(
        "cd /board\n(set -e\n{}) > /tmp/output 2>&1\n\
         echo $? > /tmp/status\n\
         for file in /tmp/output /tmp/status report.ktap; do keep ${{file##*/}} $file; done\n",
        commands("board")?
    );
    let program = fs::read(folder.join(dist::executable_name(AARCH64.name)))?;
    let initramfs = guest::initramfs(&script)?
        .directory("/board", 0o755)
        // Not executable, as scp or a browser leaves it.
        .file("/board/vm_anon_name-aarch64", 0o644, program);
    let mut machine = kernel()?.machine(&initramfs.write("readme-board")?)?;
    machine.name = "readme-board".to_owned();
    let boot = machine.run(DEADLINE)?;
    boot.expect_power_off()?;
    let kept = Kept::of(boot.text())?;
    let output = kept.text("output")?;
    ensure!(kept.text("status")? == "0\n", "{output}");
    expect(
        output,
        &[
            "supported: Linux ",
            "The first and the last maps are the same.",
        ],
    )?;
    expect(kept.text("report.ktap")?, &["KTAP version 1", " fail:0 "])
}

fn on_downloaded_files() -> Result<()> {
    host_packages::CROSS_LIBC.ensure()?;
    AARCH64.emulator.ensure()?;
    let folder = release("downloads")?;
    let kernel = kernel()?;
    symlink(kernel.image()?.path, folder.join("Image"))?;
    let initrd = guest::initramfs(&format!("echo \"{OWN_INIT}\"\n"))?;
    let file = File::create(folder.join("initrd.img"))?;
    GzEncoder::new(file, Compression::fast()).write_all(&initrd.to_bytes()?)?;

    // If the active toolchain lacks the target, this is Debian's compiler, without rust-lld.
    let cargo = program::cross_cargo(&AARCH64, "build")?;
    let output = type_in(&folder, &cargo, &commands("downloads")?)?;
    expect(&output, &["vm_anon_name-aarch64: OK", " fail:0 "])?;
    boot_both(kernel, &folder.join("both.img"))
}

/// Boots the image that the README makes, with the kernel parameters that it names.
fn boot_both(kernel: &Kernel, image: &Path) -> Result<()> {
    const PARAMETERS: &str = "rdinit=/vm_anon_name -- probe --then /init";
    let readme = fs::read_to_string(paths::workspace().join("README.md"))?;
    ensure!(
        readme.contains(PARAMETERS),
        "the README lacks '{PARAMETERS}'"
    );
    let mut machine = kernel.machine(image)?;
    machine.name = "readme-both".to_owned();
    machine.append = PARAMETERS.to_owned();
    let boot = machine.run(DEADLINE)?;
    boot.expect_power_off()?;
    expect(&boot.text(), &["supported: Linux ", OWN_INIT])
}

fn in_a_clone() -> Result<()> {
    let place = paths::scratch("readme")?;
    let clone = place.join("clone");
    clones::update(&clone, &clones::revision()?)?;
    // Cargo takes the two rigs for the same package. With one target directory for both,
    // `cargo xtask` in this checkout would run the clone's rig, on the clone's files.
    let target = paths::directory(place.join("target"))?;
    let script = format!(
        "export CARGO_TARGET_DIR='{}'\n{}",
        target.display(),
        commands("clone")?
    );
    let output = type_in(&clone, &program::cargo("run"), &script)?;
    expect(&output, &["supported: Linux "])?;
    let changes = git(&clone, &["status", "--porcelain"])?;
    ensure!(
        changes.is_empty(),
        "the commands change the clone: {changes}"
    );
    Ok(())
}

fn kernel() -> Result<&'static Kernel> {
    kernels::find(kernels::DEFAULT)
}

/// Runs the commands in a directory, with the environment of `cargo`; returns their output. Stops
/// at the first command that fails.
fn type_in(directory: &Path, cargo: &Command, commands: &str) -> Result<String> {
    let mut shell = Command::new("bash");
    shell.args([
        "-e",
        "-u",
        "-o",
        "pipefail",
        "-c",
        &format!("exec 2>&1\n{commands}"),
    ]);
    shell.current_dir(directory).stdin(Stdio::null());
    for (name, value) in cargo.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let linker = program::linker()?;
    let tools = linker.parent().context("a linker has a directory")?;
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([tools.into()].into_iter().chain(env::split_paths(&path)))?;
    shell.env("PATH", path).env("CARGO_NET_OFFLINE", "true");
    let output = shell.output().context("cannot run bash")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{}\n{commands}\n{}", output.status, tool::tail(&text));
    }
    Ok(text)
}

fn expect(text: &str, words: &[&str]) -> Result<()> {
    for words in words {
        ensure!(text.contains(words), "no '{words}' in\n{text}");
    }
    Ok(())
}
