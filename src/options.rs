//! The words of the command line, read into what to do.

use crate::{
    messages::Message,
    text::{number, split},
    words,
    words::position,
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

/// The options, letter and word of each, if it has one; last those that take a value.
const OPTIONS: &[u8] = b"-q --quiet -y --yes -S --shared -r --require -l --list -h --help \
    -V --version = -- -n --name -s --size -o --output -t --then";

/// Places among the options that take a value, which are behind the flags.
const NAME: usize = 0;
const SIZE: usize = 1;
const OUTPUT: usize = 2;
const THEN: usize = 3;
const VALUES: usize = 4;
const FLAGS: usize = Flag::End as usize + 1;

/// An option that is given or not: its place among the options.
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
    /// Print [`HELP`], whatever the command.
    Help,
    /// Print the version, whatever the command.
    Version,
    /// Words that begin with a dash are no options any more.
    End,
}

/// Everything the command line says.
#[cfg_attr(debug_assertions, derive(Debug))]
pub struct Options<'a> {
    /// What to do.
    pub command: Command,
    /// A bit for each option that is given, at its place.
    given: u32,
    /// The last value of each option that takes one.
    values: [Option<&'a CStr>; VALUES],
    /// How many bytes to map; `None` for one page.
    pub size: Option<u64>,
    /// The cases to run; all if empty.
    pub cases: Vec<&'a CStr, MOST_CASES>,
}

/// The most cases that can be named at once.
pub const MOST_CASES: usize = 64;

impl<'a> Options<'a> {
    /// What no words at all say.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Options {
            command: Command::Stages,
            given: 0,
            values: [None; VALUES],
            size: None,
            cases: Vec::new(),
        }
    }

    /// Reads `words`, the program's own name not among them. Each that cannot be
    /// used is handed to `refuse` and passed over.
    pub fn read(
        &mut self,
        words: &mut impl Iterator<Item = &'a CStr>,
        refuse: &mut impl FnMut(&'a CStr, Message),
    ) {
        while let Some(mut word) = words.next() {
            let done = match word.to_bytes() {
                [b'-', _, ..] if !self.has(Flag::End) => self.option(&mut word, words),
                _ => self.plain(word),
            };
            if let Err(reason) = done {
                refuse(word, reason);
            }
        }
        // Who asks what it is wants nothing run.
        if self.has(Flag::Version) {
            self.command = Command::Version;
        }
        if self.has(Flag::Help) {
            self.command = Command::Help;
        }
    }

    /// Whether `flag` is given.
    pub fn has(&self, flag: Flag) -> bool {
        self.given >> flag as u32 & 1 != 0
    }

    /// The name to give, valid or not.
    pub fn name(&self) -> &'a CStr {
        self.values[NAME].unwrap_or(c"/secret/mem/area")
    }

    /// Where to write the maps files.
    pub fn output(&self) -> Option<&'a CStr> {
        self.values[OUTPUT]
    }

    /// How PID 1 ends: `poweroff`, `reboot`, `halt` or the path of the real init; `None` if not said.
    pub fn then(&self) -> Option<&'a CStr> {
        self.values[THEN]
    }

    /// The part of a case to run, see [`Case::is_part`]; not those of PID 1, which have two
    /// dots.
    ///
    /// [`Case::is_part`]: crate::suite::Case::is_part
    pub fn part(&self) -> Option<&'a CStr> {
        let first = self.cases.first().copied()?;
        matches!(first.to_bytes(), [b'.', second, ..] if *second != b'.').then_some(first)
    }

    /// `--name`, `--name VALUE` or `--name=VALUE`; `-q`, `-qy`, `-n VALUE` or `-nVALUE`.
    /// If the value is the next of `words`, that is the `word` in hand from now on.
    fn option(
        &mut self,
        word: &mut &'a CStr,
        words: &mut impl Iterator<Item = &'a CStr>,
    ) -> Result<(), Message> {
        let whole = *word;
        let bytes = whole.to_bytes();
        let is_long = bytes.starts_with(b"--");
        let (long, _) = split(bytes, b'=');
        let mut length = if is_long { long.len() } else { 1 };
        loop {
            let letter = bytes.get(length).copied().unwrap_or_default();
            length += 1;
            let short = [b'-', letter];
            let place = position(OPTIONS, if is_long { long } else { &short });
            let is_other = place % 2 != usize::from(is_long); // As `--` is in `-q-`.
            let place = place / 2;
            if is_other || place >= FLAGS + VALUES {
                return Err(Message::UNKNOWN_WORD);
            }
            self.given |= 1 << place;
            let attached = suffix(whole, length).filter(|value| is_long || !value.is_empty());
            let value = place.wrapping_sub(FLAGS);
            if let Some(slot) = self.values.get_mut(value) {
                *word = attached.or_else(|| words.next()).ok_or(Message::NO_VALUE)?;
                if value == SIZE {
                    self.size = Some(size(word.to_bytes()).ok_or(Message::SIZE)?);
                }
                *slot = Some(word);
                return Ok(());
            }
            if attached.is_none() {
                return Ok(());
            }
            if is_long {
                return Err(Message::VALUE);
            }
        }
    }

    /// A word that is no option: a command, or a case of `check`.
    fn plain(&mut self, word: &'a CStr) -> Result<(), Message> {
        if self.command == Command::Check {
            return self.cases.push(word).map_err(|_| Message::CASES);
        }
        self.command = Command::of(word.to_bytes()).ok_or(Message::UNKNOWN_WORD)?;
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
    let place = position(b" k K m M g G", unit) as u32;
    let shift = place.div_ceil(2).saturating_mul(10);
    // From 1 on, and below 2^63.
    (number > 0 && number.leading_zeros() > shift).then(|| number << shift)
}
