//! What the rig says while something takes its time.
//!
//! On a terminal a step is one line with a spinner and the time it has taken;
//! anywhere else it is one line when it begins and one when it ends.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Something that takes long enough to be worth a line.
pub struct Progress {
    what: String,
    since: Instant,
    bar: ProgressBar,
}

impl Progress {
    /// Announces the step.
    pub fn start(what: impl Into<String>) -> Self {
        let what = what.into();
        let bar = ProgressBar::new_spinner();
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(what.clone());
        bar.enable_steady_tick(Duration::from_millis(100));
        if bar.is_hidden() {
            eprintln!("{what} ...");
        }
        Self {
            what,
            since: Instant::now(),
            bar,
        }
    }

    /// Says what the step is at; shown only on a terminal.
    pub fn detail(&self, line: &str) {
        self.bar.set_message(line.trim().to_owned());
    }

    /// Ends the step well. A step dropped without this just disappears: the
    /// error that ended it is told elsewhere.
    pub fn done(self) {
        self.bar.finish_and_clear();
        eprintln!("{}: {:.1} s", self.what, self.since.elapsed().as_secs_f32());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

// The former name, until every branch uses the new one.
pub use Progress as Step;
