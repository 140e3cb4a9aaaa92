//! A private apt that sees every suite of Debian.
//!
//! Old, present and coming releases are all looked at, and of a package the
//! newest version counts. The machine's own apt is only read: for the addresses
//! it fetches from, so that a mirror configured there serves here too. Lists and
//! packages live in the cache; signatures are checked with Debian's keyring.
//!
//! Packages are those for arm64 or for all architectures; nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};
use debversion::Version;
use regex::Regex;

use crate::paths;
use crate::progress::Progress;
use crate::tool;

/// The suites asked. One that cannot be had, because it is archived or not yet
/// there, is missed only when a package cannot be found without it.
const SUITES: &str = "bullseye bookworm trixie trixie-backports forky sid";
const SECURITY_SUITES: &str = "bullseye-security bookworm-security trixie-security forky-security";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A package in its newest version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Debian's version; the first field, as packages compare by it.
    pub version: Version,
    /// The name it is fetched by.
    pub name: String,
}

impl Package {
    /// The version of the software itself, without Debian's own suffixes.
    pub fn upstream(&self) -> &str {
        &self.version.upstream_version
    }

    /// A name for files that belong to this very version.
    pub fn label(&self) -> String {
        // An epoch's colon would end a path in make's eyes.
        format!("{}-{}", self.name, self.version).replace(':', ".")
    }

    /// Fetches the package and unpacks it, once; returns the directory that
    /// holds its files.
    pub fn unpack(&self) -> Result<PathBuf> {
        let directory = paths::cache("debian/unpacked")?.join(self.label());
        let _lock = paths::lock(&self.label())?;
        if !directory.exists() {
            let progress = Progress::start(format!("fetching {} {}", self.name, self.version));
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

    fn download(&self, directory: &Path) -> Result<()> {
        let mut fetch = Archive::open()?.apt("apt-get");
        fetch.arg("download").current_dir(directory);
        let outcome = tool::output(fetch.arg(format!("{}={}", self.name, self.version)));
        if let Err(error) = &outcome
            && error.to_string().contains("404  Not Found")
        {
            paths::write(&self.gone()?, "")?;
            bail!(
                "Debian lists {} {}, but no longer has it",
                self.name,
                self.version
            );
        }
        outcome.map(drop)
    }

    /// Whether the archive was found, within the last day, not to have the file.
    fn is_gone(&self) -> bool {
        self.gone().is_ok_and(|marker| paths::is_fresh(&marker))
    }

    fn gone(&self) -> Result<PathBuf> {
        Ok(paths::cache("debian/gone")?.join(self.label()))
    }
}

/// The newest of all packages whose whole name matches the pattern.
///
/// The answer is remembered for a day, and for longer while the archive cannot
/// be reached.
pub fn newest(pattern: &str) -> Result<Package> {
    let memo = paths::cache("debian/newest")?.join(file_name(pattern));
    let remembered = recall(&memo).filter(|package| !package.is_gone());
    match remembered {
        Some(package) if paths::is_fresh(&memo) => Ok(package),
        _ => renew(pattern, &memo, remembered),
    }
}

/// Does something that needs the newest package unpacked. Lists outlive files
/// at times; then the next older package gets its turn.
pub fn with_newest<T>(pattern: &str, attempt: impl Fn(&Package) -> Result<T>) -> Result<T> {
    loop {
        let package = newest(pattern)?;
        match attempt(&package) {
            Err(error) if package.is_gone() => eprintln!("{error:#}"),
            outcome => return outcome,
        }
    }
}

/// Fetches the newest version of a package and unpacks it; see [`Package::unpack`].
pub fn unpack(name: &str) -> Result<PathBuf> {
    with_newest(&regex::escape(name), Package::unpack)
}

fn renew(pattern: &str, memo: &Path, remembered: Option<Package>) -> Result<Package> {
    match look_up(pattern) {
        Ok(package) => {
            paths::write(memo, format!("{} {}\n", package.name, package.version))?;
            Ok(package)
        }
        Err(error) => {
            let package = remembered.ok_or(error)?;
            eprintln!(
                "no news from Debian: {} {} goes on",
                package.name, package.version
            );
            Ok(package)
        }
    }
}

fn recall(memo: &Path) -> Option<Package> {
    let text = fs::read_to_string(memo).ok()?;
    let (name, version) = text.trim_end().split_once(' ')?;
    Some(Package {
        version: version.parse().ok()?,
        name: name.to_owned(),
    })
}

fn look_up(pattern: &str) -> Result<Package> {
    let archive = Archive::open()?;
    let _lock = paths::lock("debian")?;
    if paths::is_fresh(&archive.stamp())
        && let Some(package) = archive.search(pattern)?
    {
        return Ok(package);
    }
    archive.refresh()?;
    archive.search(pattern)?.with_context(|| {
        let complaint = fs::read_to_string(archive.stamp()).unwrap_or_default();
        format!("no suite of Debian has a package {pattern}\n{complaint}")
    })
}

/// The apt root: a directory apt is pointed at with options.
struct Archive {
    root: PathBuf,
}

impl Archive {
    fn open() -> Result<Self> {
        let root = paths::cache("debian/apt")?;
        paths::directory(root.join("state/lists/partial"))?;
        paths::directory(root.join("cache/archives/partial"))?;
        paths::write(&root.join("status"), "")?;
        Ok(Self { root })
    }

    /// One of apt's tools, looking at this root only.
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
            // Container images switch these off, and each query then takes seconds.
            "Dir::Cache::pkgcache=pkgcache.bin".to_owned(),
            "Dir::Cache::srcpkgcache=srcpkgcache.bin".to_owned(),
            "APT::Architecture=arm64".to_owned(),
            "APT::Architectures=arm64".to_owned(),
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

    /// Fetches the lists of all suites, at most once in this process.
    fn refresh(&self) -> Result<()> {
        static OUTCOME: OnceLock<Result<(), String>> = OnceLock::new();
        let fetch = || self.fetch_lists().map_err(|error| format!("{error:#}"));
        OUTCOME
            .get_or_init(fetch)
            .clone()
            .map_err(|error| anyhow!(error))
    }

    fn fetch_lists(&self) -> Result<()> {
        let progress = Progress::start("fetching Debian's package lists");
        paths::write(&self.root.join("debian.sources"), sources()?)?;
        let mut update = self.apt("apt-get");
        let output = update
            .arg("update")
            .output()
            .with_context(|| format!("cannot run {}", tool::show(&update)))?;
        let complaint = tool::tail(&String::from_utf8_lossy(&output.stderr));
        // apt fails when a single suite does. The others are there all the same,
        // and without a network so are yesterday's.
        if !self.has_lists()? {
            bail!("Debian's package lists cannot be fetched\n{complaint}");
        }
        paths::write(&self.stamp(), complaint)?;
        progress.done();
        Ok(())
    }

    fn has_lists(&self) -> Result<bool> {
        let mut files = fs::read_dir(self.root.join("state/lists"))?.flatten();
        Ok(files.any(|file| file.file_name().to_string_lossy().contains("_Packages")))
    }

    /// The file that tells when the lists were fetched, and what was amiss.
    fn stamp(&self) -> PathBuf {
        self.root.join("refreshed")
    }

    fn search(&self, pattern: &str) -> Result<Option<Package>> {
        let whole = Regex::new(&format!("^(?:{pattern})$"))?;
        let names = tool::output(self.apt("apt-cache").arg("pkgnames"))?;
        let names: Vec<&str> = names.lines().filter(|name| whole.is_match(name)).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let mut show = self.apt("apt-cache");
        let records = tool::output(show.args(["show", "--all-versions"]).args(&names))?;
        let packages = packages(&records);
        Ok(packages.filter(|package| !package.is_gone()).max())
    }
}

/// The packages described by records of apt, a blank line between any two.
fn packages(records: &str) -> impl Iterator<Item = Package> {
    records.split("\n\n").filter_map(|record| {
        let field = |name: &str| record.lines().find_map(|line| line.strip_prefix(name));
        Some(Package {
            version: field("Version: ")?.parse().ok()?,
            name: field("Package: ")?.to_owned(),
        })
    })
}

/// The description of all suites for apt, see sources.list(5).
fn sources() -> Result<String> {
    let sources = machine_sources()?;
    let is_security = |source: &&Source| source.suite.ends_with("-security");
    let main = sources.iter().find(|source| !is_security(source));
    let main = main.context("this machine's apt fetches from no Debian archive")?;
    let mut text = stanza(&main.address, SUITES);
    if let Some(security) = sources.iter().find(is_security) {
        text.push('\n');
        text.push_str(&stanza(&security.address, SECURITY_SUITES));
    }
    Ok(text)
}

/// Only the lists of packages are wanted, neither translations nor icons.
fn stanza(address: &str, suites: &str) -> String {
    format!(
        "Types: deb\nURIs: {address}\nSuites: {suites}\nComponents: main\n\
         Architectures: arm64\nTargets: Packages\nSigned-By: {KEYRING}\n"
    )
}

/// An archive the machine's own apt fetches from.
struct Source {
    address: String,
    suite: String,
}

fn machine_sources() -> Result<Vec<Source>> {
    let known = index_targets(&["Origin: Debian"])?;
    if !known.is_empty() {
        return Ok(known);
    }
    // Before the first `apt-get update` nobody can tell whose archive it is, but
    // for the suite, which other publishers seldom name like Debian does.
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
    let entry = entry.with_context(|| format!("nothing in {}", directory.display()))?;
    Ok(entry?.path())
}

/// The pattern as a file name, readable as far as possible.
fn file_name(pattern: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.+".contains(c);
    let readable = pattern.replace('\\', "");
    readable.replace(|c| !is_plain(c), "_")
}
