//! One boot of `check` for each mutant, and the count of those that it catches.
//!
//! A mutant is caught by the first result that differs from that of the same kernel
//! without a mutant, by a report that is not complete, by a complaint of the kernel, by a
//! panic or by a hang. A mutant that `check` does not catch is tried with `probe`.
//!
//! The place of a mutant is the code that it changes. If few cases execute that place,
//! only these run. If nothing executes it, the mutant is not booted: all other code is
//! that of the original kernel.
//!
//! Each fate is saved at once, so that an interrupted campaign can continue.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::generate::Mutant;
use super::lab::{Exclusion, Lab};
use super::unobservable::{self, Unobservable};
use crate::conformance;
use crate::initramfs::Initramfs;
use crate::kernels::Kernel;
use crate::paths;
use crate::program::{self, Build};
use crate::progress::Progress;
use crate::qemu::{Ending, Machine};

/// The value of the boot parameter that selects no mutant and lists those whose places ran.
const REACHED: isize = -1;

/// Time limit of the first boots, before the duration of a boot is known.
const PATIENCE: Duration = Duration::from_secs(300);

/// Time limit from one result to the next: at least this time, and at least this many times
/// the duration of a boot without a mutant.
const DEADLINE: (Duration, u32) = (Duration::from_secs(15), 2);

/// The number of cases in a group. One boot per group records which places its cases run.
const GROUP: usize = 7;

/// How many groups a boot may run by name; the kernel passes 32 words to PID 1.
const GROUPS: usize = 4;

/// A line of `check` that is a result.
const RESULT: &str = r"(?m)^(?:not )?ok \d+ [^\r\n]*\r*\n";

/// The options of a campaign.
#[derive(Debug, Default)]
pub struct Plan {
    /// Only mutants of these functions; all, if there are none.
    pub functions: Vec<String>,
    /// The number of boots at once.
    pub jobs: usize,
    /// A file to test instead of the program of this checkout.
    pub program: Option<PathBuf>,
    /// Whether to discard the saved fates for this kernel and program.
    pub again: bool,
}

/// The fate of a mutant in a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Detected; the case or the event that shows it.
    Caught(String),
    /// All results were as without it.
    Survived,
    /// A survivor whose place never ran.
    NotReached,
    /// A survivor that compiles to the object code of the original.
    Equivalent,
    /// A survivor on the list of mutants that no program can observe.
    Unobservable,
    /// Not in the kernel.
    Excluded(Exclusion),
}

/// The result of a campaign.
pub struct Outcome {
    /// Each mutant with its number, its change and its fate.
    pub rows: Vec<Row>,
    /// Functions on the naming path that these sources do not have.
    pub missing: Vec<&'static str>,
    /// The file with a line of JSON for each mutant.
    pub file: PathBuf,
    /// Entries of the list of unobservable mutants that are wrong.
    pub stale: Vec<String>,
}

/// A mutant in the report.
pub struct Row {
    /// Its number, which selects it at boot.
    pub number: usize,
    /// The mutant.
    pub mutant: Mutant,
    /// The change as text.
    pub change: String,
    /// Its fate.
    pub fate: Fate,
}

/// Runs the campaign in this kernel.
pub fn run(kernel: &Kernel, plan: &Plan) -> Result<Outcome> {
    let mut lab = Lab::open(kernel)?;
    let list = unobservable::load(kernel.sources())?;
    unobservable::expect_known(&list, &lab.mutants)?;
    let image = lab.image()?;
    let guest = Guest::new(kernel, image, plan.program.as_deref(), &lab)?;
    let directory = paths::scratch("mutation")?;
    let notes = directory.join(format!("{}.notes", guest.label));
    if plan.again && notes.exists() {
        fs::remove_file(&notes).context("cannot remove old notes")?;
    }
    let mut fates = try_all(&lab, &guest, plan, &notes)?;
    let survivors = fates
        .iter()
        .filter(|(_, fate)| !matches!(fate, Fate::Caught(_)));
    let survivors: Vec<usize> = survivors.map(|(number, _)| *number).collect();
    for number in lab.equivalent(&survivors)? {
        fates.insert(number, Fate::Equivalent);
    }
    let mut stale = apply(&list, &lab, &mut fates);
    if kernel.name != kernel.sources() {
        // The list is for the first kernel with these sources. Under the options of another
        // one, a mutant may be observable.
        stale.clear();
    }
    let file = directory.join(format!("{}.jsonl", kernel.name));
    let outcome = Outcome::new(&lab, plan, fates, stale, file);
    paths::write(&outcome.file, outcome.to_json())?;
    Ok(outcome)
}

/// The mutants that the plan wants, as lines of id and change.
pub fn list(kernel: &Kernel, plan: &Plan) -> Result<Vec<String>> {
    let lab = Lab::open(kernel)?;
    let wanted = (1..).zip(&lab.mutants).filter(|(_, it)| plan.wants(it));
    let lines = wanted.map(|(number, mutant)| {
        let (id, change) = (mutant.id(), mutant.change(lab.source(mutant)));
        format!("{number} {}:{} {id}: {change}", mutant.file, mutant.line)
    });
    Ok(lines.collect())
}

impl Plan {
    fn wants(&self, mutant: &Mutant) -> bool {
        self.functions.is_empty() || self.functions.contains(&mutant.function)
    }
}

/// The kernel and the program, and how both behave without a mutant.
struct Guest<'a> {
    kernel: &'a Kernel,
    image: PathBuf,
    initramfs: PathBuf,
    /// The name of the kernel, and a hash of the mutants and the program.
    label: String,
    /// The results of `check`, without their numbers.
    results: Vec<String>,
    status: u8,
    /// What `probe` prints.
    probe: String,
    /// Time limit from one result to the next.
    deadline: Duration,
    /// The mutants whose places run.
    reached: BTreeSet<usize>,
    /// The mutants whose places run in every boot.
    always: BTreeSet<usize>,
    /// The mutants whose places run in a boot of `probe`.
    probed: BTreeSet<usize>,
    /// Groups of cases, each with the mutants whose places they run.
    groups: Vec<(Vec<String>, BTreeSet<usize>)>,
}

impl<'a> Guest<'a> {
    fn new(kernel: &'a Kernel, image: PathBuf, program: Option<&Path>, lab: &Lab) -> Result<Self> {
        let program = match program {
            Some(path) => path.to_owned(),
            None => program::build(Build::Full)?,
        };
        let program =
            fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
        let mut hash = Sha256::new_with_prefix(&program);
        hash.update(lab.label());
        let hash = hash.finalize();
        let hash: String = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        // Kernels with the same sources and mutants may differ in their configuration.
        let label = format!("{}-{hash}", kernel.name);
        let initramfs = Initramfs::new().file("/init", 0o755, program);
        let initramfs = initramfs.char_device("/dev/zero", 0o666, 1, 5);
        // Campaigns with different programs may run at the same time.
        let initramfs = initramfs.write(&format!("mutation-{label}"))?;
        let mut guest = Self {
            kernel,
            image,
            initramfs,
            label,
            results: Vec::new(),
            status: 0,
            probe: String::new(),
            deadline: PATIENCE,
            reached: BTreeSet::new(),
            always: BTreeSet::new(),
            probed: BTreeSet::new(),
            groups: Vec::new(),
        };
        guest.learn().context("without a mutant")?;
        let groups = paths::scratch("mutation")?.join(format!("{}.groups", guest.label));
        guest.groups = match fs::read_to_string(&groups) {
            Ok(text) => serde_json::from_str(&text).context("groups of cases")?,
            Err(_) => guest.learn_groups().context("without a mutant")?,
        };
        paths::write(&groups, json!(guest.groups).to_string())?;
        Ok(guest)
    }

    /// Runs `check`, `probe` and `--version` without a mutant.
    fn learn(&mut self) -> Result<()> {
        let step = Progress::start("booting without a mutant");
        for mutant in [0, REACHED] {
            let console = self.machine(mutant, &["check"]).run(PATIENCE)?;
            conformance::read(&console)?;
            self.status = conformance::status(&console)?;
            let results = results(&console.text());
            ensure!(
                mutant == 0 || results == self.results,
                "two boots of check do not report the same"
            );
            self.results = results;
            self.deadline = DEADLINE.0.max(console.took * DEADLINE.1);
            self.reached.extend(reached(&console.text()));
            let console = self.machine(mutant, &["probe"]).run(PATIENCE)?;
            console.expect_power_off()?;
            self.probed = reached(&console.text());
            self.probe = said(&console.text());
        }
        let console = self.machine(REACHED, &["--version"]).run(PATIENCE)?;
        self.always = reached(&console.text());
        self.reached.extend(&self.probed);
        ensure!(!self.reached.is_empty(), "no place of a mutant runs");
        step.done();
        Ok(())
    }

    /// Finds the mutants whose places run in each group of cases.
    fn learn_groups(&self) -> Result<Vec<(Vec<String>, BTreeSet<usize>)>> {
        let step = Progress::start("noting which mutants the cases reach");
        let names = self.results.iter().map(|result| name(result).to_owned());
        let names: Vec<String> = names.collect();
        let mut groups = Vec::new();
        for group in names.chunks(GROUP) {
            let args: Vec<&str> = ["check"]
                .into_iter()
                .chain(group.iter().map(String::as_str))
                .collect();
            let console = self.machine(REACHED, &args).run(PATIENCE)?;
            conformance::read(&console)?;
            groups.push((group.to_vec(), reached(&console.text())));
        }
        step.done();
        Ok(groups)
    }

    /// The cases to run for this mutant; an empty list means all.
    fn cases(&self, number: usize) -> Vec<&str> {
        let groups = self
            .groups
            .iter()
            .filter(|(_, reached)| reached.contains(&number));
        let groups: Vec<_> = groups.collect();
        if groups.len() > GROUPS || groups.is_empty() || self.always.contains(&number) {
            return Vec::new();
        }
        groups
            .iter()
            .flat_map(|(names, _)| names)
            .map(String::as_str)
            .collect()
    }

    fn machine(&self, mutant: isize, args: &[&str]) -> Machine {
        let mut machine = self.kernel.machine_with(&self.image, &self.initramfs);
        machine.name = format!("mutation-{}-{mutant}", self.label);
        machine.append = format!("oops=panic vm_mutant={mutant}");
        machine.args = args.iter().map(|&arg| arg.to_owned()).collect();
        machine
    }

    fn try_mutant(&self, number: usize) -> Result<Fate> {
        if !self.reached.contains(&number) {
            return Ok(Fate::NotReached);
        }
        let noticed = match self.check(number)? {
            Some(noticed) => Some(noticed),
            None => self.probe(number)?,
        };
        Ok(noticed.map_or(Fate::Survived, Fate::Caught))
    }

    /// Runs `check` until it differs from a run without a mutant. Returns the name of the
    /// case, or another description of the difference; `None` if there is none.
    fn check(&self, number: usize) -> Result<Option<String>> {
        let cases = self.cases(number);
        let expected = self.results.iter().map(String::as_str);
        let expected: Vec<&str> = expected
            .filter(|result| cases.is_empty() || cases.contains(&name(result)))
            .collect();
        let args: Vec<&str> = ["check"].into_iter().chain(cases.iter().copied()).collect();
        let machine = self.machine(number.cast_signed(), &args);
        let mut session = machine.boot(self.deadline)?;
        for expected in &expected {
            let Ok((_, line)) = session.expect(RESULT) else {
                break;
            };
            if without_number(&line) != *expected {
                return Ok(Some(name(expected).to_owned()));
            }
            session.allow(self.deadline);
        }
        let console = session.finish()?;
        let noticed = match &console.ending {
            Ending::PoweredOff => match conformance::read(&console) {
                Err(error) => {
                    let text = format!("{error:#}");
                    Some(text.lines().next().unwrap_or_default().to_owned())
                }
                Ok(_) if results(&console.text()) != expected => Some("the report".to_owned()),
                Ok(_) if cases.is_empty() && conformance::status(&console)? != self.status => {
                    Some("the status".to_owned())
                }
                Ok(_) => None,
            },
            Ending::QemuFailed(message) => bail!("QEMU failed: {message}"),
            ending => Some(short(ending)),
        };
        forget(&machine.log()?);
        Ok(noticed)
    }

    fn probe(&self, number: usize) -> Result<Option<String>> {
        if !self.probed.contains(&number) {
            return Ok(None);
        }
        let machine = self.machine(number.cast_signed(), &["probe"]);
        let console = machine.run(self.deadline)?;
        forget(&machine.log()?);
        Ok(match &console.ending {
            Ending::PoweredOff if said(&console.text()) == self.probe => None,
            Ending::PoweredOff => Some("probe".to_owned()),
            Ending::QemuFailed(message) => bail!("QEMU failed: {message}"),
            ending => Some(format!("probe: {}", short(ending))),
        })
    }
}

/// Boots all mutants that are wanted and have no saved fate.
fn try_all(
    lab: &Lab,
    guest: &Guest<'_>,
    plan: &Plan,
    notes: &Path,
) -> Result<BTreeMap<usize, Fate>> {
    let mut fates = parse_notes(&fs::read_to_string(notes).unwrap_or_default());
    let wanted = lab.included().filter(|(_, mutant)| plan.wants(mutant));
    let wanted: Vec<usize> = wanted.map(|(number, _)| number).collect();
    fates.retain(|number, _| wanted.contains(number));
    let left: Vec<usize> = wanted
        .into_iter()
        .filter(|it| !fates.contains_key(it))
        .collect();
    let file = File::options().append(true).create(true).open(notes);
    let file = file.with_context(|| format!("cannot write {}", notes.display()))?;
    let (count, step) = (
        left.len(),
        Progress::start(format!("trying {} mutants", left.len())),
    );
    let shared = Mutex::new((left.into_iter(), file, &mut fates));
    let attempt = || -> Result<()> {
        loop {
            let next = {
                let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                step.detail(&format!("{} of {count} left", shared.0.len()));
                shared.0.next()
            };
            let Some(number) = next else {
                return Ok(());
            };
            let fate = guest
                .try_mutant(number)
                .with_context(|| format!("mutant {number}"))?;
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(shared.1, "{number} {}", note(&fate)).context("cannot write notes")?;
            shared.2.insert(number, fate);
        }
    };
    thread::scope(|scope| {
        let jobs: Vec<_> = (0..plan.jobs.max(1))
            .map(|_| scope.spawn(attempt))
            .collect();
        jobs.into_iter().try_for_each(|job| match job.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    step.done();
    Ok(fates)
}

/// Marks the survivors that are on the list, and returns the entries that are wrong.
fn apply(list: &Unobservable, lab: &Lab, fates: &mut BTreeMap<usize, Fate>) -> Vec<String> {
    let mut stale = Vec::new();
    for (number, mutant) in lab.included() {
        let id = mutant.id();
        let Some(fate) = fates.get_mut(&number).filter(|_| list.contains_key(&id)) else {
            continue;
        };
        match fate {
            Fate::Survived | Fate::NotReached => *fate = Fate::Unobservable,
            Fate::Caught(by) => stale.push(format!("{id} is caught: {by}")),
            _ => stale.push(format!("{id} is equivalent")),
        }
    }
    stale
}

impl Outcome {
    fn new(
        lab: &Lab,
        plan: &Plan,
        mut fates: BTreeMap<usize, Fate>,
        stale: Vec<String>,
        file: PathBuf,
    ) -> Self {
        for (number, why) in &lab.excluded {
            fates.insert(*number, Fate::Excluded(*why));
        }
        let numbered = (1..).zip(&lab.mutants).filter(|(_, it)| plan.wants(it));
        let rows = numbered.filter_map(|(number, mutant)| {
            Some(Row {
                number,
                change: mutant.change(lab.source(mutant)),
                mutant: mutant.clone(),
                fate: fates.get(&number)?.clone(),
            })
        });
        Self {
            rows: rows.collect(),
            missing: lab.missing(),
            file,
            stale,
        }
    }

    /// The mutants that were not caught and are not on the list.
    pub fn survivors(&self) -> impl Iterator<Item = &Row> {
        let survived = |row: &&Row| matches!(row.fate, Fate::Survived | Fate::NotReached);
        self.rows.iter().filter(survived)
    }

    fn to_json(&self) -> String {
        let lines = self.rows.iter().map(|row| {
            let mutant = &row.mutant;
            let line = json!({
                "number": row.number,
                "id": mutant.id(),
                "file": mutant.file,
                "line": mutant.line,
                "function": mutant.function,
                "operator": mutant.operator.name(),
                "change": row.change,
                "fate": note(&row.fate),
            });
            format!("{line}\n")
        });
        lines.collect()
    }
}

/// A table of the functions, then the survivors.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut functions: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !functions.contains(&row.mutant.function.as_str()) {
                functions.push(&row.mutant.function);
            }
        }
        writeln!(
            f,
            "{:28} {:>7} {:>7} {:>8} {:>10} {:>12}",
            "function", "mutants", "caught", "survived", "equivalent", "unobservable"
        )?;
        for function in functions {
            let rows = self
                .rows
                .iter()
                .filter(|row| row.mutant.function == function);
            let counts = Counts::of(rows);
            if counts.mutants > 0 {
                writeln!(f, "{function:28} {counts}")?;
            }
        }
        writeln!(f, "{:28} {}", "total", Counts::of(self.rows.iter()))?;
        let count = |fate| self.rows.iter().filter(|row| row.fate == fate).count();
        writeln!(
            f,
            "not counted: {} that do not compile, {} that the options leave out",
            count(Fate::Excluded(Exclusion::DoesNotCompile)),
            count(Fate::Excluded(Exclusion::NotConfigured))
        )?;
        if !self.missing.is_empty() {
            writeln!(f, "not in these sources: {}", self.missing.join(", "))?;
        }
        for row in self.survivors() {
            let mutant = &row.mutant;
            let reached = match row.fate {
                Fate::NotReached => " (never runs)",
                _ => "",
            };
            writeln!(
                f,
                "SURVIVED{reached} {}:{} {} [{}] {}",
                mutant.file,
                mutant.line,
                mutant.id(),
                row.number,
                row.change
            )?;
        }
        for entry in &self.stale {
            writeln!(f, "STALE {entry}")?;
        }
        write!(f, "{}", self.file.display())
    }
}

/// The numbers of a line of the table.
#[derive(Default)]
struct Counts {
    mutants: usize,
    caught: usize,
    survived: usize,
    equivalent: usize,
    unobservable: usize,
}

impl Counts {
    fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        let mut counts = Self::default();
        for row in rows {
            let count = match row.fate {
                Fate::Excluded(_) => continue,
                Fate::Caught(_) => &mut counts.caught,
                Fate::Survived | Fate::NotReached => &mut counts.survived,
                Fate::Equivalent => &mut counts.equivalent,
                Fate::Unobservable => &mut counts.unobservable,
            };
            *count += 1;
            counts.mutants += 1;
        }
        counts
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>7} {:>7} {:>8} {:>10} {:>12}",
            self.mutants, self.caught, self.survived, self.equivalent, self.unobservable
        )
    }
}

/// The results of a report, a line each, without their numbers.
fn results(text: &str) -> Vec<String> {
    let is_result = |line: &&str| line.starts_with("ok ") || line.starts_with("not ok ");
    let lines = text.lines().filter(is_result);
    lines.map(without_number).collect()
}

/// `ok NAME` for `ok 7 NAME`.
fn without_number(result: &str) -> String {
    let words = result.split_whitespace();
    let words: Vec<&str> = words
        .filter(|word| word.parse::<usize>().is_err())
        .collect();
    words.join(" ")
}

/// The name of the case in a result whose number was removed.
fn name(result: &str) -> &str {
    let result = result.strip_prefix("not ").unwrap_or(result);
    result.split(' ').nth(1).unwrap_or_default()
}

/// The mutants whose places ran in a boot with [`REACHED`].
fn reached(text: &str) -> BTreeSet<usize> {
    let lines = text.lines();
    let numbers = lines.filter_map(|line| line.split_once("vm_mutant reached "));
    numbers
        .filter_map(|(_, number)| number.trim().parse().ok())
        .collect()
}

/// Removes the log of a boot. Hundreds of logs are not useful, and the number of a mutant is
/// enough to repeat its boot.
fn forget(log: &Path) {
    for log in [log, &log.with_extension("stderr")] {
        // The log may never have been written.
        let _ = fs::remove_file(log);
    }
}

/// The output of the program, without the messages of the kernel.
fn said(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.contains("vm_mutant reached "));
    let mut said = String::new();
    for line in lines {
        let _ = writeln!(said, "{}", line.trim_end());
    }
    said
}

fn short(ending: &Ending) -> String {
    match ending {
        Ending::Panicked(_) => "a panic".to_owned(),
        Ending::Hung(_) | Ending::NeverStarted => "a hang".to_owned(),
        other => other.to_string(),
    }
}

fn note(fate: &Fate) -> String {
    match fate {
        Fate::Caught(by) => format!("caught {by}"),
        Fate::Survived => "survived".to_owned(),
        Fate::NotReached => "not-reached".to_owned(),
        Fate::Equivalent => "equivalent".to_owned(),
        Fate::Unobservable => "unobservable".to_owned(),
        Fate::Excluded(Exclusion::NotConfigured) => "not-configured".to_owned(),
        Fate::Excluded(Exclusion::DoesNotCompile) => "does-not-compile".to_owned(),
    }
}

/// The fates that an earlier run saved.
fn parse_notes(text: &str) -> BTreeMap<usize, Fate> {
    let mut fates = BTreeMap::new();
    for line in text.lines() {
        let Some((number, word)) = line.split_once(' ') else {
            continue;
        };
        let fate = match (word, word.strip_prefix("caught ")) {
            (_, Some(by)) => Fate::Caught(by.to_owned()),
            ("survived", _) => Fate::Survived,
            ("not-reached", _) => Fate::NotReached,
            _ => continue,
        };
        if let Ok(number) = number.parse() {
            fates.insert(number, fate);
        }
    }
    fates
}
