//! `names` and `maps` on programs that name their memory: in Go, with glibc, and in Java.
//!
//! The program is stopped while it is read, so all that read it see the same memory.

use std::collections::BTreeMap;
use std::io::BufRead;

use anyhow::{Context, Result, ensure};
use procfs::FromBufRead;
use procfs::process::MemoryMaps;
use rig::guest::Kept;
use rig::guest::named_programs::{self, Program};
use rig::kernels::Kernel;

use crate::names::table;
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for program in &named_programs::ALL {
        for kernel in ["6.12", "newest", "6.12-64k"] {
            let test = move |kernel| by_name(kernel, program);
            let trial = Trial::on(kernel, program.name, test);
            // Its archive has 200 MB.
            trials.push(match program.name == "java" {
                true => trial.ignored(),
                false => trial,
            });
        }
    }
    trials
}

/// What is kept of a guest. The saved smaps is read twice, by `names` and by the crate procfs.
const SCRIPT: &str = "
    vm_anon_name names -x $pid > /tmp/exact
    vm_anon_name names $pid > /tmp/folded
    vm_anon_name names -j $pid > /tmp/json
    vm_anon_name maps $pid > /tmp/maps
    cat /proc/$pid/smaps > /tmp/smaps
    vm_anon_name names -x - < /tmp/smaps > /tmp/saved
    cat /proc/$pid/smaps_rollup > /tmp/rollup
    for file in exact folded json maps smaps saved rollup; do keep $file /tmp/$file; done
";

/// The rows are the sums of the crate procfs, and the totals are those of the kernel.
fn by_name(kernel: &'static Kernel, program: &Program) -> Result<()> {
    let name = format!("system-software-{}-{}", program.name, kernel.name);
    let kept = program.boot(kernel, &name, SCRIPT)?;
    let mut expected = by_procfs(kept.bytes("smaps")?)?;
    let total = &expected["TOTAL"];
    let last = kept.text("maps")?.lines().last().unwrap_or_default();
    let sizes = format!("TOTAL {} VMAs, {} KiB, ", total[0], total[1]);
    ensure!(last.starts_with(&sizes), "not {sizes}: {last}");

    let saved = known(table(kept.text("saved")?)?)?;
    ensure!(saved == expected, "{saved:?}\nnot {expected:?}");
    let folded = known(table(kept.text("folded")?)?)?;
    ensure!(folded.contains_key(program.label), "{folded:?}");
    ensure!(folded["TOTAL"][0] == expected["TOTAL"][0], "{folded:?}");
    check_json(&kept, &folded)?;

    // The kernel counts the PSS of the process in bytes.
    let rollup = rollup(&kept)?;
    let total = expected.get_mut("TOTAL").context("no total")?;
    ensure!(
        total[2] == rollup.0 && total[3] <= rollup.1,
        "{total:?}, {rollup:?}"
    );
    total[3] = rollup.1;
    let exact = known(table(kept.text("exact")?)?)?;
    let page = kernel.pages.bytes() as u64 >> 10;
    ensure!(
        is_equal(&exact, &expected, page),
        "{exact:?}\nnot {expected:?}"
    );
    Ok(())
}

/// Whether the rows are the same. The PSS of the vDSO, which all processes share, depends on how
/// many there are, so PSS may differ by a page.
fn is_equal(rows: &Rows, others: &Rows, page: u64) -> bool {
    let is_same = |(row, other): (&Vec<u64>, &Vec<u64>)| {
        let differ = |column: usize| row[column].abs_diff(other[column]);
        (0..row.len()).all(|column| differ(column) <= if column == 3 { page } else { 0 })
    };
    rows.keys().eq(others.keys()) && rows.values().zip(others.values()).all(is_same)
}

type Rows = BTreeMap<String, Vec<u64>>;

/// The rows, all of whose columns must be known.
fn known(rows: BTreeMap<String, Vec<Option<u64>>>) -> Result<Rows> {
    let row = |(name, row): (String, Vec<Option<u64>>)| {
        let row: Option<Vec<u64>> = row.into_iter().collect();
        Ok((name, row.context("an unknown column")?))
    };
    rows.into_iter().map(row).collect()
}

/// Each row is an object with the same numbers.
fn check_json(kept: &Kept, rows: &Rows) -> Result<()> {
    let text = kept.text("json")?;
    ensure!(text.lines().count() == rows.len(), "{text}");
    for line in text.lines() {
        let object: serde_json::Value = serde_json::from_str(line)?;
        let label = object["label"].as_str().unwrap_or("TOTAL");
        let row = rows.get(label).with_context(|| format!("no row {label}"))?;
        let columns = ["vmas", "size", "rss", "pss", "private", "swap"];
        for (column, value) in columns.into_iter().zip(row) {
            ensure!(object[column] == *value, "{column}: {line}");
        }
    }
    Ok(())
}

/// The sums by label of the crate procfs, and the total.
fn by_procfs(smaps: &[u8]) -> Result<Rows> {
    let maps = MemoryMaps::from_buf_read(smaps)?;
    let labels = labels(smaps)?;
    ensure!(labels.len() == maps.len(), "procfs has other VMAs");
    let mut rows = Rows::new();
    for (label, map) in labels.into_iter().zip(&maps.0) {
        let field = |name: &str| map.extension.map.get(name).copied().unwrap_or_default() >> 10;
        let columns = [
            1,
            (map.address.1 - map.address.0) >> 10,
            field("Rss"),
            field("Pss"),
            field("Private_Clean") + field("Private_Dirty"),
            field("Swap"),
        ];
        for name in [label, "TOTAL".to_owned()] {
            let row = rows.entry(name).or_insert_with(|| vec![0; columns.len()]);
            row.iter_mut()
                .zip(columns)
                .for_each(|(sum, value)| *sum += value);
        }
    }
    Ok(rows)
}

/// The label of each VMA, or its permissions if there is none.
fn labels(smaps: &[u8]) -> Result<Vec<String>> {
    let lines: Vec<String> = smaps.lines().collect::<Result<_, _>>()?;
    let heads = lines
        .iter()
        .filter(|line| !line.starts_with(|c: char| c.is_ascii_uppercase()));
    let label = |line: &String| match line.get(73..) {
        Some(label) if !label.is_empty() => label.to_owned(),
        _ => format!("(no name) {}", line.split(' ').nth(1).unwrap_or_default()),
    };
    Ok(heads.map(label).collect())
}

/// Rss and Pss of `smaps_rollup`.
fn rollup(kept: &Kept) -> Result<(u64, u64)> {
    let text = kept.text("rollup")?;
    let field = |name: &str| -> Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line
            .context(text.to_owned())?
            .trim()
            .trim_end_matches(" kB");
        Ok(value.parse()?)
    };
    Ok((field("Rss:")?, field("Pss:")?))
}
