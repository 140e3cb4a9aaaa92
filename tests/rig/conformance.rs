//! Runs `check` in a kernel, and judges the run as well as the cases in it.
//!
//! A run is good when the machine powered off by itself, the log is a whole
//! report, no case failed, and the exit status says the same. A kernel that is
//! known not to name memory must skip every case for the reason that is its own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};

use crate::initramfs::Initramfs;
use crate::kernels::{self, Kernel};
use crate::program::Build;
use crate::qemu::{Boot, Machine};
use crate::report::KtapReport;
use crate::tool;

/// How long a run may take: a second or two, and 100 seconds for each case that hangs, of
/// which a broken kernel may have some.
const DEADLINE: Duration = Duration::from_secs(600);

/// What the status line begins with, by which PID 1 tells what it would exit with.
const STATUS: &str = "vm_anon_name: status ";

/// The program, and the device some of its cases map; returns where the archive lies.
pub fn initramfs(name: &str) -> Result<PathBuf> {
    let initramfs = Initramfs::with_program(Build::Full)?;
    let initramfs = initramfs.char_device("/dev/zero", 0o666, 1, 5);
    initramfs.write(name)
}

/// What can be checked.
#[derive(Clone, Debug)]
pub enum TestedKernel {
    /// One of the rig's kernels, of which more is known.
    Listed(&'static Kernel),
    /// The file of an image, which may be any kernel.
    Image(PathBuf),
}

/// What came of checking a kernel.
#[derive(Debug)]
pub struct CheckRun {
    /// What the kernel is called.
    pub kernel: String,
    /// Its version, as far as known.
    pub version: String,
    /// What it reported, if it came to that.
    pub report: Option<KtapReport>,
    /// What is wrong beyond cases that failed, a text of one or more lines each.
    pub complaints: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl TestedKernel {
    /// The kernel of that name, or else the image at that path.
    pub fn of(word: &str) -> Result<Self> {
        match kernels::find(word) {
            Ok(kernel) => Ok(TestedKernel::Listed(kernel)),
            Err(_) if Path::new(word).exists() => Ok(TestedKernel::Image(word.into())),
            Err(unknown) => Err(unknown),
        }
    }

    /// What to call it.
    pub fn name(&self) -> String {
        match self {
            TestedKernel::Listed(kernel) => kernel.name.to_owned(),
            TestedKernel::Image(path) => path.display().to_string(),
        }
    }

    /// Boots the program in it with these arguments; the log gets this name.
    pub fn boot(&self, initramfs: &Path, name: &str, args: &[&str]) -> Result<Boot> {
        let mut machine = match self {
            TestedKernel::Listed(kernel) => kernel.machine(initramfs)?,
            TestedKernel::Image(image) => Machine::new(image, initramfs),
        };
        // A kernel that has lost its footing would go on until the deadline.
        machine.append = "oops=panic".to_owned();
        machine.name = name.to_owned();
        machine.args = args.iter().map(|&arg| arg.to_owned()).collect();
        machine.run(DEADLINE)
    }

    /// Runs `check` with these arguments and judges the run; the log gets this name.
    pub fn check(&self, initramfs: &Path, name: &str, args: &[&str]) -> CheckRun {
        let mut verdict = CheckRun {
            kernel: self.name(),
            version: self.version(),
            report: None,
            complaints: Vec::new(),
            took: Duration::ZERO,
        };
        let args = [&["check"], args].concat();
        match self.boot(initramfs, name, &args) {
            Ok(console) => self.judge(&console, &mut verdict),
            Err(error) => verdict.complaints.push(format!("{error:#}")),
        }
        verdict
    }

    fn judge(&self, console: &Boot, verdict: &mut CheckRun) {
        verdict.took = console.took;
        match read(console) {
            Ok(report) => {
                if let Err(error) = self.expect_absence(&report) {
                    verdict.complaints.push(error.to_string());
                }
                if verdict.version.is_empty() {
                    verdict.version = report.release().to_owned();
                }
                verdict.report = Some(report);
            }
            Err(error) => verdict.complaints.push(format!("{error:#}")),
        }
    }

    /// Fails if cases were skipped for want of the feature where it is, or for
    /// another reason where it is not, or if any passed there.
    fn expect_absence(&self, report: &KtapReport) -> Result<()> {
        let TestedKernel::Listed(kernel) = self else {
            return Ok(());
        };
        let absence = absence(kernel, report.release());
        if let Some(reason) = absence.as_deref() {
            ensure!(report.passed() == 0, "cases pass without names");
            if let Some(told) = report.skipped().find(|told| *told != reason) {
                bail!("skipped because '{told}', not because '{reason}'");
            }
        } else if let Some(told) = report
            .skipped()
            .find(|told| told.contains(report.release()))
        {
            bail!("skipped because '{told}', though this kernel names memory");
        }
        Ok(())
    }

    fn version(&self) -> String {
        let version = match self {
            TestedKernel::Listed(kernel) => kernel.version().ok(),
            TestedKernel::Image(_) => None,
        };
        version.unwrap_or_default()
    }
}

/// The first version that names anonymous memory.
pub const NAMES: (u32, u32) = (5, 17);

/// Why this kernel must skip all cases, in the program's words; nothing if it must
/// not. The release is what it calls itself, which the rig cannot know beforehand.
pub fn absence(kernel: &Kernel, release: &str) -> Option<String> {
    if kernel.names {
        return None;
    }
    Some(if is_older(release, NAMES) {
        format!("Linux {release} is older than 5.17, the first to name anonymous memory")
    } else {
        format!("Linux {release} was built without CONFIG_ANON_VMA_NAME")
    })
}

/// Whether this release, like 5.10.0-32-cloud, is older than that version.
pub fn is_older(release: &str, version: (u32, u32)) -> bool {
    let mut numbers = release.split('.').map_while(|number| number.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) < version,
        _ => false,
    }
}

/// The report of a run of `check` that ended as it should.
pub fn read(console: &Boot) -> Result<KtapReport> {
    let report = KtapReport::read(&console.text());
    // A panic or a hang says more than the line where the report breaks off.
    console.expect_power_off()?;
    let report = report.map_err(|error| {
        let (log, text) = (console.log.display(), console.text());
        anyhow!("{error:#}, see {log}\n{}", tool::tail(&text))
    })?;
    let expected = match (report.failed().count(), report.passed()) {
        (1.., _) => 1,
        (0, 0) => 4,
        (0, _) => 0,
    };
    let told = status(console)?;
    ensure!(
        told == expected,
        "the status is {told}, but {expected} by the cases"
    );
    Ok(report)
}

/// What the program would have exited with, had it not been PID 1.
pub fn status(console: &Boot) -> Result<u8> {
    let text = console.text();
    let mut told = text.lines().filter_map(|line| line.strip_prefix(STATUS));
    let first = told.next().and_then(|line| line.split(',').next());
    match (first.and_then(|number| number.parse().ok()), told.next()) {
        (Some(status), None) => Ok(status),
        _ => bail!("not one line '{STATUS}N', see {}", console.log.display()),
    }
}

impl CheckRun {
    /// Whether nothing is amiss.
    pub fn is_ok(&self) -> bool {
        let failed = self.report.iter().flat_map(KtapReport::failed).count();
        failed == 0 && self.complaints.is_empty()
    }
}

/// A line, and below it what is amiss.
impl fmt::Display for CheckRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_ok() { "ok" } else { "FAILED" };
        write!(f, "{:16} {:10} {word}: ", self.kernel, self.version)?;
        match &self.report {
            Some(report) => write!(f, "{}", counts(report))?,
            None => write!(f, "no report")?,
        }
        for line in self.complaints.iter().flat_map(|text| text.lines()) {
            write!(f, "\n    {line}")?;
        }
        for case in self.report.iter().flat_map(KtapReport::failed) {
            write!(f, "\n  {}", case.name)?;
            for line in &case.diagnostics {
                write!(f, "\n    {line}")?;
            }
        }
        Ok(())
    }
}

/// `3 failed, 149 passed, 8 skipped`; with the reason, if it is the same for all.
fn counts(report: &KtapReport) -> String {
    let skipped = report.skipped().count();
    let counts = [
        (report.failed().count(), "failed"),
        (report.passed(), "passed"),
        (skipped, "skipped"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let mut text = counts.join(", ");
    let mut reasons = report.skipped();
    if skipped == report.cases.len()
        && let Some(reason) = reasons.next()
        && reasons.all(|other| other == reason)
    {
        text = format!("{text}: {reason}");
    }
    text
}

// Former names, until every branch uses the new ones.
pub use CheckRun as Verdict;
pub use TestedKernel as Subject;
impl TestedKernel {
    /// The former name of a variant.
    #[allow(non_snake_case)]
    pub fn Kernel(kernel: &'static Kernel) -> Self {
        TestedKernel::Listed(kernel)
    }
}
