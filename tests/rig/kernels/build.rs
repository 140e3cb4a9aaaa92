//! Kernel builds: from a package of sources to an image.
//!
//! Sources are unpacked once per version and shared; each kernel is built in a
//! directory of its own. An interrupted build resumes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::debian::Package;
use crate::host_packages;
use crate::paths;
use crate::progress::Progress;
use crate::target::Target;
use crate::tool;

/// Variables that make builds reproducible; see Documentation/kbuild/reproducible-builds.rst.
const IDENTITY: [(&str, &str); 4] = [
    ("KBUILD_BUILD_TIMESTAMP", "1970-01-01"),
    // By default it counts the builds in the tree.
    ("KBUILD_BUILD_VERSION", "1"),
    ("KBUILD_BUILD_USER", "rig"),
    ("KBUILD_BUILD_HOST", "vm_anon_name"),
];

/// Sources of a kernel and its build directory.
#[derive(Debug)]
pub struct Tree {
    /// Sources, which kernels of the same version share.
    pub source: PathBuf,
    /// Build directory.
    pub build: PathBuf,
    target: &'static Target,
    name: String,
    _lock: Option<File>,
}

/// Hash of a configuration, for file names.
pub(super) fn fingerprint(config: &str) -> String {
    let hash = Sha256::digest(config);
    hash[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Tree {
    /// Unpacks the sources and creates the build directory. The tree holds `lock`.
    pub(super) fn open(
        package: &Package,
        target: &'static Target,
        name: String,
        label: &str,
        lock: Option<File>,
    ) -> Result<Self> {
        host_packages::KERNEL_BUILD.ensure()?;
        target.compiler.ensure()?;
        Ok(Self {
            source: unpack(package)?,
            build: paths::directory(paths::cache("trees")?.join(label))?,
            target,
            name,
            _lock: lock,
        })
    }

    /// Path of the image of the last build.
    pub fn image(&self) -> PathBuf {
        self.build.join(self.target.image)
    }

    /// Runs make in the tree. Its output goes to `build.log` in the build directory.
    pub fn make(&self, arguments: &[&str]) -> Result<()> {
        match self.attempt(arguments)? {
            (true, _) => Ok(()),
            (false, output) => {
                let shown = tool::show(&self.make_command(arguments));
                let (log, output) = (self.log(), tool::tail(&output));
                bail!("{shown}\nfailed, see {}\n{output}", log.display())
            }
        }
    }

    /// Runs make as [`Tree::make`] does. Returns whether it succeeded, and its output.
    pub fn attempt(&self, arguments: &[&str]) -> Result<(bool, String)> {
        let goals = arguments.join(" ");
        let progress = Progress::start(format!("kernel {}: make {goals}", self.name));
        let log = self.log();
        let file = File::options().append(true).create(true).open(&log);
        let mut file = file.with_context(|| format!("cannot open {}", log.display()))?;
        let mut command = self.make_command(arguments);
        let shown = tool::show(&command);
        writeln!(file, "$ {shown}")?;
        let before = file.metadata()?.len();
        let succeeded = follow(&mut command, file, &progress);
        let succeeded = succeeded.with_context(|| format!("cannot run {shown}"))?;
        progress.done();
        let output = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        let output = output.get(usize::try_from(before)?..).unwrap_or_default();
        Ok((succeeded, String::from_utf8_lossy(output).into_owned()))
    }

    fn log(&self) -> PathBuf {
        self.build.join("build.log")
    }

    /// Configures the tree and builds the image, or completes an interrupted build.
    pub(super) fn build(&self, config: &str) -> Result<()> {
        self.configure(config)?;
        self.make(&[self.target.image_goal])
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

    /// A tree with the same sources and configuration in `directory`, created unless it
    /// is there. Its sources are hard links: to change a file, replace it.
    pub fn copy(&self, directory: &Path, lock: File) -> Result<Self> {
        let source = paths::directory(directory.to_owned())?.join("source");
        if !source.exists() {
            let partial = paths::emptied(source.with_added_extension("partial"))?;
            let mut copy = Command::new("cp");
            copy.args(["--archive", "--link", "--no-target-directory"]);
            tool::output(copy.args([&self.source, &partial]))?;
            // Objects of an earlier copy are newer than these sources: make would keep them.
            paths::emptied(directory.join("build"))?;
            paths::rename(&partial, &source)?;
        }
        let build = paths::directory(directory.join("build"))?;
        let config = build.join(".config");
        let parent = self.build.join(".config");
        if !config.exists() && parent.exists() {
            paths::write(&config, fs::read(parent)?)?;
        }
        Self::at(directory, self.target, self.name.clone(), lock)
    }

    /// The tree that [`Tree::copy`] made in this directory.
    pub(super) fn at(
        directory: &Path,
        target: &'static Target,
        name: String,
        lock: File,
    ) -> Result<Self> {
        Ok(Self {
            source: directory.join("source"),
            build: paths::directory(directory.join("build"))?,
            target,
            name: format!("{name}, a copy"),
            _lock: Some(lock),
        })
    }

    /// Copies the image, as `Image`, its configuration and the build log to a new directory.
    pub(super) fn deliver(&self, directory: &Path) -> Result<()> {
        let directory = paths::emptied(directory.to_owned())?;
        let files = [
            (self.target.image, "Image"),
            (".config", ".config"),
            ("build.log", "build.log"),
        ];
        for (file, name) in files {
            let from = self.build.join(file);
            fs::copy(&from, directory.join(name))
                .with_context(|| format!("cannot copy {}", from.display()))?;
        }
        Ok(())
    }

    fn make_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("make");
        command.arg("-C").arg(&self.source);
        command.arg(format!("O={}", self.build.display()));
        command.arg(format!("ARCH={}", self.target.linux));
        command.arg(format!("CROSS_COMPILE={}-", self.target.gnu));
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        command.arg(format!("-j{jobs}")).args(arguments);
        // If make runs the rig, the flags of that make do not apply here.
        command
            .env_remove("MAKEFLAGS")
            .env("LC_ALL", "C")
            .envs(IDENTITY);
        command
    }
}

/// Runs the command, logs and displays its output; returns whether it succeeded.
fn follow(command: &mut Command, mut log: File, progress: &Progress) -> io::Result<bool> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.stderr(log.try_clone()?).spawn()?;
    for line in child
        .stdout
        .take()
        .into_iter()
        .flat_map(|output| BufReader::new(output).lines())
    {
        let line = line?;
        progress.detail(&line);
        writeln!(log, "{line}")?;
    }
    Ok(child.wait()?.success())
}

/// Unpacks the sources in a package, and removes those of its other versions.
fn unpack(package: &Package) -> Result<PathBuf> {
    let sources = paths::cache("sources")?;
    let directory = sources.join(package.label());
    let _lock = paths::lock(&format!("sources-{}", package.name))?;
    if directory.exists() {
        return Ok(directory);
    }
    let unpacked = package.unpack()?;
    let progress = Progress::start(format!("unpacking {package}"));
    let partial = paths::emptied(directory.with_added_extension("partial"))?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--strip-components=1", "--directory"])
        .arg(&partial);
    tar.arg("--file")
        .arg(unpacked.join(format!("usr/src/{}.tar.xz", package.name)));
    tool::output(&mut tar)?;
    paths::rename(&partial, &directory)?;
    paths::remove(&unpacked)?;
    remove_others(package, &directory)?;
    progress.done();
    Ok(directory)
}

/// Removes the sources of all versions of the package but the current one.
fn remove_others(package: &Package, current: &Path) -> Result<()> {
    let prefix = format!("{}-", package.name);
    for entry in fs::read_dir(paths::cache("sources")?)?.flatten() {
        let is_same = entry.file_name().to_string_lossy().starts_with(&prefix);
        if is_same && entry.path() != current {
            paths::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Fails if an option that was asked for is not in the resulting configuration.
fn verify(asked: &str, got: &str) -> Result<()> {
    let got = options(got);
    let missing: Vec<String> = options(asked)
        .into_iter()
        .filter(|(name, value)| got.get(name).unwrap_or(&"n") != value)
        .map(|(name, value)| format!("CONFIG_{name}={value}"))
        .collect();
    if !missing.is_empty() {
        bail!(
            "this version of Linux does not accept {}",
            missing.join(", ")
        );
    }
    Ok(())
}

/// Options of a configuration. If an option is set twice, the last value counts.
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
