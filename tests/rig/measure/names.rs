//! What `maps` and `names` cost compared with a program that only reads the same files.
//!
//! The time is that of the whole run, from fork(2) to wait(2), by a clock that counts the
//! instructions of kernel and program. The output goes to /dev/null.

use anyhow::Result;

use super::table::grouped;
use super::{Subject, boot_time, meter, peers};
use crate::kernels;
use crate::program::{self, Build};

/// The number of mappings of the processes that are read.
const MAPPINGS: [&str; 3] = ["10", "1,000", "65,530"];

/// Command lines: the program that reads alone, then `vm_anon_name`.
const COMMANDS: [(&[&str], &[&str]); 2] = [
    (&["/proc/@/maps"], &["maps", "@"]),
    (&["/proc/@/smaps", "/proc/@/smaps_rollup"], &["names", "@"]),
];

/// Guest time in microseconds, for 10, 1,000 and 65,530 mappings.
pub struct Cost {
    /// What is read.
    pub files: String,
    /// Reading alone.
    pub bare: [u64; 3],
    /// The command.
    pub command: String,
    /// Its time.
    pub time: [u64; 3],
}

/// Measures both commands in one boot.
pub fn measure() -> Result<Vec<Cost>> {
    let (reader, program) = (peers::reader()?, program::build(Build::Full)?);
    let subject = |name, path, words| Subject {
        name,
        title: String::new(),
        path,
        words,
        status: 0,
    };
    let mut subjects = Vec::new();
    for (files, words) in COMMANDS {
        subjects.push(subject("read", reader.clone(), files));
        subjects.push(subject("full", program.clone(), words));
    }
    let archive = meter::initramfs(&subjects)?.write("names-cost")?;
    let kernel = kernels::find(kernels::DEFAULT)?;
    let mut machine = boot_time::with_fixed_clock(&kernel.machine(&archive)?);
    machine.name = "names-cost".to_owned();
    // Each of the mappings has a page.
    machine.memory_mib = 768;
    let times = meter::times(&machine, subjects.len())?;
    let mut costs = Vec::new();
    for ((files, words), times) in COMMANDS.iter().zip(times.chunks(2)) {
        costs.push(Cost {
            files: files.join(", ").replace("/proc/@/", ""),
            bare: times[0],
            command: words[0].to_owned(),
            time: times[1],
        });
    }
    Ok(costs)
}

/// The times as a table in Markdown.
pub fn report(costs: &[Cost]) -> String {
    let mut text = format!(
        "| mappings | {} |\n|---|---:|---:|---:|\n",
        MAPPINGS.join(" | ")
    );
    let row = |text: &mut String, title: &str, times: [u64; 3]| {
        let times = times.map(grouped);
        text.push_str(&format!("| {title}, us | {} |\n", times.join(" | ")));
    };
    for cost in costs {
        row(&mut text, &format!("reading {}", cost.files), cost.bare);
        row(&mut text, &format!("`{}`", cost.command), cost.time);
    }
    text
}
