//! Runs of `check` in a kernel, and their comparison with the expected results.
//!
//! A run is good if the machine powered off by itself, the console has a complete
//! report, the exit status agrees with it, and each case has the result that
//! `tests/expected` lists for this kernel.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::assembler;
use crate::initramfs::Initramfs;
use crate::kernels::{self, Kernel};
use crate::program::Build;
use crate::qemu::{Boot, Machine};
use crate::report::{CaseResult, ExpectedResults, KtapReport};
use crate::target::{self, Target};
use crate::{paths, tool};

/// Time limit of a run. A run takes seconds, but each case that hangs takes 100 s.
pub(crate) const DEADLINE: Duration = Duration::from_secs(600);

/// The options of `check` that make missing support for names a failure.
const REQUIRE: [&str; 2] = ["-r", "--require"];

/// The largest number of differences that are printed.
const MOST_DIFFERENCES: usize = 20;

/// Assembles the suite, so that a mistake in it is reported with its file and line, and
/// without the messages of a build.
pub fn assemble() -> Result<()> {
    let read = |path: &str| fs::read_to_string(paths::workspace().join(path));
    let (cases, verbs) = (read(assembler::CASES)?, read(assembler::VERBS)?);
    match assembler::assemble(&cases, &verbs) {
        Ok(_) => Ok(()),
        Err(mistake) => bail!("{mistake}"),
    }
}

/// Writes an initramfs with the program for `target` and the device that some cases map. The
/// architecture is part of the file's name: others may write theirs at the same time.
pub fn initramfs(target: &'static Target, name: &str) -> Result<PathBuf> {
    let initramfs = Initramfs::with_program_for(target, Build::Full)?;
    let initramfs = initramfs.char_device("/dev/zero", 0o666, 1, 5);
    initramfs.write(&format!("{name}-{}", target.name))
}

/// A kernel that `check` is run in.
#[derive(Clone, Debug)]
pub enum TestedKernel {
    /// A kernel of the list, whose results are known.
    Listed(&'static Kernel),
    /// An image file, for this architecture.
    Image(&'static Target, PathBuf),
}

/// A run of `check`.
#[derive(Debug, Default)]
pub struct CheckRun {
    /// Name of the kernel, or path of the image.
    pub kernel: String,
    /// Version of the kernel, empty if it is not known.
    pub version: String,
    /// The report, if it is complete.
    pub report: Option<KtapReport>,
    /// Problems other than the results of cases: panics, an incomplete report, a wrong
    /// exit status.
    pub problems: Vec<String>,
    /// Results that differ from the expected ones, except failures.
    pub differences: Vec<String>,
    /// Whether the kernel has the version for which the expected results were recorded.
    /// Only then must the results be the expected ones.
    pub is_pinned: bool,
    /// Duration of the boot.
    pub took: Duration,
    /// Results that were recorded for this kernel.
    pub expected: ExpectedResults,
}

impl TestedKernel {
    /// The kernel with the name `word`, or else the image at the path `word`, for an
    /// architecture. Without `target`, `word` is the full name of a kernel, or the path of an
    /// image for the default architecture.
    pub fn of(target: Option<&'static Target>, word: &str) -> Result<Self> {
        let found = match target {
            Some(target) => kernels::find_for(target, word),
            None => kernels::find(word),
        };
        match found {
            Ok(kernel) => Ok(TestedKernel::Listed(kernel)),
            Err(_) if Path::new(word).exists() => {
                let target = target.unwrap_or(target::DEFAULT);
                Ok(TestedKernel::Image(target, word.into()))
            }
            Err(unknown) => Err(unknown),
        }
    }

    /// Name of the kernel, or path of the image.
    pub fn name(&self) -> String {
        match self {
            TestedKernel::Listed(kernel) => kernel.name.to_owned(),
            TestedKernel::Image(_, path) => path.display().to_string(),
        }
    }

    /// Architecture of the programs that run on the kernel.
    pub fn target(&self) -> &'static Target {
        match self {
            TestedKernel::Listed(kernel) => kernel.target,
            TestedKernel::Image(target, _) => target,
        }
    }

    /// A machine that boots the kernel.
    pub fn machine(&self, initramfs: &Path) -> Result<Machine> {
        match self {
            TestedKernel::Listed(kernel) => kernel.machine(initramfs),
            TestedKernel::Image(target, image) => Ok(Machine::new(target, image, initramfs)),
        }
    }

    /// Boots the kernel with the program as PID 1 and these arguments. The log is called
    /// `name`.
    pub fn boot(&self, initramfs: &Path, name: &str, args: &[&str]) -> Result<Boot> {
        let mut machine = self.machine(initramfs)?;
        // After an oops a kernel may hang, and the boot would last until the deadline.
        machine.append = "oops=panic".to_owned();
        machine.name = name.to_owned();
        machine.args = args.iter().map(|&arg| arg.to_owned()).collect();
        machine.run(DEADLINE)
    }

    /// Runs `check` with these arguments. The log is called `name`.
    pub fn check(&self, initramfs: &Path, name: &str, args: &[&str]) -> CheckRun {
        let mut run = CheckRun {
            kernel: self.name(),
            ..CheckRun::default()
        };
        if let Err(error) = self.try_check(initramfs, name, args, &mut run) {
            run.problems.push(format!("{error:#}"));
        }
        run
    }

    fn try_check(
        &self,
        initramfs: &Path,
        name: &str,
        args: &[&str],
        run: &mut CheckRun,
    ) -> Result<()> {
        if let TestedKernel::Listed(kernel) = self {
            let image = kernel.image()?;
            run.version = image.version;
            run.is_pinned = image.is_pinned;
            run.expected = ExpectedResults::load(kernel.name)?;
        }
        let boot = self.boot(initramfs, name, &[&["check"], args].concat())?;
        run.took = boot.took;
        let report = read(&boot)?;
        let is_required = args.iter().any(|word| REQUIRE.contains(word));
        match self {
            TestedKernel::Listed(kernel) if kernel.names || !is_required => {
                let is_whole = args.iter().all(|word| word.starts_with('-'));
                run.differences = run.expected.differences(&report, is_whole);
            }
            TestedKernel::Listed(_) => {}
            TestedKernel::Image(..) => run.version = report.release().to_owned(),
        }
        run.report = Some(report);
        Ok(())
    }
}

/// The first version of Linux that names anonymous memory.
pub const NAMES: (u32, u32) = (5, 17);

/// Whether `release`, such as 5.10.0-32-cloud, is older than `version`.
pub fn is_older(release: &str, version: (u32, u32)) -> bool {
    let mut numbers = release.split('.').map_while(|number| number.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) < version,
        _ => false,
    }
}

/// The report of a run of `check` that ended as it should.
pub fn read(boot: &Boot) -> Result<KtapReport> {
    let report = KtapReport::read(&boot.text());
    // A panic or a hang explains why a report is incomplete.
    boot.expect_power_off()?;
    let report = report.map_err(|error| {
        let (log, text) = (boot.log.display(), boot.text());
        anyhow!("{error:#}, see {log}\n{}", tool::tail(&text))
    })?;
    let expected = match (report.failed().count(), report.passed()) {
        (1.., _) => 1,
        (0, 0) => 4,
        (0, _) => 0,
    };
    let status = status(boot)?;
    ensure!(
        status == expected,
        "exit status {status}, but the results require {expected}"
    );
    Ok(report)
}

/// The exit status that the program reported as PID 1.
pub fn status(boot: &Boot) -> Result<u8> {
    let status = boot.status();
    status.with_context(|| format!("not exactly one status, see {}", boot.log.display()))
}

impl CheckRun {
    /// A run of all cases in a kernel of the list, by the text of its console.
    pub fn from_console(kernel: &Kernel, text: &str) -> Result<Self> {
        let image = kernel.image()?;
        let mut run = CheckRun {
            kernel: kernel.name.to_owned(),
            version: image.version,
            is_pinned: image.is_pinned,
            expected: ExpectedResults::load(kernel.name)?,
            ..CheckRun::default()
        };
        match KtapReport::read(text) {
            Ok(report) => {
                run.differences = run.expected.differences(&report, true);
                run.report = Some(report);
            }
            Err(error) => run.problems.push(format!("{error:#}")),
        }
        Ok(run)
    }

    /// Whether the run is good.
    pub fn is_ok(&self) -> bool {
        let is_as_expected = self.differences.is_empty() || !self.is_pinned;
        self.problems.is_empty() && is_as_expected && self.failures().next().is_none()
    }

    /// Cases that failed, except those that are expected to fail.
    pub fn failures(&self) -> impl Iterator<Item = &CaseResult> {
        let failed = self.report.iter().flat_map(KtapReport::failed);
        failed.filter(|case| self.reference(&case.name).is_none())
    }

    /// Reference to the kernel's fault that makes this case fail.
    pub fn reference(&self, case: &str) -> Option<&str> {
        self.expected.reference(case)
    }

    /// Makes the results of this run the expected ones for its kernel.
    pub fn bless(&mut self) -> Result<()> {
        ensure!(self.problems.is_empty(), "{self}");
        ensure!(
            self.is_pinned,
            "{} {} is not the pinned version, see `cargo xtask kernels --update`",
            self.kernel,
            self.version
        );
        let report = self.report.as_ref();
        let report = report.ok_or_else(|| anyhow!("{} has no report", self.kernel))?;
        self.expected = self.expected.updated(report)?;
        self.differences.clear();
        self.expected.save(&self.kernel)
    }
}

/// One line with the result, then the problems and differences.
impl fmt::Display for CheckRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_ok() { "ok" } else { "FAILED" };
        write!(f, "{:16} {:10} {word}: ", self.kernel, self.version)?;
        match &self.report {
            Some(report) => write!(f, "{}", self.counts(report))?,
            None => write!(f, "no report")?,
        }
        for line in self.problems.iter().flat_map(|text| text.lines()) {
            write!(f, "\n    {line}")?;
        }
        for case in self.failures() {
            write!(f, "\n  {}", case.name)?;
            for line in &case.diagnostics {
                write!(f, "\n    {line}")?;
            }
        }
        if !self.differences.is_empty() {
            let kernel = &self.kernel;
            match self.is_pinned {
                true => write!(f, "\n  not as in tests/expected/{kernel}.txt:")?,
                false => write!(f, "\n  not as recorded with the pinned version:")?,
            }
        }
        for text in self.differences.iter().take(MOST_DIFFERENCES) {
            write!(f, "\n    {text}")?;
        }
        match self.differences.len().saturating_sub(MOST_DIFFERENCES) {
            0 => Ok(()),
            more => write!(f, "\n    and {more} more"),
        }
    }
}

impl CheckRun {
    /// `3 failed, 149 passed, 8 skipped`, and the reason if all cases are skipped for the
    /// same one.
    fn counts(&self, report: &KtapReport) -> String {
        let failures = self.failures().count();
        let skipped = report.skipped().count();
        let counts = [
            (failures, "failed"),
            (report.failed().count() - failures, "failed as expected"),
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
}
