//! The words of the command line, read into what to do.

use crate::{
    text::{number, split},
    words,
};
use core::ffi::CStr;
use heapless::Vec;

/// What `--help` prints. The program carries it packed.
pub const HELP: &str = include_str!("help.txt");

words! {
    /// What the program is asked to do.
    #[cfg_attr(debug_assertions, derive(Debug))]
    pub enum Command {
        /// Walk the four stages.
        "stages" => Stages,
        /// Tell whether the kernel names anonymous memory.
        "probe" => Probe,
        /// Test how it does.
        "check" => Check,
        /// Print [`HELP`].
        "help" => Help,
        /// Print the version.
        "version" => Version,
    }
}

words! {
    /// How PID 1 ends by itself.
    #[cfg_attr(debug_assertions, derive(Debug))]
    pub enum Ending {
        /// Switch the machine off.
        "poweroff" => PowerOff,
        /// Start it again.
        "reboot" => Reboot,
        /// Stop it without switching it off.
        "halt" => Halt,
    }
}

words! {
    /// The option of a name.
    fn option() -> Setting {
        "-q" => Setting::Flag(Flag::Quiet), "--quiet" => Setting::Flag(Flag::Quiet),
        "-y" => Setting::Flag(Flag::Yes), "--yes" => Setting::Flag(Flag::Yes),
        "-n" => Setting::Name, "--name" => Setting::Name,
        "-s" => Setting::Size, "--size" => Setting::Size,
        "-S" => Setting::Flag(Flag::Shared), "--shared" => Setting::Flag(Flag::Shared),
        "-o" => Setting::Output, "--output" => Setting::Output,
        "-r" => Setting::Flag(Flag::Require), "--require" => Setting::Flag(Flag::Require),
        "-l" => Setting::Flag(Flag::List), "--list" => Setting::Flag(Flag::List),
        "-t" => Setting::Then, "--then" => Setting::Then,
        "-h" => Setting::Help, "--help" => Setting::Help,
        "-V" => Setting::Version, "--version" => Setting::Version,
        "--" => Setting::Flag(Flag::End),
    }
}

/// What an option sets: a flag, the command, or a value, which follows it.
#[derive(Clone, Copy)]
enum Setting {
    Flag(Flag),
    Help,
    Version,
    Name,
    Size,
    Output,
    Then,
}

/// An option that is given or not.
#[derive(Clone, Copy)]
pub enum Flag {
    /// Print no more than must be.
    Quiet,
    /// Do not pause.
    Yes,
    /// Map with `MAP_SHARED`.
    Shared,
    /// Count as failed what the kernel lacks.
    Require,
    /// List the cases instead of running them.
    List,
    /// Words that begin with a dash are no options any more.
    End,
}

/// Everything the command line says.
#[cfg_attr(debug_assertions, derive(Debug))]
pub struct Options<'a> {
    /// What to do.
    pub command: Command,
    /// A bit for each [`Flag`].
    flags: u32,
    /// The name to give, valid or not.
    pub name: &'a CStr,
    /// How many bytes to map; `None` for one page.
    pub size: Option<u64>,
    /// Where to write the maps files.
    pub output: Option<&'a CStr>,
    /// How PID 1 ends, an [`Ending`] or the path of the real init; `None` if not said.
    pub then: Option<&'a CStr>,
    /// The cases to run; all if empty.
    pub cases: Vec<&'a CStr, MOST_CASES>,
}

/// The most cases that can be named at once.
pub const MOST_CASES: usize = 64;

/// Why a word could not be used, and what would be right.
pub type Reason = &'static [u8];

const UNKNOWN: Reason = b"unknown word, try --help";
const NO_VALUE: Reason = b"a value must follow";
const VALUE: Reason = b"this option takes no value";
const SIZE: Reason = b"give a size above 0, as 4096, 64K, 2M or 1G";
const CASES: Reason = b"too many cases named, 64 at most";

impl<'a> Options<'a> {
    /// What no words at all say.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Options {
            command: Command::Stages,
            flags: 0,
            name: c"/secret/mem/area",
            size: None,
            output: None,
            then: None,
            cases: Vec::new(),
        }
    }

    /// Reads `words`, the program's own name not among them. Each that cannot be
    /// used is handed to `refuse` and passed over.
    pub fn read(
        &mut self,
        words: &mut impl Iterator<Item = &'a CStr>,
        refuse: &mut impl FnMut(&'a CStr, Reason),
    ) {
        while let Some(mut word) = words.next() {
            let done = match word.to_bytes() {
                [b'-', b'-', ..] if !self.has(Flag::End) => self.long(&mut word, words),
                [b'-', _, ..] if !self.has(Flag::End) => self.short(&mut word, words),
                _ => self.plain(word),
            };
            if let Err(reason) = done {
                refuse(word, reason);
            }
        }
    }

    /// Whether `flag` is given.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags >> flag as u32 & 1 != 0
    }

    /// Whether the case to run is part of another, see [`Case::is_part`].
    ///
    /// [`Case::is_part`]: crate::suite::Case::is_part
    pub fn is_part(&self) -> bool {
        self.cases
            .first()
            .is_some_and(|name| name.to_bytes().starts_with(b"."))
    }

    /// `--name` or `--name=VALUE`.
    fn long(
        &mut self,
        word: &mut &'a CStr,
        words: &mut impl Iterator<Item = &'a CStr>,
    ) -> Result<(), Reason> {
        let (name, _) = split(word.to_bytes(), b'=');
        let attached = suffix(word, name.len() + 1);
        let setting = option(name).ok_or(UNKNOWN)?;
        if !self.set(setting) {
            return self.set_value(setting, attached, word, words);
        }
        attached.map_or(Ok(()), |_| Err(VALUE))
    }

    /// `-q`, `-qy`, `-n VALUE` or `-nVALUE`.
    fn short(
        &mut self,
        word: &mut &'a CStr,
        words: &mut impl Iterator<Item = &'a CStr>,
    ) -> Result<(), Reason> {
        let mut length = 1;
        while let Some(letter) = word.to_bytes().get(length) {
            length += 1;
            let setting = option(&[b'-', *letter]).ok_or(UNKNOWN)?;
            if !self.set(setting) {
                let attached = suffix(word, length).filter(|value| !value.is_empty());
                return self.set_value(setting, attached, word, words);
            }
        }
        Ok(())
    }

    /// Makes a `setting` that takes no value.
    fn set(&mut self, setting: Setting) -> bool {
        match setting {
            Setting::Flag(flag) => self.flags |= 1 << flag as u32,
            Setting::Help => self.command = Command::Help,
            Setting::Version => self.command = Command::Version,
            _ => return false,
        }
        true
    }

    /// Makes a `setting` with the value that is attached to its word, or else the
    /// next of `words`. From now on, that is the `word` in hand.
    fn set_value(
        &mut self,
        setting: Setting,
        attached: Option<&'a CStr>,
        word: &mut &'a CStr,
        words: &mut impl Iterator<Item = &'a CStr>,
    ) -> Result<(), Reason> {
        let value = attached.or_else(|| words.next()).ok_or(NO_VALUE)?;
        *word = value;
        match setting {
            Setting::Name => self.name = value,
            Setting::Size => self.size = Some(size(value.to_bytes()).ok_or(SIZE)?),
            Setting::Output => self.output = Some(value),
            _ => self.then = Some(value),
        }
        Ok(())
    }

    /// A word that is no option: a command, or a case of `check`.
    fn plain(&mut self, word: &'a CStr) -> Result<(), Reason> {
        if self.command == Command::Check {
            return self.cases.push(word).map_err(|_| CASES);
        }
        let command = Command::of(word.to_bytes()).ok_or(UNKNOWN)?;
        if !matches!(self.command, Command::Help | Command::Version) {
            self.command = command; // Who asks what it is wants nothing run.
        }
        Ok(())
    }
}

/// What follows the first `length` bytes of `word`.
fn suffix(word: &CStr, length: usize) -> Option<&CStr> {
    #[allow(clippy::indexing_slicing)] // Only where there is something.
    // Not `from_bytes_with_nul`, which looks for NULs inside with 250 bytes of code.
    (length < word.to_bytes_with_nul().len()).then(|| &word[length..])
}

/// Bytes, from decimal digits and an optional K, M or G.
fn size(text: &[u8]) -> Option<u64> {
    let mut unit = text;
    let number = number(&mut unit)?;
    let thousands = match unit {
        [] => 0,
        [unit] => 1 + b"kmg".iter().position(|known| *known == unit | 0x20)?,
        _ => return None,
    };
    let shift = 10 * thousands as u32;
    // From 1 on, and below 2^63.
    (number > 0 && number.leading_zeros() > shift).then_some(number << shift)
}
