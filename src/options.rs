//! The words of the command line, read into what to do.

use crate::{
    text::{Sink, Value::Foreign, number, split},
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

/// What follows when PID 1 is done.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub enum Then<'a> {
    /// The machine stops.
    End(Ending),
    /// It becomes the real init.
    Exec(&'a CStr),
}

/// Everything the command line says.
#[cfg_attr(debug_assertions, derive(Debug))]
pub struct Options<'a> {
    /// What to do.
    pub command: Command,
    /// Print no more than must be.
    pub quiet: bool,
    /// Do not pause.
    pub yes: bool,
    /// Map with `MAP_SHARED`.
    pub shared: bool,
    /// Count as failed what the kernel lacks.
    pub require: bool,
    /// List the cases instead of running them.
    pub list: bool,
    /// The name to give, valid or not.
    pub name: &'a CStr,
    /// How many bytes to map; `None` for one page.
    pub size: Option<u64>,
    /// Where to write the maps files.
    pub output: Option<&'a CStr>,
    /// How PID 1 ends; `None` if not said.
    pub then: Option<Then<'a>>,
    /// The cases to run; all if empty.
    pub cases: Vec<&'a CStr, MOST_CASES>,
}

/// The most cases that can be named at once.
pub const MOST_CASES: usize = 64;

/// A word that could not be used.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub enum Fault<'a> {
    /// No command and no option.
    Unknown(&'a CStr),
    /// The option needs a value, and no word is left.
    NoValue(&'a CStr),
    /// The option takes no value, yet has one after `=`.
    Value(&'a CStr),
    /// Not a size from 1 to 2^63 - 1 bytes.
    Size(&'a CStr),
    /// More than [`MOST_CASES`] cases: this one was left out.
    Case(&'a CStr),
}

impl Fault<'_> {
    /// Writes what is wrong, and what would be right.
    pub fn explain(self, out: &mut dyn Sink) {
        let (word, text): (_, &[u8]) = match self {
            Fault::Unknown(word) => (word, b"'%': unknown word, try --help"),
            Fault::NoValue(word) => (word, b"'%': a value must follow"),
            Fault::Value(word) => (word, b"'%': this option takes no value"),
            Fault::Size(word) => (word, b"'%': give a size above 0, as 4096, 64K, 2M or 1G"),
            Fault::Case(word) => (word, b"'%': too many cases named, 64 at most"),
        };
        out.print(text, &[Foreign(word.to_bytes())]);
    }
}

/// The long options, and below each its letter.
const LONG: &[u8] = b"quiet yes name size shared output require list then help version";
const LETTERS: &[u8] = b"qynsSorlthV";

impl<'a> Options<'a> {
    /// Reads `words`, the program's own name not among them. Each word that
    /// cannot be used is handed to `report` and passed over.
    pub fn read(
        words: &mut dyn Iterator<Item = &'a CStr>,
        report: &mut dyn FnMut(Fault<'a>),
    ) -> Self {
        let mut options = Options {
            command: Command::Stages,
            quiet: false,
            yes: false,
            shared: false,
            require: false,
            list: false,
            name: c"/secret/mem/area",
            size: None,
            output: None,
            then: None,
            cases: Vec::new(),
        };
        let mut options_end = false;
        while let Some(word) = words.next() {
            let fault = match word.to_bytes() {
                b"--" if !options_end => {
                    options_end = true;
                    Ok(())
                }
                [b'-', b'-', ..] if !options_end => options.long(word, words),
                [b'-', _, ..] if !options_end => options.short(word, words),
                _ => options.plain(word),
            };
            if let Err(fault) = fault {
                report(fault);
            }
        }
        options
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
        word: &'a CStr,
        words: &mut dyn Iterator<Item = &'a CStr>,
    ) -> Result<(), Fault<'a>> {
        let long = word.to_bytes().get(2..).unwrap_or_default();
        let (name, _) = split(long, b'=');
        let letter = LETTERS.get(position(LONG, name));
        let letter = *letter.ok_or(Fault::Unknown(word))?;
        let attached = suffix(word, 2 + name.len() + 1);
        if !self.flag(letter) {
            return self.value(letter, word, attached, words);
        }
        attached.map_or(Ok(()), |_| Err(Fault::Value(word)))
    }

    /// `-q`, `-qy`, `-n VALUE` or `-nVALUE`.
    fn short(
        &mut self,
        word: &'a CStr,
        words: &mut dyn Iterator<Item = &'a CStr>,
    ) -> Result<(), Fault<'a>> {
        let mut length = 1;
        while let Some(letter) = word.to_bytes().get(length).copied() {
            length += 1;
            if !self.flag(letter) {
                let attached = suffix(word, length).filter(|value| !value.is_empty());
                return self.value(letter, word, attached, words);
            }
        }
        Ok(())
    }

    /// Sets the flag called `letter`, if there is one.
    fn flag(&mut self, letter: u8) -> bool {
        match letter {
            b'q' => self.quiet = true,
            b'y' => self.yes = true,
            b'S' => self.shared = true,
            b'r' => self.require = true,
            b'l' => self.list = true,
            b'h' => self.command = Command::Help,
            b'V' => self.command = Command::Version,
            _ => return false,
        }
        true
    }

    /// Sets the option called `letter` to the value that is attached to its `word`,
    /// or else to the next of `words`.
    fn value(
        &mut self,
        letter: u8,
        word: &'a CStr,
        attached: Option<&'a CStr>,
        words: &mut dyn Iterator<Item = &'a CStr>,
    ) -> Result<(), Fault<'a>> {
        if !matches!(letter, b'n' | b's' | b'o' | b't') {
            return Err(Fault::Unknown(word));
        }
        let value = attached.or_else(|| words.next());
        let value = value.ok_or(Fault::NoValue(word))?;
        match letter {
            b'n' => self.name = value,
            b's' => self.size = Some(size(value.to_bytes()).ok_or(Fault::Size(value))?),
            b'o' => self.output = Some(value),
            _ => {
                let ending = Ending::of(value.to_bytes());
                self.then = Some(ending.map_or(Then::Exec(value), Then::End));
            }
        }
        Ok(())
    }

    /// A word that is no option: a command, or a case of `check`.
    fn plain(&mut self, word: &'a CStr) -> Result<(), Fault<'a>> {
        if self.command == Command::Check {
            return self.cases.push(word).map_err(Fault::Case);
        }
        let command = Command::of(word.to_bytes()).ok_or(Fault::Unknown(word))?;
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
    let unit = match unit {
        [] => 1,
        [b'K' | b'k'] => 1 << 10,
        [b'M' | b'm'] => 1 << 20,
        [b'G' | b'g'] => 1 << 30,
        _ => return None,
    };
    number
        .checked_mul(unit)
        .filter(|size| (1..=i64::MAX as u64).contains(size))
}
