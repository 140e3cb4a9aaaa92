//! Progress messages of long tasks, on standard error.
//!
//! On a terminal a task is one line with a spinner and its duration, elsewhere one line
//! at its start and one at its end.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A task in progress. Dropping it without [`Progress::done`] removes its line: the
/// caller reports the error.
pub struct Progress {
    task: String,
    started: Instant,
    bar: ProgressBar,
}

impl Progress {
    /// Announces the task.
    pub fn start(task: impl Into<String>) -> Self {
        let task = task.into();
        let bar = ProgressBar::new_spinner();
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(task.clone());
        bar.enable_steady_tick(Duration::from_millis(100));
        if bar.is_hidden() {
            eprintln!("{task} ...");
        }
        Self {
            task,
            started: Instant::now(),
            bar,
        }
    }

    /// Shows a detail after the name of the task, on a terminal only.
    pub fn detail(&self, line: &str) {
        self.bar.set_message(line.trim().to_owned());
    }

    /// Announces the successful end.
    pub fn done(self) {
        self.bar.finish_and_clear();
        let seconds = self.started.elapsed().as_secs_f32();
        eprintln!("{}: {seconds:.1} s", self.task);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
