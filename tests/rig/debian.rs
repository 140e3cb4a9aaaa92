//! Debian packages of every suite, fetched with a private apt.
//!
//! The versions are pinned in `tests/debian.lock`, so that a run does not change when
//! Debian publishes a package. A package that is in the cache is used without asking
//! the archive. An archive serves a version for a limited time; when a pinned one is
//! gone, the newest one takes its place and a message says so.
//!
//! Old, present and future releases are searched. The machine's own apt is read only
//! for the addresses of its archives, so that a configured mirror is used here too.
//! Lists and packages are kept in the cache; apt verifies signatures with Debian's
//! keyring. A package is for arm64, or for all architectures, unless its name ends in a colon
//! and another architecture. Nothing is installed.

mod lock;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use debversion::Version;
use regex::Regex;

pub use self::lock::{pinned, update_pins};
use crate::paths;
use crate::progress::Progress;
use crate::tool;

/// Suites that are searched. An archive may lack some: old suites are moved away, new
/// ones do not exist yet. That is an error only if a package is not found.
const SUITES: &str = "bullseye bookworm trixie trixie-backports forky sid";
/// Suites that are searched for other architectures than arm64.
const SUITES_OF_OTHERS: &str = "bookworm trixie";
const SECURITY_SUITES: &str = "bullseye-security bookworm-security trixie-security forky-security";
/// The architecture of packages whose name does not say it.
const ARM64: &str = "arm64";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A package in one version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Version in Debian's notation. It is the first field, so that packages are ordered
    /// by version.
    pub version: Version,
    /// Name.
    pub name: String,
    /// Debian's name of the architecture whose lists it is in.
    pub architecture: String,
}

/// Error of a package that the archive does not serve in this version.
#[derive(Debug)]
pub struct NotServed(Package);

impl fmt::Display for NotServed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Debian does not serve {}", self.0)
    }
}

impl std::error::Error for NotServed {}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

impl Package {
    /// Version of the packaged software, without Debian's epoch and revision.
    pub fn upstream(&self) -> &str {
        &self.version.upstream_version
    }

    /// File name for files that belong to this version of the package.
    pub fn label(&self) -> String {
        let architecture = match self.architecture.as_str() {
            ARM64 => String::new(),
            other => format!(".{other}"),
        };
        // In a path, make takes the colon of an epoch for the end of a target.
        format!("{}{architecture}-{}", self.name, self.version).replace(':', ".")
    }

    /// Fetches and unpacks the package unless that is done; returns the directory
    /// with its files.
    pub fn unpack(&self) -> Result<PathBuf> {
        let directory = paths::cache("debian/unpacked")?.join(self.label());
        let _lock = paths::lock(&self.label())?;
        if !directory.exists() {
            self.expect_served()?;
            let progress = Progress::start(format!("fetching {self}"));
            self.unpack_into(&directory)?;
            progress.done();
        }
        Ok(directory)
    }

    fn unpack_into(&self, directory: &Path) -> Result<()> {
        let download = tempfile::tempdir().context("cannot create a directory")?;
        self.download(download.path())?;
        let partial = paths::emptied(directory.with_added_extension("partial"))?;
        let mut extract = Command::new("dpkg-deb");
        extract.arg("--extract");
        tool::output(extract.args([&only_entry(download.path())?, &partial]))?;
        paths::rename(&partial, directory)
    }

    /// Fails with [`NotServed`] if the package lists lack this version.
    fn expect_served(&self) -> Result<()> {
        let search = |archive: &Archive| archive.lists(self);
        match self.is_gone() || Archive::look_up(&self.architecture, search)?.is_none() {
            true => self.not_served(),
            false => Ok(()),
        }
    }

    fn download(&self, directory: &Path) -> Result<()> {
        let mut fetch = Archive::open(&self.architecture)?.apt("apt-get");
        fetch.arg("download").current_dir(directory);
        match tool::output(fetch.arg(format!("{}={}", self.name, self.version))) {
            // The list was fetched before the archive removed the file.
            Err(error) if error.to_string().contains("404  Not Found") => self.not_served(),
            outcome => outcome.map(drop),
        }
    }

    /// Notes that the archive does not serve the package, and fails.
    fn not_served(&self) -> Result<()> {
        paths::write(&self.gone()?, "")?;
        Err(NotServed(self.clone()).into())
    }

    /// Whether a search within the last day found that the archive does not serve the package.
    fn is_gone(&self) -> bool {
        self.gone().is_ok_and(|marker| paths::is_fresh(&marker))
    }

    fn gone(&self) -> Result<PathBuf> {
        Ok(paths::cache("debian/gone")?.join(self.label()))
    }
}

/// Calls `attempt` with the pinned version of the package whose whole name matches the
/// pattern. If it fails with [`NotServed`], calls it with the newest version served.
pub fn with_package<T>(pattern: &str, attempt: impl Fn(&Package) -> Result<T>) -> Result<T> {
    let pin = pinned(pattern)?;
    if let Some(pin) = &pin {
        match attempt(pin) {
            Err(error) if error.is::<NotServed>() => {}
            outcome => return outcome,
        }
    }
    loop {
        let package = newest(pattern)?;
        match attempt(&package) {
            // The lists may name files that the archive has removed: try an older version.
            Err(error) if error.is::<NotServed>() => {}
            outcome => {
                if let Some(pin) = &pin {
                    note_substitute(pin, &package);
                }
                return outcome;
            }
        }
    }
}

/// Says once per process that the newest version replaces the pinned one.
fn note_substitute(pin: &Package, newest: &Package) {
    static NOTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
    if noted.insert(pin.label()) {
        eprintln!(
            "tests/debian.lock pins {pin}, which Debian does not serve any more; \
             taking {newest}. `cargo xtask kernels --update` pins that."
        );
    }
}

/// Fetches and unpacks a package by its name; see [`Package::unpack`].
pub fn unpack(name: &str) -> Result<PathBuf> {
    with_package(&literal(name), Package::unpack)
}

/// The version of a package that [`unpack`] unpacks.
pub fn version(name: &str) -> Result<Version> {
    with_package(&literal(name), |package| {
        package.unpack()?;
        Ok(package.version.clone())
    })
}

/// The pattern that matches this name alone.
fn literal(name: &str) -> String {
    name.replace('.', r"\.").replace('+', r"\+")
}

/// The pattern of the name, and the architecture that follows it after a colon.
fn split(pattern: &str) -> (&str, &str) {
    pattern.rsplit_once(':').unwrap_or((pattern, ARM64))
}

/// The newest served version of all packages whose whole name matches the pattern.
fn newest(pattern: &str) -> Result<Package> {
    let (name, architecture) = split(pattern);
    Archive::look_up(architecture, |archive| archive.newest(name))?.with_context(|| {
        let stamp = Archive::open(architecture).map(|archive| archive.stamp());
        let messages = stamp.and_then(|stamp| Ok(fs::read_to_string(stamp)?));
        let messages = messages.unwrap_or_default();
        format!("no suite of Debian has a package {pattern}\n{messages}")
    })
}

/// Root directory of the private apt, and the architecture of its lists.
struct Archive {
    root: PathBuf,
    architecture: String,
}

impl Archive {
    fn open(architecture: &str) -> Result<Self> {
        let root = match architecture {
            ARM64 => paths::cache("debian/apt")?,
            other => paths::cache(&format!("debian/apt-{other}"))?,
        };
        paths::directory(root.join("state/lists/partial"))?;
        paths::directory(root.join("cache/archives/partial"))?;
        paths::write(&root.join("status"), "")?;
        Ok(Self {
            root,
            architecture: architecture.to_owned(),
        })
    }

    /// Searches package lists that are at most a day old, then, if that finds nothing,
    /// current ones. If the archives cannot be reached, older lists are searched.
    fn look_up<T>(
        architecture: &str,
        search: impl Fn(&Self) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let archive = Self::open(architecture)?;
        let _lock = paths::lock("debian")?;
        if paths::is_fresh(&archive.stamp())
            && let Some(found) = search(&archive)?
        {
            return Ok(Some(found));
        }
        archive.refresh()?;
        search(&archive)
    }

    /// One of apt's tools, with this root instead of the machine's.
    fn apt(&self, tool: &str) -> Command {
        let root = self.root.display();
        let mut command = Command::new(tool);
        let options = [
            format!("Dir::Etc::SourceList={root}/debian.sources"),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            "Dir::Etc::Preferences=/dev/null".to_owned(),
            "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
            format!("Dir::State={root}/state"),
            format!("Dir::State::Lists={root}/state/lists"),
            format!("Dir::State::Status={root}/status"),
            format!("Dir::Cache={root}/cache"),
            // Container images switch these caches off; queries then take seconds.
            "Dir::Cache::pkgcache=pkgcache.bin".to_owned(),
            "Dir::Cache::srcpkgcache=srcpkgcache.bin".to_owned(),
            format!("APT::Architecture={}", self.architecture),
            format!("APT::Architectures={}", self.architecture),
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::GzipIndexes=true".to_owned(),
        ];
        command.env("LC_ALL", "C.UTF-8").arg("--quiet");
        for option in options {
            command.args(["-o", &option]);
        }
        command
    }

    /// Fetches the package lists of all suites, once per process.
    fn refresh(&self) -> Result<()> {
        static OUTCOMES: Mutex<BTreeMap<String, Result<(), String>>> = Mutex::new(BTreeMap::new());
        let mut outcomes = OUTCOMES.lock().unwrap_or_else(PoisonError::into_inner);
        let fetch = || self.fetch_lists().map_err(|error| format!("{error:#}"));
        let outcome = outcomes.entry(self.architecture.clone());
        outcome
            .or_insert_with(fetch)
            .clone()
            .map_err(|error| anyhow!(error))
    }

    fn fetch_lists(&self) -> Result<()> {
        let progress = Progress::start("fetching Debian's package lists");
        paths::write(
            &self.root.join("debian.sources"),
            sources(&self.architecture)?,
        )?;
        let mut update = self.apt("apt-get");
        let output = update
            .arg("update")
            .output()
            .with_context(|| format!("cannot run {}", tool::show(&update)))?;
        let messages = tool::tail(&String::from_utf8_lossy(&output.stderr));
        // apt fails if one suite fails, but it keeps the lists of the others. Without a
        // network, it keeps the previous lists.
        if !self.has_lists()? {
            bail!("Debian's package lists cannot be fetched\n{messages}");
        }
        paths::write(&self.stamp(), messages)?;
        progress.done();
        Ok(())
    }

    fn has_lists(&self) -> Result<bool> {
        let mut files = fs::read_dir(self.root.join("state/lists"))?.flatten();
        Ok(files.any(|file| file.file_name().to_string_lossy().contains("_Packages")))
    }

    /// File with apt's messages of the last update. Its modification time is the time of
    /// that update.
    fn stamp(&self) -> PathBuf {
        self.root.join("refreshed")
    }

    /// The package, if the lists have it in this version.
    fn lists(&self, package: &Package) -> Result<Option<()>> {
        let versions = self.matching(&literal(&package.name))?;
        Ok(versions.contains(package).then_some(()))
    }

    /// The newest package that matches the pattern and is served.
    fn newest(&self, pattern: &str) -> Result<Option<Package>> {
        let packages = self.matching(pattern)?.into_iter();
        Ok(packages.filter(|package| !package.is_gone()).max())
    }

    /// All versions of all packages whose whole name matches the pattern.
    fn matching(&self, pattern: &str) -> Result<Vec<Package>> {
        let whole = Regex::new(&format!("^(?:{pattern})$"))?;
        let names = tool::output(self.apt("apt-cache").arg("pkgnames"))?;
        let names: Vec<&str> = names.lines().filter(|name| whole.is_match(name)).collect();
        if names.is_empty() {
            // apt-cache fails without a package name.
            return Ok(Vec::new());
        }
        let mut show = self.apt("apt-cache");
        let records = tool::output(show.args(["show", "--all-versions"]).args(&names))?;
        Ok(packages(&records, &self.architecture).collect())
    }
}

/// The packages that apt's records describe, which blank lines separate.
fn packages(records: &str, architecture: &str) -> impl Iterator<Item = Package> {
    records.split("\n\n").filter_map(move |record| {
        let field = |name: &str| record.lines().find_map(|line| line.strip_prefix(name));
        Some(Package {
            version: field("Version: ")?.parse().ok()?,
            name: field("Package: ")?.to_owned(),
            architecture: architecture.to_owned(),
        })
    })
}

/// Address of the archive that this machine uses.
pub fn mirror() -> Result<String> {
    let mut sources = machine_sources()?.into_iter();
    let main = sources.find(|source| !source.is_security());
    let main = main.context("this machine's apt has no Debian archive among its sources")?;
    Ok(main.address)
}

/// The sources for apt in the format of sources.list(5).
fn sources(architecture: &str) -> Result<String> {
    let sources = machine_sources()?;
    let suites = match architecture {
        ARM64 => SUITES,
        _ => SUITES_OF_OTHERS,
    };
    let mut text = stanza(&mirror()?, suites, architecture);
    if let Some(security) = sources.iter().find(|source| source.is_security()) {
        text.push('\n');
        text.push_str(&stanza(&security.address, SECURITY_SUITES, architecture));
    }
    Ok(text)
}

/// One entry of the sources. `Targets` leaves out translations and icons.
fn stanza(address: &str, suites: &str, architecture: &str) -> String {
    format!(
        "Types: deb\nURIs: {address}\nSuites: {suites}\nComponents: main\n\
         Architectures: {architecture}\nTargets: Packages\nSigned-By: {KEYRING}\n"
    )
}

/// A suite of an archive that the machine's own apt uses.
struct Source {
    address: String,
    suite: String,
}

impl Source {
    fn is_security(&self) -> bool {
        self.suite.ends_with("-security")
    }
}

fn machine_sources() -> Result<Vec<Source>> {
    let known = index_targets(&["Origin: Debian"])?;
    if !known.is_empty() {
        return Ok(known);
    }
    // Before the first `apt-get update` the origin of an archive is not known, so Debian's
    // archives are recognised by the names of their suites.
    let mut configured = index_targets(&["--no-release-info"])?;
    configured.retain(|source| {
        let release = source.suite.split('-').next();
        SUITES.split(' ').any(|suite| Some(suite) == release)
    });
    Ok(configured)
}

fn index_targets(extra: &[&str]) -> Result<Vec<Source>> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE)"]);
    command.args(["Created-By: Packages", "Component: main"]);
    let listed = tool::output(command.args(extra))?;
    let pairs = listed.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs
        .map(|(address, suite)| Source {
            address: address.to_owned(),
            suite: suite.to_owned(),
        })
        .collect())
}

fn only_entry(directory: &Path) -> Result<PathBuf> {
    let entry = fs::read_dir(directory)?.next();
    let entry = entry.with_context(|| format!("{} is empty", directory.display()))?;
    Ok(entry?.path())
}
