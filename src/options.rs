//! The command line.

use crate::scan::{look_up, number, number_32, split};
use core::ffi::CStr;
use heapless::Vec;

/// What the program does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Walk through the four stages.
    Stages,
    /// Say whether the kernel can name anonymous memory.
    Probe,
    /// Test how the kernel names anonymous memory.
    Check,
    /// List the mappings of a process.
    Maps,
    /// Add up the memory of processes by name.
    Names,
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

impl Command {
    /// The command with this name.
    pub fn of(word: &[u8]) -> Option<Self> {
        const COMMANDS: &[(&str, Command)] = &[
            ("stages", Command::Stages),
            ("probe", Command::Probe),
            ("check", Command::Check),
            ("maps", Command::Maps),
            ("names", Command::Names),
            ("help", Command::Help),
            ("version", Command::Version),
        ];
        look_up(COMMANDS, word)
    }
}

/// An option of the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flag {
    /// Print as little as possible.
    Quiet,
    /// Do not pause.
    Yes,
    /// The name to give.
    Name,
    /// How much memory to map.
    Size,
    /// Map shared memory.
    Shared,
    /// Where to write the maps files.
    Output,
    /// Print the whole maps at each stage.
    Maps,
    /// Print JSON.
    Json,
    /// Do not fold the numbers at the end of names.
    Exact,
    /// How long to wait before memory is added up again.
    Every,
    /// The number of reports.
    Count,
    /// Report a failure if the kernel lacks the feature.
    Require,
    /// List the cases instead of running them.
    List,
    /// What PID 1 does at the end.
    Then,
    /// Print the help, whatever the command.
    Help,
    /// Print the version, whatever the command.
    Version,
    /// A command is given. This is not an option.
    Command,
}

/// How an option is written, and where it has an effect.
struct Spec {
    flag: Flag,
    letter: u8,
    long: &'static str,
    takes_value: bool,
    /// A bit `1 << Command` for each command on which it has an effect.
    commands: u8,
}

// Help and version accept all options.
const HELP: u8 = 1 << Command::Help as u8 | 1 << Command::Version as u8;
const STAGES: u8 = 1 << Command::Stages as u8 | HELP;
const PROBE: u8 = 1 << Command::Probe as u8 | HELP;
const CHECK: u8 = 1 << Command::Check as u8 | HELP;
const NAMES: u8 = 1 << Command::Names as u8 | HELP;
const ALL: u8 = u8::MAX;

const fn spec(flag: Flag, letter: u8, long: &'static str, takes_value: bool, commands: u8) -> Spec {
    Spec {
        flag,
        letter,
        long,
        takes_value,
        commands,
    }
}

const SPECS: [Spec; 16] = [
    spec(Flag::Quiet, b'q', "--quiet", false, STAGES | PROBE),
    spec(Flag::Yes, b'y', "--yes", false, STAGES),
    spec(Flag::Name, b'n', "--name", true, STAGES),
    spec(Flag::Size, b's', "--size", true, STAGES),
    spec(Flag::Shared, b'S', "--shared", false, STAGES),
    spec(Flag::Output, b'o', "--output", true, STAGES),
    spec(Flag::Maps, b'm', "--maps", false, STAGES),
    spec(Flag::Json, b'j', "--json", false, NAMES),
    spec(Flag::Exact, b'x', "--exact", false, NAMES),
    spec(Flag::Every, b'e', "--every", true, NAMES),
    spec(Flag::Count, b'c', "--count", true, NAMES),
    spec(Flag::Require, b'r', "--require", false, CHECK | NAMES),
    spec(Flag::List, b'l', "--list", false, CHECK),
    spec(Flag::Then, b't', "--then", true, ALL),
    spec(Flag::Help, b'h', "--help", false, ALL),
    spec(Flag::Version, b'V', "--version", false, ALL),
];

/// Why a word is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Neither a command nor an option.
    Unknown,
    /// An option without its value.
    NoValue,
    /// A value for an option that has none.
    Value,
    /// A command as the value of an option, probably because the value is missing.
    CommandAsValue,
    /// Not a size in bytes from 1 to 2^63 - 1.
    BadSize,
    /// Not a number from 1 to 2^32 - 1.
    BadNumber,
    /// A second command.
    SecondCommand,
    /// More than [`MAX_WORDS`] cases or processes.
    TooManyWords,
    /// An option without an effect on the command.
    NoEffect,
    /// An option that only PID 1 accepts.
    NotInit,
}

impl Reason {
    /// The reason in words.
    pub fn text(self) -> &'static str {
        match self {
            Reason::Unknown => "unknown word, try --help",
            Reason::NoValue => "it needs a value",
            Reason::Value => "it takes no value",
            Reason::CommandAsValue => "a command, where a value is needed",
            Reason::BadSize => "give a size above 0, such as 64K, 2M or 1G",
            Reason::BadNumber => "give a number above 0",
            Reason::SecondCommand => "a second command",
            Reason::TooManyWords => "64 at most",
            Reason::NoEffect => "it has no effect with this command",
            Reason::NotInit => "this is for PID 1 alone",
        }
    }
}

/// The largest number of cases or processes that can be given at once.
pub const MAX_WORDS: usize = 64;

/// The parsed command line.
#[derive(Debug)]
pub struct Options<'a> {
    /// Whether the command line is valid. If not, the command must not run.
    pub usable: bool,
    /// What to do; [`Command::Stages`] unless a word names another command.
    pub command: Command,
    /// The name to give, valid or not.
    pub name: &'a CStr,
    /// How many bytes to map, from 1 to 2^63 - 1; `None` for one page.
    pub size: Option<u64>,
    /// The directory for the maps files.
    pub output: Option<&'a CStr>,
    /// How PID 1 ends: `poweroff`, `reboot`, `halt` or the path of the next init.
    pub then: Option<&'a CStr>,
    /// The seconds of `--every`.
    pub every: Option<u32>,
    /// The number of `--count`.
    pub count: Option<u32>,
    /// The cases to run, or the processes to read; all if empty (`maps`: this process).
    pub words: Vec<&'a CStr, MAX_WORDS>,
    /// A bit `1 << Flag` for each option that is given.
    given: u32,
}

/// The options of an empty command line.
impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            usable: true,
            command: Command::Stages,
            name: c"/secret/mem/area",
            size: None,
            output: None,
            then: None,
            every: None,
            count: None,
            words: Vec::new(),
            given: 0,
        }
    }
}

impl<'a> Options<'a> {
    /// Parses `words`, the command line without the program's own name. `self` holds the
    /// defaults. Passes each word that it refuses to `refuse`, with the reason.
    ///
    /// PID 1 gets the words after `--` on the kernel's command line and, before them,
    /// the words that the kernel does not know. So PID 1 ignores unknown words that
    /// come first, if a command or `--yes` follows. Otherwise it cannot tell whether
    /// the stages, which wait for Enter, are wanted.
    pub fn parse(
        &mut self,
        words: &mut impl Iterator<Item = &'a CStr>,
        is_init: bool,
        refuse: &mut impl FnMut(&'a [u8], Reason),
    ) {
        let (mut has_strangers, mut options_end) = (false, false);
        while let Some(mut word) = words.next() {
            let result = match word.to_bytes() {
                b"--" if !options_end => {
                    options_end = true;
                    Ok(())
                }
                [b'-', _, ..] if !options_end => self.option(&mut word, words),
                _ => self.plain(word),
            };
            let Err(reason) = result else { continue };
            refuse(word.to_bytes(), reason);
            if is_init && reason == Reason::Unknown && self.given == 0 {
                has_strangers = true;
            } else {
                self.usable = false;
            }
        }
        if has_strangers && !self.has(Flag::Command) && !self.has(Flag::Yes) {
            self.usable = false;
        }
        if self.has(Flag::Version) {
            self.command = Command::Version;
        }
        if self.has(Flag::Help) {
            self.command = Command::Help;
        }
        for spec in &SPECS {
            if self.has(spec.flag) && spec.commands >> self.command as u8 & 1 == 0 {
                refuse(spec.long.as_bytes(), Reason::NoEffect);
                self.usable = false;
            }
        }
        if self.has(Flag::Then) && !is_init {
            refuse(b"--then", Reason::NotInit);
            self.usable = false;
        }
    }

    /// Whether the option `flag` is given.
    pub fn has(&self, flag: Flag) -> bool {
        self.given >> flag as u32 & 1 != 0
    }

    /// The helper case to run in this process, see [`Case::is_helper`]. Excludes those
    /// that only PID 1 runs, whose names begin with two dots.
    ///
    /// [`Case::is_helper`]: crate::suite::Case::is_helper
    pub fn helper(&self) -> Option<&'a CStr> {
        let first = self.words.first().copied()?;
        matches!(first.to_bytes(), [b'.', second, ..] if *second != b'.').then_some(first)
    }

    /// Parses `-q`, `-qy`, `-nNAME`, `-n NAME`, `--name=NAME` or `--name NAME`. Sets
    /// `word` to the value, if there is one: an error is then about the value.
    fn option(
        &mut self,
        word: &mut &'a CStr,
        words: &mut impl Iterator<Item = &'a CStr>,
    ) -> Result<(), Reason> {
        let whole = *word;
        let bytes = whole.to_bytes();
        if bytes.starts_with(b"--") {
            let (name, _) = split(bytes, b'=');
            let spec = find(|spec| spec.long.as_bytes() == name)?;
            let value = suffix(whole, name.len() + 1);
            if value.is_some() && !spec.takes_value {
                return Err(Reason::Value);
            }
            return self.set(spec, value, word, words);
        }
        let mut rest = bytes.split_first().map_or(bytes, |(_, letters)| letters);
        while let [letter, after @ ..] = rest {
            rest = after;
            let spec = find(|spec| spec.letter == *letter)?;
            let mut value = None;
            if spec.takes_value && !rest.is_empty() {
                value = suffix(whole, bytes.len() - rest.len());
                rest = b"";
            }
            self.set(spec, value, word, words)?;
        }
        Ok(())
    }

    /// Records an option. If it takes a value, sets `word` to the value: to `attached`, or else
    /// to the next of `words`.
    fn set(
        &mut self,
        spec: &Spec,
        attached: Option<&'a CStr>,
        word: &mut &'a CStr,
        words: &mut impl Iterator<Item = &'a CStr>,
    ) -> Result<(), Reason> {
        self.given |= 1 << spec.flag as u32;
        if !spec.takes_value {
            return Ok(());
        }
        if let Some(attached) = attached {
            *word = attached;
        } else {
            *word = words.next().ok_or(Reason::NoValue)?;
            if Command::of(word.to_bytes()).is_some() {
                return Err(Reason::CommandAsValue);
            }
        }
        match spec.flag {
            Flag::Size => self.size = Some(size(word.to_bytes()).ok_or(Reason::BadSize)?),
            Flag::Every => self.every = Some(above_0(word)?),
            Flag::Count => self.count = Some(above_0(word)?),
            Flag::Name => self.name = word,
            Flag::Output => self.output = Some(word),
            Flag::Then => self.then = Some(word),
            _ => {} // The other options have no value.
        }
        Ok(())
    }

    /// Parses a word that is not an option: a command, a case of `check`, or a process.
    fn plain(&mut self, word: &'a CStr) -> Result<(), Reason> {
        if matches!(
            self.command,
            Command::Check | Command::Maps | Command::Names
        ) {
            return self.words.push(word).map_err(|_| Reason::TooManyWords);
        }
        let command = Command::of(word.to_bytes()).ok_or(Reason::Unknown)?;
        if self.has(Flag::Command) {
            return Err(Reason::SecondCommand);
        }
        self.given |= 1 << Flag::Command as u32;
        self.command = command;
        Ok(())
    }
}

fn find(is_it: impl Fn(&&Spec) -> bool) -> Result<&'static Spec, Reason> {
    SPECS.iter().find(is_it).ok_or(Reason::Unknown)
}

/// The part of `word` after the first `length` bytes; `None` if the word is shorter.
fn suffix(word: &CStr, length: usize) -> Option<&CStr> {
    #[allow(clippy::indexing_slicing)] // `length` is within the slice.
    (length < word.to_bytes_with_nul().len()).then(|| &word[length..])
}

/// Parses a decimal number from 1 to 2^32 - 1.
fn above_0(word: &CStr) -> Result<u32, Reason> {
    let number = number_32(word.to_bytes());
    number.filter(|number| *number > 0).ok_or(Reason::BadNumber)
}

/// Parses a size in bytes: decimal digits and an optional K, M or G.
fn size(text: &[u8]) -> Option<u64> {
    let mut unit = text;
    let number = number(&mut unit)?;
    let shift = match unit {
        [] => 0,
        [b'k' | b'K'] => 10,
        [b'm' | b'M'] => 20,
        [b'g' | b'G'] => 30,
        _ => return None,
    };
    // From 1 to 2^63 - 1.
    (number > 0 && number.leading_zeros() > shift).then(|| number << shift)
}
