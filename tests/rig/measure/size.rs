//! Which section and which module the program's bytes went to, and the floor.
//!
//! The file that is shipped has neither symbols nor lines. So the program is
//! built once more with both, into a directory of its own; it must come out as
//! long, or nothing is said. Code belongs to the source file whose lines it was
//! made from, and what other crates have inlined into it to the same file;
//! [`constants`] to the file whose code refers to them.

mod constants;
mod floor;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use anyhow::{Context, Result, anyhow, ensure};
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SectionKind, SymbolKind};

use super::table::grouped;
use crate::paths;
use crate::program::{self, Build};

/// How many of the largest functions are named.
const LARGEST: usize = 12;

/// Bytes by what they belong to.
type Shares = BTreeMap<String, u64>;

/// The report on one build, in Markdown.
pub fn report(build: Build) -> Result<String> {
    let shipped = read(&program::build(build)?)?;
    let path = with_symbols(build)?;
    let data = read(&path)?;
    let program = Program::parse(&path, &data)?;
    program.check_against(&shipped)?;
    let mut text = format!(
        "## {}: {} bytes\n",
        build.name(),
        grouped(shipped.len() as u64)
    );
    let sections = program.sections(shipped.len() as u64);
    text.push_str(&list("section", sections));
    text.push_str(&list("module, code", largest(program.code()?)));
    text.push_str(&list("module, constants", largest(program.constants()?)));
    let functions = largest(program.functions());
    text.push_str(&list(
        "function",
        functions.into_iter().take(LARGEST).collect(),
    ));
    text.push_str(&floor::table(shipped.len() as u64));
    Ok(text)
}

/// The same build with symbols and lines, for which the minimal one has sections, too.
fn with_symbols(build: Build) -> Result<PathBuf> {
    program::build_variant(build, "size", |cargo| {
        for profile in ["RELEASE", "MINIMAL"] {
            cargo.env(format!("CARGO_PROFILE_{profile}_STRIP"), "false");
            cargo.env(format!("CARGO_PROFILE_{profile}_DEBUG"), "line-tables-only");
        }
    })
}

/// An executable with symbols and lines.
struct Program<'a> {
    file: object::File<'a>,
    lines: Loader,
}

impl<'a> Program<'a> {
    fn parse(path: &Path, data: &'a [u8]) -> Result<Self> {
        let lines = Loader::new(path).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        let file = object::File::parse(data)?;
        Ok(Self { file, lines })
    }

    fn loaded(&self) -> impl Iterator<Item = object::Section<'a, '_>> {
        self.file.sections().filter(|section| is_loaded(section))
    }

    /// As many bytes must be loaded as of the file shipped. They need not be the
    /// same: with lines, the compiler puts a function or two elsewhere.
    fn check_against(&self, shipped: &[u8]) -> Result<()> {
        let shipped = loaded_size(&object::File::parse(shipped)?);
        let size = loaded_size(&self.file);
        ensure!(
            size == shipped,
            "the program has {shipped} bytes to load, with symbols and lines {size}"
        );
        Ok(())
    }

    /// The sections in their order, between the headers and what is not loaded.
    fn sections(&self, file_size: u64) -> Vec<(String, u64)> {
        let mut shares = Vec::new();
        let mut end = 0;
        for section in self.loaded() {
            let (start, size) = section.file_range().unwrap_or_default();
            let what = if end == 0 { "headers" } else { "padding" };
            shares.extend((start > end).then(|| (what.to_owned(), start - end)));
            let name = section.name().unwrap_or_default().to_owned();
            shares.push((name, size));
            end = start + size;
        }
        let rest = file_size.saturating_sub(end);
        shares.extend((rest > 0).then(|| ("behind the segment".to_owned(), rest)));
        shares
    }

    /// Code by module. All instructions have the same size.
    fn code(&self) -> Result<Shares> {
        let mut shares = Shares::new();
        for section in self
            .loaded()
            .filter(|section| section.kind() == SectionKind::Text)
        {
            let from = section.address();
            for address in (from..from + section.size()).step_by(4) {
                *shares.entry(self.module_of(address)?).or_default() += 4;
            }
        }
        Ok(shares)
    }

    fn constants(&self) -> Result<Shares> {
        let is_text = |section: &object::Section| section.kind() == SectionKind::Text;
        let (text, data): (Vec<_>, Vec<_>) = self.loaded().partition(is_text);
        let text = text.first().context("the program has code")?;
        let mut constants = constants::Constants::new(text.address(), text.data()?);
        for section in &data {
            constants.add_section(section.address(), section.data()?);
        }
        let mut shares = Shares::new();
        for (user, size) in constants.pieces() {
            let module = match user {
                Some(address) => self.module_of(address)?,
                None => "(unknown)".to_owned(),
            };
            *shares.entry(module).or_default() += size;
        }
        Ok(shares)
    }

    fn functions(&self) -> Shares {
        let mut shares = Shares::new();
        for symbol in self.file.symbols() {
            if symbol.kind() == SymbolKind::Text && symbol.size() > 0 {
                let name = addr2line::demangle_auto(symbol.name().unwrap_or_default().into(), None);
                let name = without_hash(&name).to_owned();
                *shares.entry(name).or_default() += symbol.size();
            }
        }
        shares
    }

    /// The module that an instruction was made for: of those whose functions it
    /// was inlined into, the innermost one of the program, or else of any crate.
    fn module_of(&self, address: u64) -> Result<String> {
        let none = |error| anyhow!("{address:#x} has no line: {error}");
        let mut frames = self.lines.find_frames(address).map_err(none)?;
        let mut innermost = None;
        while let Some(frame) = frames.next().map_err(|error| anyhow!("{error}"))? {
            if let Some(file) = frame.location.and_then(|location| location.file) {
                if let Some(file) = own(file) {
                    return Ok(file.to_owned());
                }
                innermost.get_or_insert_with(|| krate(file));
            }
        }
        Ok(innermost.unwrap_or("(no line)".to_owned()))
    }
}

fn is_loaded(section: &object::Section) -> bool {
    let object::SectionFlags::Elf { sh_flags, .. } = section.flags() else {
        return false;
    };
    sh_flags.contains(object::elf::SHF_ALLOC) && section.size() > 0
}

/// A file of the program by its path in the checkout.
fn own(file: &str) -> Option<&str> {
    let workspace = paths::workspace().to_str()?;
    match file.strip_prefix(workspace) {
        Some(rest) => rest.strip_prefix('/'),
        None => Some(file).filter(|file| !file.starts_with('/')),
    }
}

/// A file of another crate by that crate's name.
fn krate(file: &str) -> String {
    let after = |mark: &str| Some(file.split_once(mark)?.1.split('/'));
    let of_registry = after("/registry/src/").and_then(|mut parts| parts.nth(1));
    let of_library = after("/library/").and_then(|mut parts| parts.next());
    of_registry.or(of_library).unwrap_or(file).to_owned()
}

/// The name of a function without what tells its instances apart.
fn without_hash(name: &str) -> &str {
    let (path, hash) = name.rsplit_once("::").unwrap_or((name, ""));
    match hash.len() == 17 && hash.starts_with('h') {
        true => path,
        false => name,
    }
}

fn loaded_size(file: &object::File) -> u64 {
    file.segments().map(|segment| segment.file_range().1).sum()
}

fn largest(shares: Shares) -> Vec<(String, u64)> {
    let mut shares: Vec<_> = shares.into_iter().collect();
    shares.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    shares
}

fn list(head: &str, shares: Vec<(String, u64)>) -> String {
    let mut text = format!("\n| {head} | bytes |\n|---|---:|\n");
    for (name, size) in shares {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {name} | {} |", grouped(size));
    }
    text
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
