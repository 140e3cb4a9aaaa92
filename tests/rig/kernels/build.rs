//! From a package of kernel sources to an image.
//!
//! Sources are unpacked once per version and shared; each kernel is built in a
//! directory of its own. An interrupted build goes on where it stopped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::debian::Package;
use crate::host;
use crate::paths;
use crate::progress::Step;
use crate::tool;

/// Where Kbuild leaves what QEMU boots.
const IMAGE: &str = "arch/arm64/boot/Image";

/// The same on every machine and day, so that equal inputs give equal images.
const IDENTITY: [(&str, &str); 4] = [
    ("KBUILD_BUILD_TIMESTAMP", "1970-01-01"),
    // Else it counts how often the tree was built.
    ("KBUILD_BUILD_VERSION", "1"),
    ("KBUILD_BUILD_USER", "rig"),
    ("KBUILD_BUILD_HOST", "vm_anon_name"),
];

/// The sources of a kernel and the directory it is built in.
#[derive(Debug)]
pub struct Tree {
    /// The sources, which other kernels of the same version share.
    pub source: PathBuf,
    /// The directory of all that is made from them.
    pub build: PathBuf,
    name: String,
    _lock: Option<File>,
}

/// A short name for a configuration.
pub(super) fn fingerprint(config: &str) -> String {
    let hash = Sha256::digest(config);
    hash[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Tree {
    /// The tree of that label; `lock` is held as long as the tree is.
    pub(super) fn open(
        package: &Package,
        name: String,
        label: &str,
        lock: Option<File>,
    ) -> Result<Self> {
        host::KERNEL_BUILD.ensure()?;
        Ok(Self {
            source: unpack(package)?,
            build: paths::directory(paths::cache("trees")?.join(label))?,
            name,
            _lock: lock,
        })
    }

    /// The image last built.
    pub fn image(&self) -> PathBuf {
        self.build.join(IMAGE)
    }

    /// Runs make in the tree; what it says goes to the log beside the image.
    pub fn make(&self, arguments: &[&str]) -> Result<()> {
        match self.attempt(arguments)? {
            (true, _) => Ok(()),
            (false, said) => {
                let shown = tool::show(&self.make_command(arguments));
                let (log, said) = (self.log(), tool::tail(&said));
                bail!("{shown}\nfailed, see {}\n{said}", log.display())
            }
        }
    }

    /// The same, but returns whether make succeeded, and all that it said.
    pub fn attempt(&self, arguments: &[&str]) -> Result<(bool, String)> {
        let goals = arguments.join(" ");
        let step = Step::start(format!("kernel {}: make {goals}", self.name));
        let log = self.log();
        let file = File::options().append(true).create(true).open(&log);
        let mut file = file.with_context(|| format!("cannot open {}", log.display()))?;
        let mut command = self.make_command(arguments);
        let shown = tool::show(&command);
        writeln!(file, "$ {shown}")?;
        let before = file.metadata()?.len();
        let succeeded = follow(&mut command, file, &step);
        let succeeded = succeeded.with_context(|| format!("cannot run {shown}"))?;
        step.done();
        let said = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        let said = said.get(usize::try_from(before)?..).unwrap_or_default();
        Ok((succeeded, String::from_utf8_lossy(said).into_owned()))
    }

    fn log(&self) -> PathBuf {
        self.build.join("build.log")
    }

    /// Configures the tree and builds the image. Where that was begun before,
    /// Kbuild finds by itself what is still to be done.
    pub(super) fn build(&self, config: &str) -> Result<()> {
        self.configure(config)?;
        self.make(&["Image"])
    }

    /// Configures the tree.
    pub(super) fn configure(&self, config: &str) -> Result<()> {
        let file = self.build.join(".config");
        self.make(&["tinyconfig"])?;
        let mut tiny = File::options().append(true).open(&file)?;
        tiny.write_all(config.as_bytes())?;
        self.make(&["olddefconfig"])?;
        verify(config, &fs::read_to_string(&file)?)
    }

    /// A tree of the same sources and options in a directory of its own, made the
    /// first time. The sources are hard links: to change one, replace it.
    pub fn copy(&self, directory: &Path, lock: File) -> Result<Self> {
        let source = paths::directory(directory.to_owned())?.join("source");
        if !source.exists() {
            let partial = paths::emptied(source.with_added_extension("partial"))?;
            let mut copy = Command::new("cp");
            copy.args(["--archive", "--link", "--no-target-directory"]);
            tool::output(copy.args([&self.source, &partial]))?;
            // Objects of a build before would be younger than these, and be kept.
            paths::emptied(directory.join("build"))?;
            paths::rename(&partial, &source)?;
        }
        let build = paths::directory(directory.join("build"))?;
        let config = build.join(".config");
        let parent = self.build.join(".config");
        if !config.exists() && parent.exists() {
            paths::write(&config, fs::read(parent)?)?;
        }
        Self::at(directory, self.name.clone(), lock)
    }

    /// The tree that [`Tree::copy`] made in this directory.
    pub(super) fn at(directory: &Path, name: String, lock: File) -> Result<Self> {
        Ok(Self {
            source: directory.join("source"),
            build: paths::directory(directory.join("build"))?,
            name: format!("{name}, a copy"),
            _lock: Some(lock),
        })
    }

    /// Copies the image, and how it came about, to a new directory.
    pub(super) fn deliver(&self, directory: &Path) -> Result<()> {
        let directory = paths::emptied(directory.to_owned())?;
        for file in [IMAGE, ".config", "build.log"] {
            let from = self.build.join(file);
            let name = from.file_name().context("a file has a name")?;
            fs::copy(&from, directory.join(name))
                .with_context(|| format!("cannot copy {}", from.display()))?;
        }
        Ok(())
    }

    fn make_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("make");
        command.arg("-C").arg(&self.source);
        command.arg(format!("O={}", self.build.display()));
        command.args(["ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"]);
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        command.arg(format!("-j{jobs}")).args(arguments);
        // Flags of a make that may have started the rig are not for this one.
        command
            .env_remove("MAKEFLAGS")
            .env("LC_ALL", "C")
            .envs(IDENTITY);
        command
    }
}

/// Runs the command, logs and shows its lines, and tells whether it succeeded.
fn follow(command: &mut Command, mut log: File, step: &Step) -> io::Result<bool> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.stderr(log.try_clone()?).spawn()?;
    for line in child
        .stdout
        .take()
        .into_iter()
        .flat_map(|output| BufReader::new(output).lines())
    {
        let line = line?;
        step.detail(&line);
        writeln!(log, "{line}")?;
    }
    Ok(child.wait()?.success())
}

/// Unpacks the sources a package carries, in place of those of older versions.
fn unpack(package: &Package) -> Result<PathBuf> {
    let sources = paths::cache("sources")?;
    let directory = sources.join(package.label());
    let _lock = paths::lock(&format!("sources-{}", package.name))?;
    if directory.exists() {
        return Ok(directory);
    }
    let unpacked = package.unpack()?;
    let step = Step::start(format!("unpacking {} {}", package.name, package.version));
    let partial = paths::emptied(directory.with_added_extension("partial"))?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--strip-components=1", "--directory"])
        .arg(&partial);
    tar.arg("--file")
        .arg(unpacked.join(format!("usr/src/{}.tar.xz", package.name)));
    tool::output(&mut tar)?;
    paths::rename(&partial, &directory)?;
    paths::remove(&unpacked)?;
    forget_older(package, &directory)?;
    step.done();
    Ok(directory)
}

/// Removes the sources this package had in other versions.
fn forget_older(package: &Package, current: &Path) -> Result<()> {
    let prefix = format!("{}-", package.name);
    for entry in fs::read_dir(paths::cache("sources")?)?.flatten() {
        let is_same = entry.file_name().to_string_lossy().starts_with(&prefix);
        if is_same && entry.path() != current {
            paths::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Fails with the options asked for that the kernel did not take over.
fn verify(asked: &str, got: &str) -> Result<()> {
    let got = options(got);
    let missing: Vec<String> = options(asked)
        .into_iter()
        .filter(|(name, value)| got.get(name).unwrap_or(&"n") != value)
        .map(|(name, value)| format!("CONFIG_{name}={value}"))
        .collect();
    if !missing.is_empty() {
        bail!("this kernel does not take {}", missing.join(", "));
    }
    Ok(())
}

/// The options of a configuration; of one set twice the last value, as in Kconfig.
fn options(config: &str) -> BTreeMap<&str, &str> {
    config.lines().filter_map(parse_option).collect()
}

/// `CONFIG_X=value`, or `# CONFIG_X is not set` for the value `n`.
pub(super) fn parse_option(line: &str) -> Option<(&str, &str)> {
    if let Some(rest) = line.strip_prefix("# CONFIG_") {
        return Some((rest.strip_suffix(" is not set")?, "n"));
    }
    line.strip_prefix("CONFIG_")?.split_once('=')
}
