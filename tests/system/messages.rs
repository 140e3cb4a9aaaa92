//! Messages of the program that more than one trial expects.

use anyhow::Result;
use rig::conformance::{self, is_older};
use rig::kernels::Kernel;

/// The last line of the stages, with the end of the line before it.
pub(crate) const SAME_MAPS: &str = "\nThe first and the last maps are the same.\n";

/// The reason for a failure on a kernel before 5.17.
pub(crate) const TOO_OLD: &str = "is older than 5.17, the first to name anonymous memory";

/// The reason for a failure on a later kernel without the option.
pub(crate) const BUILT_WITHOUT: &str = "was built without CONFIG_ANON_VMA_NAME";

/// The beginning of the line with which PID 1 reports the exit status.
pub(crate) const STATUS_LINE: &str = "vm_anon_name: status ";

/// The line with which PID 1 reports the exit status before it powers off.
pub(crate) fn powers_off_with(status: u8) -> String {
    format!("{STATUS_LINE}{status}, then poweroff")
}

/// Why a kernel cannot name memory, after the release.
pub(crate) fn unsupported(kernel: &Kernel) -> Result<&'static str> {
    Ok(match is_older(&kernel.version()?, conformance::NAMES) {
        true => TOO_OLD,
        false => BUILT_WITHOUT,
    })
}

/// The message about a word that is neither an option nor a command.
pub(crate) fn unknown_word(word: &str) -> String {
    format!("vm_anon_name: '{word}': unknown word, try --help\n")
}
