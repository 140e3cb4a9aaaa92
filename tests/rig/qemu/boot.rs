//! The console of a boot that has ended, and the judgement over it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::tool;

/// How a boot ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The program told the kernel to power off.
    PoweredOff,
    /// The program told the kernel to restart.
    Restarted,
    /// The program told the kernel to halt.
    Halted,
    /// The kernel gave up; what it said.
    Panicked(String),
    /// Nothing ended it before the deadline, or the kernel said that it hangs.
    Hung(String),
    /// Not one byte came from the console.
    NeverStarted,
    /// QEMU left without a word from the kernel; what QEMU said.
    QemuFailed(String),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::PoweredOff => write!(f, "powered off"),
            Ending::Restarted => write!(f, "restarted"),
            Ending::Halted => write!(f, "halted"),
            Ending::Panicked(line) => write!(f, "panicked: {line}"),
            Ending::Hung(line) => write!(f, "hung: {line}"),
            Ending::NeverStarted => write!(f, "never said anything"),
            Ending::QemuFailed(words) => write!(f, "QEMU left: {words}"),
        }
    }
}

/// What a line of the kernel says about the end.
type Judgement = fn(String) -> Ending;

/// What the kernel says when it ends, even when told to be quiet, and what that
/// means. A panic comes first: it may be followed by a restart.
const LAST_WORDS: &[(&str, Judgement)] = &[
    ("Kernel panic - not syncing", Ending::Panicked),
    ("soft lockup - CPU#", Ending::Hung),
    ("rcu: INFO: rcu_", Ending::Hung),
    ("reboot: Power down", |_| Ending::PoweredOff),
    ("reboot: Restarting system", |_| Ending::Restarted),
    ("reboot: System halted", |_| Ending::Halted),
];

/// How the boot ended, by what the kernel said; nothing if it has not yet.
pub(super) fn last_words(text: &[u8]) -> Option<Ending> {
    let text = String::from_utf8_lossy(text);
    LAST_WORDS.iter().find_map(|(words, ending)| {
        let line = text.lines().find(|line| line.contains(words))?;
        Some(ending(line.to_owned()))
    })
}

/// The console of a boot that has ended.
#[derive(Clone, Debug)]
pub struct Boot {
    /// Every byte, as it came.
    pub bytes: Vec<u8>,
    /// How it ended.
    pub ending: Ending,
    /// How long it took.
    pub took: Duration,
    /// The file the console was logged to.
    pub log: PathBuf,
}

impl Boot {
    /// The console as text, with the ends of lines that a terminal wants, and
    /// that come doubled at times, made plain newlines.
    pub fn text(&self) -> String {
        plain_text(&self.bytes)
    }

    /// The exit status that the program, as PID 1, said it has.
    pub fn status(&self) -> Option<u8> {
        let text = self.text();
        let mut lines = text.lines().rev();
        let said = lines.find_map(|line| line.strip_prefix("vm_anon_name: status "))?;
        said.split(',').next()?.parse().ok()
    }

    /// Fails unless the program powered the machine off.
    pub fn expect_power_off(&self) -> Result<()> {
        if self.ending != Ending::PoweredOff {
            bail!(
                "the machine {}, see {}\n{}",
                self.ending,
                self.log.display(),
                tool::tail(&self.text())
            );
        }
        Ok(())
    }
}

/// Boot output as text, each line ended by a newline alone.
pub fn plain_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some(line) => {
                plain.push_str(line.trim_end_matches('\r'));
                plain.push('\n');
            }
            None => plain.push_str(line),
        }
    }
    plain
}
