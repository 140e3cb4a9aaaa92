//! What `maps` and `names` cost compared with a program that only reads the same files, and with pmap
//! of procps and of Toybox. Debian builds BusyBox without pmap.
//!
//! The time is that of the whole run, from fork(2) to wait(2), by a clock that counts the
//! instructions of kernel and program. The output goes to /dev/null.

use std::path::PathBuf;

use anyhow::Result;

use super::table::grouped;
use super::{Subject, boot_time, meter, peers};
use crate::guest::software;
use crate::program::{self, Build};
use crate::{debian, kernels, target};

/// The number of mappings of the processes that are read.
const MAPPINGS: [&str; 3] = ["10", "1,000", "65,530"];

/// What the table calls a command, the program's name in the guest, and the words after it.
const ROWS: [(&str, &str, &[&str]); 7] = [
    ("reading maps", READ, &["/proc/@/maps"]),
    ("`maps`", FULL, &["maps", "@"]),
    (
        "reading smaps, smaps_rollup",
        READ,
        &["/proc/@/smaps", "/proc/@/smaps_rollup"],
    ),
    ("`names`", FULL, &["names", "@"]),
    ("procps, `pmap`", PROCPS, &["@"]),
    ("procps, `pmap -X`", PROCPS, &["-X", "@"]),
    ("Toybox, `pmap -x`", TOYBOX, &["pmap", "-x", "@"]),
];

const READ: &str = "read";
const FULL: &str = "full";
const PROCPS: &str = "pmap-procps";
const TOYBOX: &str = "toybox";

fn program(name: &str) -> Result<PathBuf> {
    match name {
        READ => peers::reader(),
        FULL => program::build(Build::Full),
        PROCPS => software::find(&software::PMAP[0]),
        _ => software::find(&software::TOYBOX[0]),
    }
}

/// Guest time in microseconds, for 10, 1,000 and 65,530 mappings.
pub struct Cost {
    /// The command, as the table names it.
    pub title: &'static str,
    /// Its time.
    pub times: [u64; 3],
}

/// Measures all commands in one boot.
pub fn measure() -> Result<Vec<Cost>> {
    let mut subjects = Vec::new();
    for (_, name, words) in ROWS {
        subjects.push(Subject {
            name,
            title: String::new(),
            path: program(name)?,
            words,
            status: 0,
        });
    }
    let files = [software::GLIBC, software::PMAP, software::TOYBOX].concat();
    let archive = software::add(meter::initramfs(target::DEFAULT, &subjects)?, &files)?
        .write("names-cost")?;
    let kernel = kernels::find(kernels::DEFAULT)?;
    let mut machine = boot_time::with_fixed_clock(&kernel.machine(&archive)?);
    machine.name = "names-cost".to_owned();
    // Each of the mappings has a page.
    machine.memory_mib = 768;
    let times = meter::times(&machine, subjects.len())?;
    let titles = ROWS.iter().map(|(title, ..)| *title);
    let costs = titles.zip(times);
    Ok(costs.map(|(title, times)| Cost { title, times }).collect())
}

/// The times as a table in Markdown.
pub fn report(costs: &[Cost]) -> Result<String> {
    let mut text = format!(
        "| mappings | {} |\n|---|---:|---:|---:|\n",
        MAPPINGS.join(" | ")
    );
    for Cost { title, times } in costs {
        let times = times.map(grouped).join(" | ");
        text.push_str(&format!("| {title}, us | {times} |\n"));
    }
    let version = |name: &str| -> Result<String> {
        let upstream = debian::version(name)?.upstream_version;
        // Debian marks what it has removed from the sources.
        Ok(upstream.trim_end_matches("+dfsg").to_owned())
    };
    text.push_str(&format!(
        "\nprocps {}, Toybox {} of Debian.\n",
        version("procps")?,
        version("toybox")?
    ));
    Ok(text)
}
