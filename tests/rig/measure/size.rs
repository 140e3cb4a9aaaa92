//! The size of the program by section and by module.
//!
//! The shipped file has neither symbols nor line numbers. So the program is built
//! once more with both, into a directory of its own; its loaded part has to have the
//! same size. Code is attributed to the source file of its line, including code inlined
//! from other crates; constants are attributed to the file whose code refers to them.

mod constants;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use anyhow::{Context, Result, anyhow, ensure};
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SectionKind, SymbolKind};

use super::table::grouped;
use crate::paths;
use crate::program::{self, Build};

/// The number of functions that are listed.
const LARGEST: usize = 12;

/// Bytes by owner.
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
    let sections = program.sections(shipped.len() as u64)?;
    text.push_str(&list("section", sections));
    text.push_str(&list("module, code", largest(program.code()?)));
    text.push_str(&list("module, constants", largest(program.constants()?)));
    let functions = largest(program.functions());
    text.push_str(&list(
        "function",
        functions.into_iter().take(LARGEST).collect(),
    ));
    Ok(text)
}

/// The shipped full build without the assembled suite, for comparing sizes; it cannot
/// run.
pub fn without_suite() -> Result<Vec<u8>> {
    let shipped = read(&program::build(Build::Full)?)?;
    let data = read(&with_symbols(Build::Full)?)?;
    let suite = constant(&object::File::parse(&*data)?, "SUITE")?;
    let mut places = shipped.windows(suite.len());
    let place = places.position(|bytes| bytes == suite);
    let (before, rest) = shipped.split_at(place.context("the program has no suite")?);
    Ok([before, &rest[suite.len()..]].concat())
}

/// The bytes of a `static`.
fn constant<'a>(file: &object::File<'a>, name: &str) -> Result<&'a [u8]> {
    let symbol = file.symbols().find(|symbol| {
        let mangled = symbol.name().unwrap_or_default().into();
        without_hash(&addr2line::demangle_auto(mangled, None)).ends_with(&format!("::{name}"))
    });
    let symbol = symbol.with_context(|| format!("no symbol {name}"))?;
    let mut sections = file.sections();
    let bytes = sections.find_map(|section| {
        let range = section.data_range(symbol.address(), symbol.size());
        range.ok().flatten()
    });
    bytes.with_context(|| format!("{name} has no bytes"))
}

/// The same build with symbols and line numbers.
fn with_symbols(build: Build) -> Result<PathBuf> {
    program::build_variant(build, "size", |cargo| {
        for profile in ["RELEASE", "MINIMAL"] {
            cargo.env(format!("CARGO_PROFILE_{profile}_STRIP"), "false");
            cargo.env(format!("CARGO_PROFILE_{profile}_DEBUG"), "line-tables-only");
        }
    })
}

/// A part of the loaded file.
struct Part<'a> {
    name: String,
    offset: u64,
    address: u64,
    data: &'a [u8],
    is_code: bool,
}

/// An executable with symbols and line numbers.
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

    /// The loaded sections. One that holds constants and code counts as two.
    fn parts(&self) -> Result<Vec<Part<'a>>> {
        let mut parts = Vec::new();
        for section in self.file.sections().filter(is_loaded) {
            let (offset, _) = section.file_range().context("a loaded section")?;
            let (address, data) = (section.address(), section.data()?);
            let name = section.name()?.to_owned();
            if section.kind() != SectionKind::Text {
                parts.push(Part {
                    name,
                    offset,
                    address,
                    data,
                    is_code: false,
                });
                continue;
            }
            let code = self.code_range(&section)?;
            let (start, end) = (code.start - address, code.end - address);
            let pieces = [
                (0..start, "constants"),
                (start..end, "code"),
                (end..data.len() as u64, "constants"),
            ];
            for (range, what) in pieces.into_iter().filter(|(range, _)| !range.is_empty()) {
                parts.push(Part {
                    name: format!("{name}, {what}"),
                    offset: offset + range.start,
                    address: address + range.start,
                    data: &data[range.start as usize..range.end as usize],
                    is_code: what == "code",
                });
            }
        }
        Ok(parts)
    }

    /// The code of a section, with constants before or after it: from the first mapping
    /// symbol `$x`, with which the ABI marks code, to the next `$d`, with which it marks data
    /// ("ELF for the Arm 64-bit Architecture", section 5.7).
    fn code_range(&self, section: &object::Section) -> Result<Range<u64>> {
        let marked = |mark: &str| -> Vec<u64> {
            let symbols = self.file.symbols();
            let marks = symbols.filter(|symbol| {
                let rest = symbol.name().ok().and_then(|name| name.strip_prefix(mark));
                symbol.section_index() == Some(section.index())
                    && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            marks.map(|symbol| symbol.address()).collect()
        };
        let start = marked("$x").into_iter().min();
        let start = start.context("no mapping symbols")?;
        let end = marked("$d").into_iter().filter(|end| *end > start).min();
        Ok(start..end.unwrap_or(section.address() + section.size()))
    }

    /// Fails unless as many bytes are loaded as from the shipped file. The bytes themselves
    /// may differ: with line numbers, the compiler places some functions differently.
    fn check_against(&self, shipped: &[u8]) -> Result<()> {
        let shipped = loaded_size(&object::File::parse(shipped)?);
        let size = loaded_size(&self.file);
        ensure!(
            size == shipped,
            "the program has {shipped} bytes to load, with symbols and lines {size}"
        );
        Ok(())
    }

    /// The sizes of the parts in their order, of the headers before and the rest after them.
    fn sections(&self, file_size: u64) -> Result<Vec<(String, u64)>> {
        let mut shares = Vec::new();
        let mut end = 0;
        for Part {
            name, offset, data, ..
        } in self.parts()?
        {
            let what = if end == 0 { "headers" } else { "padding" };
            shares.extend((offset > end).then(|| (what.to_owned(), offset - end)));
            let size = data.len() as u64;
            shares.push((name, size));
            end = offset + size;
        }
        // lld leaves room for the section headers that it does not write.
        let rest = file_size.saturating_sub(end);
        shares.extend((rest > 0).then(|| ("zeros at the end".to_owned(), rest)));
        Ok(shares)
    }

    /// Code by module. All instructions have the same size.
    fn code(&self) -> Result<Shares> {
        let mut shares = Shares::new();
        for part in self.parts()?.iter().filter(|part| part.is_code) {
            let end = part.address + part.data.len() as u64;
            for address in (part.address..end).step_by(4) {
                *shares.entry(self.module_of(address)?).or_default() += 4;
            }
        }
        Ok(shares)
    }

    fn constants(&self) -> Result<Shares> {
        let (code, data): (Vec<_>, Vec<_>) =
            self.parts()?.into_iter().partition(|part| part.is_code);
        let code = code.first().context("the program has no code")?;
        let mut constants = constants::Constants::new(code.address, code.data);
        for part in &data {
            constants.add_section(part.address, part.data);
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

    /// The module of an instruction. If several functions were inlined there, it is the
    /// module of the innermost function in the program, or else in another crate.
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

/// The path of a source file in the checkout, if it is the program's own.
fn own(file: &str) -> Option<&str> {
    let workspace = paths::workspace().to_str()?;
    match file.strip_prefix(workspace) {
        Some(rest) => rest.strip_prefix('/'),
        None => Some(file).filter(|file| !file.starts_with('/')),
    }
}

/// The crate of a source file.
fn krate(file: &str) -> String {
    let after = |mark: &str| Some(file.split_once(mark)?.1.split('/'));
    let of_registry = after("/registry/src/").and_then(|mut parts| parts.nth(1));
    let of_library = after("/library/").and_then(|mut parts| parts.next());
    of_registry.or(of_library).unwrap_or(file).to_owned()
}

/// The name of a function without the hash of its instance.
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
