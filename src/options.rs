//! The words of the command line, read into what to do.

use crate::{
    text::{Sink, Value::Foreign},
    words,
    words::position,
};
use core::ffi::CStr;
use heapless::Vec;

/// What `--help` prints.
pub const HELP: &str = "\
vm_anon_name [stages] [OPTION...]   map, name and unmap memory, showing the maps
vm_anon_name probe [-q]             can this kernel name anonymous memory?
vm_anon_name check [CASE...]        test how it does, KTAP out

  -q, --quiet         the bare transcript; with probe, the exit code alone
  -y, --yes           do not pause for Enter
  -n, --name NAME     the name to give (default /secret/mem/area)
  -s, --size BYTES    how much to map, with K, M or G (default one page)
  -S, --shared        map shared memory
  -o, --output DIR    write the four maps files there
  -r, --require       with check: what the kernel lacks has failed
  -l, --list          with check: list the cases
  -t, --then WHAT     as PID 1, in the end: poweroff, reboot, halt or exec a PATH
  -h, --help          this text
  -V, --version       version and git revision

exit: 0 fine, 1 a step failed, 2 usage, 4 the kernel lacks the feature
probe: 0 supported, 4 built without, 5 too old, 6 blocked, 7 not shown, 8 no /proc
";

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
        let bytes = word.to_bytes();
        let length = bytes.iter().position(|b| *b == b'=').unwrap_or(bytes.len());
        let long = bytes.get(2..length).unwrap_or_default();
        let Some(letter) = LETTERS.get(position(LONG, long)) else {
            return Err(Fault::Unknown(word));
        };
        let letter = *letter;
        match (self.flag(letter), suffix(word, length + 1)) {
            (true, None) => Ok(()),
            (true, Some(_)) => Err(Fault::Value(word)),
            (false, value) => {
                let value = value.or_else(|| words.next()).ok_or(Fault::NoValue(word))?;
                self.value(letter, value)
            }
        }
    }

    /// `-q`, `-qy`, `-n VALUE` or `-nVALUE`.
    fn short(
        &mut self,
        word: &'a CStr,
        words: &mut dyn Iterator<Item = &'a CStr>,
    ) -> Result<(), Fault<'a>> {
        for (index, letter) in word.to_bytes().iter().enumerate().skip(1) {
            if self.flag(*letter) {
                continue;
            }
            if !matches!(letter, b'n' | b's' | b'o' | b't') {
                return Err(Fault::Unknown(word));
            }
            let attached = suffix(word, index + 1).filter(|value| !value.is_empty());
            let value = attached
                .or_else(|| words.next())
                .ok_or(Fault::NoValue(word))?;
            return self.value(*letter, value);
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

    /// Sets the option called `letter`.
    fn value(&mut self, letter: u8, value: &'a CStr) -> Result<(), Fault<'a>> {
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
        self.command = Command::of(word.to_bytes()).ok_or(Fault::Unknown(word))?;
        Ok(())
    }
}

/// What follows the first `length` bytes of `word`.
fn suffix(word: &CStr, length: usize) -> Option<&CStr> {
    let (_, rest) = word.to_bytes_with_nul().split_at_checked(length)?;
    CStr::from_bytes_with_nul(rest).ok()
}

/// Bytes, from decimal digits and an optional K, M or G.
fn size(text: &[u8]) -> Option<u64> {
    let (digits, unit) = match text {
        [digits @ .., b'K' | b'k'] => (digits, 1 << 10),
        [digits @ .., b'M' | b'm'] => (digits, 1 << 20),
        [digits @ .., b'G' | b'g'] => (digits, 1 << 30),
        digits => (digits, 1u64),
    };
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0u64, |number, byte| {
        let digit = (*byte as char).to_digit(10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })?;
    number
        .checked_mul(unit)
        .filter(|size| (1..=i64::MAX as u64).contains(size))
}
