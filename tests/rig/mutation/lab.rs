//! Kernels that contain all mutants at once, and the search for equivalent mutants.
//!
//! The sources are a tree of their own, whose files are hard links to the shared ones.
//! The compiler's messages show which mutants do not compile. These are left out, in
//! several rounds, until the rest compiles. The image and the list of the mutants that were
//! left out are cached under a hash of the generated sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;
use sha2::{Digest, Sha256};

use super::generate::{self, Mutant};
use super::{schemata, selection, targets};
use crate::kernels::{Kernel, Tree};
use crate::paths;
use crate::progress::Progress;
use crate::tool;

/// The directory of the cache.
const CACHE: &str = "mutation";

/// The largest number of rounds of compiling and leaving mutants out.
const ROUNDS: usize = 20;

/// The distance from an error, in lines, within which mutants are suspected first.
const NEAR: usize = 4;

/// Warnings about the types of a changed expression. They exclude a mutant, because a
/// programmer would notice such a mistake.
const TYPE_WARNINGS: &str = r"int-conversion|incompatible-pointer-types|discarded-qualifiers\
|pointer/integer type mismatch|pointer type mismatch|comparison between pointer and integer\
|comparison of distinct pointer types|int-to-pointer-cast|pointer-to-int-cast|makes pointer from integer|makes integer from pointer";

/// A kernel with mutants in it.
pub struct Lab {
    tree: Tree,
    directory: PathBuf,
    /// The original text of each file that gets mutants.
    originals: BTreeMap<String, String>,
    /// All mutants. The number of a mutant is its index plus 1.
    pub mutants: Vec<Mutant>,
    /// Why mutants are not in the kernel.
    pub excluded: BTreeMap<usize, Exclusion>,
}

/// Why a mutant is not in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// The configuration of this kernel leaves its place out.
    NotConfigured,
    /// The compiler refuses it.
    DoesNotCompile,
}

impl Lab {
    /// Opens the lab of that kernel and generates the mutants.
    pub fn open(kernel: &Kernel) -> Result<Self> {
        let (directory, tree) = kernel.own_tree(CACHE)?;
        let originals = originals(&directory, &tree.source)?;
        let mut mutants = Vec::new();
        for (file, text) in &originals {
            let found = generate::mutants(file, text);
            mutants.extend(found.with_context(|| file.clone())?);
        }
        Ok(Self {
            tree,
            directory,
            originals,
            mutants,
            excluded: BTreeMap::new(),
        })
    }

    /// The text of the file that a mutant changes.
    pub fn source(&self, mutant: &Mutant) -> &str {
        self.originals.get(&mutant.file).map_or("", String::as_str)
    }

    /// The mutants in the kernel, with their numbers.
    pub fn included(&self) -> impl Iterator<Item = (usize, &Mutant)> {
        let numbered = (1..).zip(&self.mutants);
        numbered.filter(|(number, _)| !self.excluded.contains_key(number))
    }

    /// A name for the kernel and the mutants in it, which changes with the sources.
    pub fn label(&self) -> String {
        let mut hash = Sha256::new();
        for (file, text) in self.schemata(&BTreeMap::new()) {
            hash.update(file);
            hash.update(text.text);
        }
        selection::hash(&mut hash);
        hash.update(TYPE_WARNINGS);
        let hash = hash.finalize();
        hash[..6].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The image with all mutants that compile, built unless it is there.
    pub fn image(&mut self) -> Result<PathBuf> {
        let images = paths::directory(self.directory.join("images"))?;
        let directory = images.join(self.label());
        let list = directory.join("excluded");
        if !directory.exists() {
            self.build()?;
            let partial = paths::emptied(directory.with_added_extension("partial"))?;
            fs::copy(self.tree.image(), partial.join("Image")).context("cannot copy the image")?;
            paths::write(&partial.join("excluded"), self.list_excluded())?;
            paths::rename(&partial, &directory)?;
        }
        let text = fs::read_to_string(&list).context("cannot read what was left out")?;
        self.excluded = parse_excluded(&text)?;
        Ok(directory.join("Image"))
    }

    fn list_excluded(&self) -> String {
        let lines = self.excluded.iter().map(|(number, why)| match why {
            Exclusion::NotConfigured => format!("{number} not-configured\n"),
            Exclusion::DoesNotCompile => format!("{number} does-not-compile\n"),
        });
        lines.collect()
    }

    fn build(&mut self) -> Result<()> {
        // Build the unchanged objects first, because Kbuild records the command of each.
        self.restore()?;
        let objects = self.objects();
        let goals: Vec<&str> = objects.iter().map(String::as_str).collect();
        self.tree.make(&goals)?;
        selection::add(&self.tree.source, self.mutants.len())?;
        self.exclude_not_configured()?;
        self.exclude_uncompilable(&goals)?;
        self.tree.make(&["Image"])
    }

    /// The objects compiled from the files with mutants.
    fn objects(&self) -> Vec<String> {
        let files = self.originals.keys();
        let sources = files.filter_map(|file| file.strip_suffix(".c"));
        sources.map(|stem| format!("{stem}.o")).collect()
    }

    /// Restores the text of all files.
    fn restore(&self) -> Result<()> {
        for (file, text) in &self.originals {
            self.write(file, text)?;
        }
        Ok(())
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        selection::write(&self.tree.source.join(file), text)
    }

    /// The text of every file with all its mutants except `excluded`.
    fn schemata(&self, excluded: &BTreeMap<usize, Exclusion>) -> BTreeMap<&str, schemata::Schema> {
        let schema = |(file, text): (&'_ String, &'_ String)| {
            let numbered = (1..).zip(&self.mutants);
            let ours: Vec<(usize, &Mutant)> = numbered
                .filter(|(number, it)| it.file == *file && !excluded.contains_key(number))
                .collect();
            schemata::schema(text, &ours)
        };
        self.originals
            .iter()
            .map(|pair| (pair.0.as_str(), schema(pair)))
            .collect()
    }

    fn write_schemata(&self) -> Result<BTreeMap<&str, schemata::Schema>> {
        let schemata = self.schemata(&self.excluded);
        for (file, schema) in &schemata {
            self.write(file, &schema.text)?;
        }
        Ok(schemata)
    }

    /// Leaves out the mutants whose place the preprocessor removes.
    fn exclude_not_configured(&mut self) -> Result<()> {
        self.write_schemata()?;
        let selection = Regex::new(r"vm_mutant_is\((\d+)\)")?;
        let mut found = BTreeSet::new();
        for object in self.objects() {
            let text = self.compile(&object, "-E")?;
            let text = text.with_context(|| format!("{object} cannot be preprocessed"))?;
            let text = String::from_utf8_lossy(&text);
            for number in selection.captures_iter(&text) {
                found.insert(number[1].parse::<usize>()?);
            }
        }
        for number in 1..=self.mutants.len() {
            if !found.contains(&number) {
                self.excluded.insert(number, Exclusion::NotConfigured);
            }
        }
        Ok(())
    }

    /// Leaves out the mutants that the compiler complains about.
    fn exclude_uncompilable(&mut self, goals: &[&str]) -> Result<()> {
        let goals = [&["--keep-going"], goals].concat();
        for _ in 0..ROUNDS {
            let schemata = self.write_schemata()?;
            let (succeeded, said) = self.tree.attempt(&goals)?;
            let mut refused = BTreeSet::new();
            let mut others = BTreeSet::new();
            for complaint in complaints(&said)? {
                let schema = schemata.get_key_value(complaint.file.as_str());
                let lines = schema.into_iter().flat_map(|(_, schema)| &schema.lines);
                let numbers: Vec<usize> = lines
                    .filter(|(lines, _)| lines.contains(&complaint.line))
                    .map(|(_, number)| *number)
                    .collect();
                if numbers.is_empty() && complaint.is_error {
                    others.insert((complaint.file, complaint.line));
                }
                refused.extend(numbers);
            }
            if refused.is_empty() && !succeeded {
                refused = self.find_uncompilable(&schemata, &others)?;
                ensure!(
                    !refused.is_empty(),
                    "the mutants do not compile:\n{}",
                    tool::tail(&said)
                );
            }
            if refused.is_empty() {
                return Ok(());
            }
            for number in refused {
                self.excluded.insert(number, Exclusion::DoesNotCompile);
            }
        }
        bail!("after {ROUNDS} rounds some mutants still do not compile")
    }

    /// Tries mutants near these lines one at a time, then all in the functions around them.
    fn find_uncompilable(
        &self,
        schemata: &BTreeMap<&str, schemata::Schema>,
        lines: &BTreeSet<(String, usize)>,
    ) -> Result<BTreeSet<usize>> {
        for reach in [NEAR, usize::MAX] {
            let mut suspects = BTreeSet::new();
            for (file, line) in lines {
                let Some(schema) = schemata.get(file.as_str()) else {
                    continue;
                };
                let changes = schema.lines.iter().map(|(it, number)| (it.start, *number));
                let places = changes.chain(schema.drops.iter().copied());
                let function = |number: usize| &self.mutants[number - 1].function;
                let before = places.clone().filter(|(at, _)| at <= line);
                let last = before.max().map(|(_, number)| function(number));
                let near = places.filter(|(at, number)| {
                    at.abs_diff(*line) <= reach && Some(function(*number)) == last
                });
                suspects.extend(near.map(|(_, number)| number));
            }
            if reach != NEAR {
                let others = self.included().filter(|(_, it)| it.in_macro);
                suspects.extend(others.map(|(number, _)| number));
            }
            let mut refused = BTreeSet::new();
            for number in suspects {
                if !self.compiles(number)? {
                    refused.insert(number);
                }
            }
            if !refused.is_empty() {
                return Ok(refused);
            }
        }
        Ok(BTreeSet::new())
    }

    /// Whether the sources compile with this mutant as the only one, still selected at run
    /// time.
    fn compiles(&self, number: usize) -> Result<bool> {
        let mutant = &self.mutants[number - 1];
        let text = schemata::schema(self.source(mutant), &[(number, mutant)]).text;
        self.write(&mutant.file, &text)?;
        for object in self.users(mutant)? {
            if self.compile(&object, "-c")?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The objects that a mutant may change: that of its file or, for a header, those of all
    /// files that use it.
    fn users(&self, mutant: &Mutant) -> Result<Vec<String>> {
        if let Some(stem) = mutant.file.strip_suffix(".c") {
            return Ok(vec![format!("{stem}.o")]);
        }
        let mut users = Vec::new();
        let words = format!(
            r"{}|\b{}\b",
            targets::WORDS.replace("\\\n", ""),
            mutant.function
        );
        let words = Regex::new(&words)?;
        for directory in ["mm", "kernel", "fs", "fs/proc", "ipc"] {
            for entry in fs::read_dir(self.tree.source.join(directory))?.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let Some(stem) = name.strip_suffix(".c") else {
                    continue;
                };
                let note = self.tree.build.join(format!("{directory}/.{stem}.o.cmd"));
                let note = fs::read_to_string(note).unwrap_or_default();
                let text = fs::read_to_string(entry.path()).unwrap_or_default();
                if note.contains(&mutant.file) && words.is_match(&text) {
                    users.push(format!("{directory}/{stem}.o"));
                }
            }
        }
        ensure!(!users.is_empty(), "nothing includes {}", mutant.file);
        users.sort();
        Ok(users)
    }

    /// Runs the compiler as Kbuild does for this object, but stops after `stage`. Returns
    /// the output, or `None` if there are errors.
    fn compile(&self, object: &str, stage: &str) -> Result<Option<Vec<u8>>> {
        let (directory, name) = object
            .rsplit_once('/')
            .context("the object has no directory")?;
        let note = self.tree.build.join(format!("{directory}/.{name}.cmd"));
        let note =
            fs::read_to_string(&note).with_context(|| format!("cannot read {}", note.display()))?;
        let first = note.lines().next().unwrap_or_default();
        let (_, command) = first.split_once(":= ").context("no command")?;
        let command = command.split(" ; ").next().unwrap_or(command);
        let output = tempfile::NamedTempFile::new().context("cannot create a file")?;
        let path = output.path().display();
        let old = format!(" -c -o {object} ");
        ensure!(
            command.contains(&old),
            "no '{old}' in the command {command}"
        );
        let command = command.replace(&old, &format!(" {stage} -o {path} "));
        // Leave out the option that would overwrite make's list of dependencies.
        let words = command
            .split(' ')
            .filter(|word| !word.starts_with("-Wp,-MMD,"));
        let command: Vec<&str> = words.collect();
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command.join(" "));
        shell.current_dir(&self.tree.build).env("LC_ALL", "C");
        shell
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let status = shell.status().context("cannot run sh")?;
        match status.success() {
            true => Ok(Some(fs::read(output.path())?)),
            false => Ok(None),
        }
    }

    /// The mutants among these that compile to the same object code as the original.
    pub fn equivalent(&self, numbers: &[usize]) -> Result<BTreeSet<usize>> {
        let known = self
            .directory
            .join("images")
            .join(self.label())
            .join("equivalent");
        let mut answers = parse_answers(&fs::read_to_string(&known).unwrap_or_default());
        let unknown: Vec<usize> = numbers
            .iter()
            .copied()
            .filter(|number| !answers.contains_key(number))
            .collect();
        if !unknown.is_empty() {
            let step = Progress::start(format!(
                "comparing the object code of {} mutants",
                unknown.len()
            ));
            self.restore()?;
            let mut originals = BTreeMap::new();
            for (index, number) in unknown.iter().enumerate() {
                step.detail(&format!("{index} of {}", unknown.len()));
                let answer = self.is_equivalent(&self.mutants[number - 1], &mut originals)?;
                answers.insert(*number, answer);
                let lines = answers
                    .iter()
                    .map(|(number, answer)| format!("{number} {answer}\n"));
                paths::write(&known, lines.collect::<String>())?;
            }
            step.done();
        }
        let same = numbers.iter().copied();
        Ok(same
            .filter(|number| answers.get(number) == Some(&true))
            .collect())
    }

    fn is_equivalent(
        &self,
        mutant: &Mutant,
        originals: &mut BTreeMap<String, Vec<u8>>,
    ) -> Result<bool> {
        let users = self.users(mutant)?;
        for object in &users {
            if !originals.contains_key(object) {
                let code = self
                    .compile(object, "-c")?
                    .context("the original does not compile")?;
                originals.insert(object.clone(), code);
            }
        }
        let source = self.source(mutant);
        self.write(&mutant.file, &schemata::single(source, mutant))?;
        let mut is_same = true;
        for object in users {
            let code = self.compile(&object, "-c")?;
            is_same = code.is_some() && code.as_ref() == originals.get(&object);
            if !is_same {
                break;
            }
        }
        self.write(&mutant.file, source)?;
        Ok(is_same)
    }

    /// Functions listed in [`targets`] that these sources do not have.
    pub fn missing(&self) -> Vec<&'static str> {
        let found: BTreeSet<&str> = self.mutants.iter().map(|it| it.function.as_str()).collect();
        let whole = targets::WHOLE.iter().copied();
        whole.filter(|name| !found.contains(name)).collect()
    }
}

/// The unchanged text of the files with mutants, which is copied the first time.
fn originals(directory: &Path, source: &Path) -> Result<BTreeMap<String, String>> {
    let aside = directory.join("originals");
    if !aside.exists() {
        let partial = paths::emptied(aside.with_added_extension("partial"))?;
        for file in targets::FILES {
            if source.join(file).exists() {
                let to = partial.join(file);
                paths::directory(to.parent().unwrap_or(&partial).to_owned())?;
                fs::copy(source.join(file), &to).with_context(|| format!("cannot copy {file}"))?;
            }
        }
        paths::rename(&partial, &aside)?;
    }
    let mut originals = BTreeMap::new();
    for file in targets::FILES {
        if let Ok(text) = fs::read_to_string(aside.join(file)) {
            originals.insert((*file).to_owned(), text);
        }
    }
    ensure!(
        !originals.is_empty(),
        "{} has none of the files",
        source.display()
    );
    Ok(originals)
}

/// A place that the compiler complains about.
#[derive(Debug, PartialEq, Eq)]
struct Complaint {
    file: String,
    line: usize,
    is_error: bool,
}

/// The places of errors, and of warnings that count as errors. An error in a macro or an
/// inline function also has the places where this is used.
fn complaints(said: &str) -> Result<Vec<Complaint>> {
    let files = targets::FILES.join("|");
    let place = Regex::new(&format!(r"^\S*?\b({files}):(\d+):\d+: "))?;
    let inlined = Regex::new(&format!(r" inlined from .* at \S*?\b({files}):(\d+):"))?;
    let types = Regex::new(&TYPE_WARNINGS.replace("\\\n", ""))?;
    let mut complaints = Vec::new();
    // The places where the function of the next message is inlined.
    let mut users = Vec::new();
    // The kind of the last error or warning; notes belong to it.
    let (mut is_error, mut is_relevant) = (false, false);
    for line in said.lines() {
        if let Some(parts) = inlined.captures(line) {
            users.push((parts[1].to_owned(), parts[2].parse()?));
            continue;
        }
        if line.contains(": error: ") {
            (is_error, is_relevant) = (true, true);
            complaints.extend(users.drain(..).map(|(file, line)| Complaint {
                file,
                line,
                is_error,
            }));
        } else if let Some((_, text)) = line.split_once(": warning: ") {
            (is_error, is_relevant) = (false, types.is_match(text));
        } else if !line.contains(": note: in ") {
            continue;
        }
        if is_relevant && let Some(parts) = place.captures(line) {
            complaints.push(Complaint {
                file: parts[1].to_owned(),
                line: parts[2].parse()?,
                is_error,
            });
        }
    }
    Ok(complaints)
}

fn parse_excluded(text: &str) -> Result<BTreeMap<usize, Exclusion>> {
    let mut excluded = BTreeMap::new();
    for line in text.lines() {
        let (number, why) = line.split_once(' ').context("no reason")?;
        let why = match why {
            "not-configured" => Exclusion::NotConfigured,
            "does-not-compile" => Exclusion::DoesNotCompile,
            _ => bail!("'{why}' is no reason"),
        };
        excluded.insert(number.parse()?, why);
    }
    Ok(excluded)
}

/// Parses lines with the number of a mutant and whether it is equivalent.
fn parse_answers(text: &str) -> BTreeMap<usize, bool> {
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs
        .filter_map(|(number, answer)| Some((number.parse().ok()?, answer.parse().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_where_the_compiler_complains() {
        let said = "\
/k/mm/madvise.c:7:3: error: 'x' undeclared
/k/include/linux/build_bug.h:16:51: error: bit-field width not an integer constant
/k/include/linux/slab.h:900:49: note: in expansion of macro 'alloc_hooks'
/k/mm/madvise.c:9:1: note: in expansion of macro 'kmalloc'
/k/mm/vma.c:5:2: warning: passing argument 1 makes pointer from integer [-Wint-conversion]
/k/mm/vma.h:8:3: note: expected 'int' but argument is of type 'char *'
/k/mm/vma.c:6:2: warning: statement with no effect [-Wunused-value]
/k/mm/other.c:6:2: error: no file of ours
In function 'copy_from_user',
    inlined from 'do_procmap_query' at /k/fs/proc/task_mmu.c:12:6:
/k/include/linux/thread_info.h:246:25: error: copy source size is too small
";
        let found = complaints(said).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.file.as_str(), it.line, it.is_error))
            .collect();
        let expected = [
            ("mm/madvise.c", 7, true),
            ("mm/madvise.c", 9, true),
            ("mm/vma.c", 5, false),
            ("fs/proc/task_mmu.c", 12, true),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn reads_what_was_left_out() {
        let excluded = parse_excluded("3 not-configured\n5 does-not-compile\n").unwrap();
        assert_eq!(excluded[&3], Exclusion::NotConfigured);
        assert_eq!(excluded[&5], Exclusion::DoesNotCompile);
        assert!(parse_excluded("3 else\n").is_err());
    }
}
