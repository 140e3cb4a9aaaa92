//! Messages of the program that more than one trial expects.

/// The last line of the stages.
pub(crate) const SAME_MAPS: &str = "\nThe first and the last maps are the same.\n";

/// The reason on a kernel before 5.17.
pub(crate) const TOO_OLD: &str = "is older than 5.17, the first to name anonymous memory";

/// The beginning of the line with which PID 1 reports the exit status.
pub(crate) const STATUS_LINE: &str = "vm_anon_name: status ";
