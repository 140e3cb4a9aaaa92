//! Record of a boot that has ended: its console and how it ended.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::tool;

/// How a boot ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The kernel powered the machine off.
    PoweredOff,
    /// The kernel restarted the machine.
    Restarted,
    /// The kernel halted the machine.
    Halted,
    /// The kernel panicked; its message.
    Panicked(String),
    /// The machine still ran at the deadline, or the kernel reported a lockup.
    Hung(String),
    /// The machine still ran at the deadline and had printed nothing.
    NeverStarted,
    /// QEMU ended, but the kernel did not say why; QEMU's own messages.
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
            Ending::QemuFailed(words) => write!(f, "ended because QEMU failed: {words}"),
        }
    }
}

/// Converts the kernel's last line to an ending.
type ToEnding = fn(String) -> Ending;

/// Messages that the kernel prints at its end even with `quiet`. The first match counts:
/// a panic may be followed by a restart, so it is listed first.
const LAST_MESSAGES: &[(&str, ToEnding)] = &[
    ("Kernel panic - not syncing", Ending::Panicked),
    ("soft lockup - CPU#", Ending::Hung),
    ("rcu: INFO: rcu_", Ending::Hung),
    ("reboot: Power down", |_| Ending::PoweredOff),
    ("reboot: Restarting system", |_| Ending::Restarted),
    ("reboot: System halted", |_| Ending::Halted),
];

/// How the boot ended according to the kernel's messages; `None` without such a message.
pub(super) fn ending_in(text: &[u8]) -> Option<Ending> {
    let text = String::from_utf8_lossy(text);
    LAST_MESSAGES.iter().find_map(|(words, ending)| {
        let line = text.lines().find(|line| line.contains(words))?;
        Some(ending(line.to_owned()))
    })
}

/// A boot that has ended.
#[derive(Clone, Debug)]
pub struct Boot {
    /// Output of the console, byte for byte.
    pub bytes: Vec<u8>,
    /// Output of the other serial devices, in the order of the machine's list.
    pub other_serial: Vec<Vec<u8>>,
    /// How it ended.
    pub ending: Ending,
    /// Time from the start of QEMU to its end.
    pub took: Duration,
    /// Log file of the console.
    pub log: PathBuf,
}

/// Prefix of the line in which the program reports its exit status as PID 1.
const STATUS: &str = "vm_anon_name: status ";

impl Boot {
    /// Output of the console with plain newlines; see [`plain_text`].
    pub fn text(&self) -> String {
        plain_text(&self.bytes)
    }

    /// The exit status that the program reported as PID 1; `None` unless exactly one line reports it.
    pub fn status(&self) -> Option<u8> {
        let text = self.text();
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(STATUS));
        let (status, None) = (lines.next()?, lines.next()) else {
            return None;
        };
        status.split(',').next()?.parse().ok()
    }

    /// Fails unless the machine was powered off.
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

/// Console output as text with plain newlines: a tty writes `\r\n`, and `\r\r\n`
/// where a program wrote `\r\n`.
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
