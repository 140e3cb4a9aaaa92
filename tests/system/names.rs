//! `names` and `maps`: the memory of processes by name, in real kernels.
//!
//! The processes are those of the tool `target`, which changes, ends and executes another program
//! on demand. Where a process must end while it is read, the reader is stopped first.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rig::guest;
use rig::kernels::Kernel;
use rig::program::Build;

use crate::machine::{TIMEOUT, with_program};
use crate::messages::powers_off_with;
use crate::shell::{self, Output};
use crate::trial::Trial;

const DEADLINE: Duration = Duration::from_secs(180);

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for kernel in ["6.1", "6.12", "newest", "6.12-16k", "6.12-64k"] {
        trials.push(Trial::on(kernel, "memory by name", by_name));
        trials.push(Trial::on(kernel, "many mappings", many_mappings));
        trials.push(Trial::on(kernel, "processes that end", processes_that_end));
    }
    trials.push(Trial::on_default("memory of names and maps", own_memory));
    trials.push(Trial::on_default("failures", failures));
    trials.push(Trial::on_default("again and again", every));
    trials.push(Trial::on_default("the next init runs beside", next_init));
    trials.push(Trial::on("bare", "without smaps", without_smaps));
    trials.push(Trial::on("rich", "swapped memory", swapped));
    trials
}

/// Starts a target with standard input from a pipe, and waits until it is ready. `$target` is
/// its process id, and `tell WORD` gives it a command.
const FUNCTIONS: &str = r#"
start() {
    rm -f /tmp/input /tmp/ready; mkfifo /tmp/input
    target "$@" < /tmp/input > /tmp/ready & target=$!
    exec 3> /tmp/input
    until grep -qs ready /tmp/ready; do kill -0 $target || exit 99; usleep 10000; done
}
tell() { echo $1 >&3; }
# Starts the command in the background, and stops it when it has read much of the file.
stop_halfway() {
    "$@" > /tmp/halfway 2> /tmp/halfway.errors & reader=$!
    until [ "$(sed -n 's/^pos:\t*//p' /proc/$reader/fdinfo/* 2> /dev/null | sort -n | tail -n 1)" \
        -gt 100000 ] 2> /dev/null; do kill -0 $reader || exit 98; done
    kill -STOP $reader
}
go_on() {
    kill -CONT $reader; wait $reader; status=$?
    cat /tmp/halfway; cat /tmp/halfway.errors >&2
    return $status
}
"#;

/// Runs the scripts in one boot.
fn run(kernel: &str, name: &str, scripts: &[&str]) -> Result<Vec<Output>> {
    let scripts: Vec<String> = scripts
        .iter()
        .map(|it| format!("many={}{FUNCTIONS}{it}", many(kernel)))
        .collect();
    let scripts = scripts.iter().map(String::as_str);
    let name = format!("system-names-{name}-{kernel}");
    shell::run_all(kernel, &name, "ln -s with /bin/target", scripts, DEADLINE)
}

/// The rows of a table by their names; a column that is `-` is missing.
pub(crate) fn table(text: &str) -> Result<BTreeMap<String, Vec<Option<u64>>>> {
    let mut rows = BTreeMap::new();
    let lines = text.lines().skip_while(|line| !line.ends_with("  Name"));
    for line in lines.skip(1) {
        let (columns, name) = line.split_at_checked(56).context("a short line")?;
        let columns = columns.split_whitespace().map(|word| word.parse().ok());
        rows.insert(name.trim_start().to_owned(), columns.collect());
    }
    ensure!(!rows.is_empty(), "no table in\n{text}");
    Ok(rows)
}

fn check_status(output: &Output, status: i32) -> Result<()> {
    ensure!(output.status == status, "not {status}: {output}");
    Ok(())
}

/// The sums are those of the fields in the same smaps, and those of `smaps_rollup`.
fn by_name(kernel: &'static Kernel) -> Result<()> {
    const SUMS: &str = r#"
        start named=100,/secret/mem/area named=10,stack:1 named=20,stack:2 shared=30,s
        vm_anon_name names $target || exit
        echo ---
        vm_anon_name names $target -x || exit
        echo ---
        cat /proc/$target/smaps | vm_anon_name names - || exit
        echo ---
        vm_anon_name maps $target || exit
        echo ---
        cat /proc/$target/smaps; echo ---; cat /proc/$target/smaps_rollup
    "#;
    let outputs = run(
        kernel.name,
        "by-name",
        &[SUMS, "vm_anon_name names -j; echo ---; vm_anon_name names"],
    )?;
    let [output, all] = outputs.as_slice() else {
        anyhow::bail!("not two outputs");
    };
    check_status(output, 0)?;
    check_sums(output, kernel).with_context(|| output.to_string())?;
    check_status(all, 0)?;
    check_all(all).with_context(|| all.to_string())
}

fn check_sums(output: &Output, kernel: &Kernel) -> Result<()> {
    ensure!(output.stderr.is_empty(), "messages");
    let parts: Vec<&str> = output.stdout.split("---\n").collect();
    let [folded, exact, saved, maps, smaps, rollup] = parts.as_slice() else {
        anyhow::bail!("{} parts", parts.len());
    };
    let page = kernel.pages.bytes() as u64 >> 10;
    let head = folded.lines().next().unwrap_or_default();
    let version = kernel.version()?;
    let expected = format!(" target, Linux {version}, pages of {page} KiB, sizes in KiB");
    ensure!(head.ends_with(&expected), "{head}");

    let (folded, exact, saved) = (table(folded)?, table(exact)?, table(saved)?);
    let pages = |count| vec![Some(1), Some(count * page), Some(count * page)];
    let start = |rows: &BTreeMap<String, Vec<Option<u64>>>, name: &str| {
        rows.get(name)
            .map(|row| row[..3].to_vec())
            .unwrap_or_default()
    };
    ensure!(start(&folded, "[anon:/secret/mem/area]") == pages(100));
    let both = vec![Some(2), Some(30 * page), Some(30 * page)];
    ensure!(start(&folded, "[anon:stack:*]") == both);
    ensure!(start(&exact, "[anon:stack:1]") == pages(10));
    ensure!(start(&exact, "[anon:stack:2]") == pages(20));
    ensure!(
        saved.keys().eq(folded.keys()),
        "a saved smaps has other rows"
    );
    // Naming shared memory needs 6.2.
    if kernel.name != "6.1" {
        ensure!(start(&folded, "[anon_shmem:s]") == pages(30));
    }

    let field = |text: &str, names: &[&str]| -> u64 {
        let lines = text
            .lines()
            .filter(|line| names.iter().any(|name| line.starts_with(name)));
        let values = lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        values.sum()
    };
    let vmas = smaps
        .lines()
        .filter(|line| !line.starts_with(|c: char| c.is_ascii_uppercase()));
    let private = ["Private_Clean:", "Private_Dirty:"];
    let expected = [
        vmas.count() as u64,
        field(smaps, &["Size:"]),
        field(smaps, &["Rss:"]),
        field(rollup, &["Pss:"]),
        field(smaps, &private),
        field(smaps, &["Swap:"]),
    ];
    // The Pss depends on the processes that run meanwhile.
    let is_equal = |(index, (seen, expected)): (usize, (&Option<u64>, u64))| {
        let tolerance = if index == 3 { 4 * page } else { 0 };
        seen.is_some_and(|seen| seen.abs_diff(expected) <= tolerance)
    };
    ensure!(
        folded["TOTAL"]
            .iter()
            .zip(expected)
            .enumerate()
            .all(is_equal),
        "{:?}, not {expected:?}",
        folded["TOTAL"]
    );
    ensure!(
        field(rollup, &["Rss:"]) == expected[2],
        "the kernel's own sum"
    );
    let last = maps.lines().last().unwrap_or_default();
    let named = smaps.lines().filter(|line| line.contains("[anon")).count();
    ensure!(
        last == format!(
            "TOTAL {} VMAs, {} KiB, {named} named",
            expected[0], expected[1]
        ),
        "{last}"
    );
    Ok(())
}

/// All processes: the shells and the program itself.
fn check_all(output: &Output) -> Result<()> {
    let (json, text) = output.stdout.split_once("---\n").context("two parts")?;
    let objects: Vec<serde_json::Value> = json
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let (total, rows) = objects.split_last().context("no object")?;
    ensure!(
        total["total"] == true && total["complete"] == true,
        "{total}"
    );
    let sum = |column: &str| {
        rows.iter()
            .filter_map(|row| row[column].as_u64())
            .sum::<u64>()
    };
    for column in ["size", "rss", "private", "swap"] {
        ensure!(total[column] == sum(column), "{column}");
    }
    let busybox = rows.iter().find(|row| row["label"] == "/bin/busybox");
    let busybox = busybox.context("no busybox")?;
    ensure!(
        busybox["kind"] == "file" && busybox["processes"].as_u64() > Some(1),
        "{busybox}"
    );
    let rows = table(text)?;
    ensure!(
        rows.contains_key("[stack]") && rows.contains_key("TOTAL"),
        "{rows:?}"
    );
    Ok(())
}

/// The number of mappings of a large process, `$many` in scripts: nearly as many as there can be. On
/// 6.1 it takes milliseconds to make one.
fn many(kernel: &str) -> u64 {
    match kernel {
        "6.1" => 8_000,
        _ => 65_000,
    }
}

/// Nearly as many mappings as a process can have, at rest and while their names change: the sizes
/// add up to the whole, and no mapping is missed.
fn many_mappings(kernel: &'static Kernel) -> Result<()> {
    let outputs = run(
        kernel.name,
        "many",
        &[
            "start many=$many; vm_anon_name names $target && vm_anon_name maps $target | tail -n 1",
            "start many=$many; tell change; vm_anon_name names $target; vm_anon_name maps $target | tail -n 1",
            "start many=$many; tell remap; vm_anon_name names $target; vm_anon_name maps $target | tail -n 1",
        ],
    )?;
    let [still, changing, remapping] = outputs.as_slice() else {
        anyhow::bail!("not three outputs");
    };
    check_status(still, 0)?;
    let (table_text, last) = still
        .stdout
        .rsplit_once("TOTAL ")
        .context("no total of maps")?;
    let rows = table(table_text)?;
    let (page, many) = (kernel.pages.bytes() as u64 >> 10, many(kernel.name));
    for name in ["[anon:even]", "[anon:odd]"] {
        let expected = [Some(many / 2), Some(many / 2 * page)];
        ensure!(rows[name][..2] == expected, "{still}");
    }
    ensure!(last.contains(&format!(" {many} named")), "{still}");
    // What changes has names all the time. What is mapped again has none.
    check_named(changing, many..=many, page)?;
    check_named(remapping, many - 64..=many, page)
}

/// The named pages of a process that changes: their number by `names`, and about the same number of
/// VMAs by `maps`.
fn check_named(output: &Output, pages: RangeInclusive<u64>, page: u64) -> Result<()> {
    check_status(output, 0)?;
    let (table_text, last) = output
        .stdout
        .rsplit_once("TOTAL ")
        .context("no total of maps")?;
    let rows = table(table_text)?;
    let named = rows.iter().filter(|(name, _)| name.starts_with("[anon:"));
    let size: u64 = named.filter_map(|(_, row)| row[1]).sum();
    ensure!(
        pages.contains(&(size / page)) && size.is_multiple_of(page),
        "{size} KiB\n{output}"
    );
    let words: Vec<&str> = last.split_whitespace().collect();
    ensure!(
        words[1] == "VMAs," && words[4].parse::<u64>()? > pages.start() - 100,
        "{output}"
    );
    Ok(())
}

/// The program itself takes little memory, whatever the process: the most that it had while
/// it read one with few mappings, with more names than rows, and with 65,500 mappings.
fn own_memory(kernel: &'static Kernel) -> Result<()> {
    const LIMIT: u64 = 64;
    const WATCH: &str = "vm_anon_name names -e 1000 $target > /tmp/table & reader=$!
        until grep -q TOTAL /tmp/table; do usleep 10000; done
        grep VmHWM /proc/$reader/status; kill $reader $target";
    let targets = [
        "start named=1,a",
        "start $(for i in $(seq 200); do echo named=1,name-of-number-${i}x; done)",
        "start many=65500",
    ];
    let scripts = targets.map(|target| format!("{target}; {WATCH}"));
    let outputs = run(
        kernel.name,
        "memory",
        &scripts.each_ref().map(String::as_str),
    )?;
    for output in &outputs {
        let words = output.stdout.split_whitespace();
        let peak = words
            .clone()
            .nth(1)
            .and_then(|word| word.parse::<u64>().ok());
        let peak = peak.with_context(|| output.to_string())?;
        ensure!((1..=LIMIT).contains(&peak), "{peak} KiB: {output}");
    }
    Ok(())
}

/// A script, its exit status, and what standard error says.
type Failing = (&'static str, i32, &'static str);

const OTHER_USER: &str = "it is another user's, or not dumpable\n";
const NO_PROCESS: &str = "no such process, or it is hidden\n";
const NO_MEMORY: &str = "no memory of its own: a kernel thread or a zombie\n";

const FAILING: &[Failing] = &[
    ("vm_anon_name names 99999", 1, NO_PROCESS),
    ("vm_anon_name maps 99999", 1, NO_PROCESS),
    ("vm_anon_name names 4294967295", 1, NO_PROCESS),
    ("vm_anon_name names 2", 1, NO_MEMORY),
    ("vm_anon_name maps 2", 1, NO_MEMORY),
    (
        "sh -c 'sleep 0 & echo $! > /tmp/zombie; exec sleep 1000' &
        until grep -q '^State:.Z' /proc/$(cat /tmp/zombie)/status; do usleep 10000; done
        vm_anon_name names $(cat /tmp/zombie)",
        1,
        NO_MEMORY,
    ),
    ("with user=1000 vm_anon_name names 1", 1, OTHER_USER),
    ("with user=1000 vm_anon_name maps 1", 1, OTHER_USER),
    (
        "with user=1000 target dumpable=no > /tmp/ready & until grep -qs ready /tmp/ready; do usleep 10000; done
        with user=1000 vm_anon_name names $!",
        1,
        OTHER_USER,
    ),
    (
        "mount -o remount,hidepid=1 /proc; with user=1000 vm_anon_name names 1",
        1,
        OTHER_USER,
    ),
    (
        "mount -o remount,hidepid=2 /proc; with user=1000 vm_anon_name names 1",
        1,
        NO_PROCESS,
    ),
    ("umount -l /proc; vm_anon_name names 1", 8, "no /proc\n"),
    ("umount -l /proc; vm_anon_name maps", 8, "no /proc\n"),
    ("umount -l /proc; vm_anon_name names", 8, "no /proc\n"),
    ("vm_anon_name names x", 2, "names: give process numbers, or - alone\n"),
    ("vm_anon_name names 1 -", 2, "names: give process numbers, or - alone\n"),
    ("vm_anon_name names -1", 2, "'-1': unknown word"),
    ("vm_anon_name maps 1 2", 2, "maps: give one process number\n"),
    ("vm_anon_name maps -j", 2, "'--json': it has no effect"),
    ("vm_anon_name names - < /dev/null", 1, "no line of smaps\n"),
    ("echo nonsense | vm_anon_name names -", 1, "no line of smaps\n"),
    ("vm_anon_name names - < /bin/busybox", 1, "no line of smaps\n"),
    ("vm_anon_name names - < /proc/self/smaps_rollup", 1, "no line of smaps\n"),
    ("vm_anon_name names - <&-", 1, "standard input: EBADF (9)"),
    ("vm_anon_name names 1 > /dev/full", 1, "standard output: ENOSPC (28)"),
    ("vm_anon_name maps 1 > /dev/full", 1, "standard output: ENOSPC (28)"),
    ("vm_anon_name names 1 99999", 1, NO_PROCESS),
    ("with refuse=lseek,38 vm_anon_name names 1", 1, "process 1: ENOSYS (38)"),
    ("with refuse=read,5 vm_anon_name maps", 1, ": EIO (5)"),
];

/// A message says what cannot be read, and no totals are printed.
fn failures(kernel: &'static Kernel) -> Result<()> {
    let scripts: Vec<&str> = FAILING.iter().map(|(script, ..)| *script).collect();
    let outputs = run(kernel.name, "failures", &scripts)?;
    for ((script, status, message), output) in FAILING.iter().zip(&outputs) {
        ensure!(
            output.status == *status && output.stderr.contains(message),
            "{script}: not {status}, {message:?}\n{output}"
        );
        ensure!(!output.stdout.contains("TOTAL"), "{script}\n{output}");
    }
    Ok(())
}

/// A process that ends, is reaped or executes another program while it is read: the report
/// says so, and has no totals.
fn processes_that_end(kernel: &'static Kernel) -> Result<()> {
    const KILLED: &str = "start many=$many; stop_halfway vm_anon_name names $target
        kill -9 $target; go_on";
    const REAPED: &str = "start many=$many; stop_halfway vm_anon_name names $target
        kill -9 $target; wait $target; go_on";
    const EXEC: &str = "start many=$many; stop_halfway vm_anon_name names $target
        tell exec; until grep -q sleep /proc/$target/comm; do usleep 10000; done; go_on";
    const MAPS: &str = "start many=$many; stop_halfway vm_anon_name maps $target
        kill -9 $target; go_on";
    const JSON: &str = "start many=$many; stop_halfway vm_anon_name names -j $target
        kill -9 $target; go_on";
    // `names` continues with the second process, PID 1.
    const SECOND: &str = "start many=$many; stop_halfway vm_anon_name names -x $target 1
        kill -9 $target; go_on";
    let outputs = run(
        kernel.name,
        "ends",
        match kernel.name {
            // There, `maps` is too fast to be stopped halfway.
            "6.1" => &[KILLED, REAPED, EXEC, JSON, SECOND],
            _ => &[KILLED, REAPED, EXEC, JSON, SECOND, MAPS],
        },
    )?;
    for output in &outputs {
        check_status(output, 1)?;
        let message = "it ended while it was read, or executes another program now\n";
        ensure!(output.stderr.contains(message), "{output}");
        ensure!(!output.stdout.contains("TOTAL"), "{output}");
    }
    let last = outputs[3].stdout.lines().last().unwrap_or_default();
    ensure!(last.ends_with("\"complete\":false}"), "{last}");
    ensure!(
        outputs[4].stdout.contains("  /bin/busybox\n"),
        "{}",
        outputs[4]
    );
    Ok(())
}

/// With `--every`, later reports have the rows that changed, and end with the process.
fn every(kernel: &'static Kernel) -> Result<()> {
    const GROWS: &str = "mkfifo /tmp/keys; exec 4<> /tmp/keys
        vm_anon_name -s 1M -q < /tmp/keys > /dev/null & program=$!
        usleep 300000
        vm_anon_name names -e 1 $program > /tmp/report & reader=$!
        until grep -q TOTAL /tmp/report; do usleep 10000; done
        echo >&4
        until [ $(grep -c TOTAL /tmp/report) -ge 3 ]; do usleep 10000; done
        kill $program; wait $reader; status=$?
        cat /tmp/report; exit $status";
    const COUNT: &str = "vm_anon_name names --every=1 --count 2 -j 1";
    const NO_SUCH: &str = "vm_anon_name names -e 1 -c 2 1 99999";
    let outputs = run(kernel.name, "every", &[GROWS, COUNT, NO_SUCH])?;
    let [grows, count, no_such] = outputs.as_slice() else {
        anyhow::bail!("not three outputs");
    };
    // The first report was not whole.
    check_status(no_such, 1)?;
    check_status(grows, 0)?;
    ensure!(
        grows.stderr.contains(NO_PROCESS)
            || grows.stderr.contains("ended")
            || grows.stderr.contains(NO_MEMORY),
        "{grows}"
    );
    let grown = grows
        .stdout
        .lines()
        .find(|line| line.contains("     +1024 "));
    let grown = grown.with_context(|| format!("no growth: {grows}"))?;
    ensure!(grown.ends_with("  (no name) rw-p"), "{grown}");
    check_status(count, 0)?;
    let totals = count.stdout.matches("\"total\":true").count();
    ensure!(totals == 2, "{count}");
    Ok(())
}

/// As PID 1, `names --every` continues in a child while the next init runs.
fn next_init(kernel: &'static Kernel) -> Result<()> {
    let next = "#!/bin/busybox sh
        /bin/busybox echo the next init is $$
        /bin/busybox sleep 3
        /bin/busybox poweroff -f\n";
    let initramfs = guest::initramfs("")?.file("/next", 0o755, next);
    let mut machine = kernel.machine(&initramfs.write("system-names-init")?)?;
    machine.name = "system-names-init".to_owned();
    machine.append = "rdinit=/bin/vm_anon_name".to_owned();
    machine.args = ["names", "-e", "1", "--then", "/next"]
        .map(str::to_owned)
        .to_vec();
    let boot = machine.run(TIMEOUT)?;
    boot.expect_power_off()?;
    let text = boot.text();
    let (before, after) = text
        .split_once("the next init is 1\n")
        .context(text.clone())?;
    ensure!(before.contains("status 0, then /next"), "{text}");
    // What the next init has mapped.
    ensure!(
        after.contains("  /bin/busybox\n") && after.contains(" s later, "),
        "{text}"
    );
    Ok(())
}

/// A kernel without PROC_PAGE_MONITOR has no smaps: sizes come from maps, and the totals from
/// status.
fn without_smaps(kernel: &'static Kernel) -> Result<()> {
    for (args, status, processes) in [
        (&["names", "1"][..], 0, 1),
        (&["names", "1", "-r"], 4, 1),
        (&["names", "1", "1"], 0, 2),
        (&["names"], 0, 1),
    ] {
        let machine = with_program(kernel, Build::Full, "names", args)?;
        let boot = machine.run(TIMEOUT)?;
        boot.expect_power_off()?;
        let text = boot.text();
        ensure!(text.contains(&powers_off_with(status)), "{text}");
        ensure!(
            text.contains("without smaps, which needs CONFIG_PROC_PAGE_MONITOR"),
            "{text}"
        );
        let rows = text
            .lines()
            .take_while(|line| !line.starts_with("vm_anon_name: "));
        let rows = table(&rows.collect::<Vec<_>>().join("\n"))?;
        ensure!(
            rows["[stack]"][1..] == [Some(132 * processes), None, None, None, None],
            "{text}"
        );
        let total = &rows["TOTAL"];
        ensure!(
            total[2] > Some(20) && total[3].is_none() && total[5] == Some(0),
            "{text}"
        );
    }
    Ok(())
}

/// Memory that is swapped out to zram.
fn swapped(kernel: &'static Kernel) -> Result<()> {
    const SCRIPT: &str = "mkdir -p /sys; mount -t sysfs sysfs /sys
        echo 16M > /sys/block/zram0/disksize; mkswap /dev/zram0 > /dev/null; swapon /dev/zram0
        start swapped=100; vm_anon_name names $target; grep VmSwap /proc/$target/status";
    let outputs = run(kernel.name, "swap", &[SCRIPT])?;
    let output = outputs.first().context("no output")?;
    let (text, status) = output
        .stdout
        .rsplit_once("VmSwap:")
        .with_context(|| output.to_string())?;
    let rows = table(text)?;
    ensure!(
        rows["[anon:swapped]"] == [1, 400, 0, 0, 0, 400].map(Some),
        "{output}"
    );
    let expected: u64 = status.trim().trim_end_matches(" kB").parse()?;
    ensure!(rows["TOTAL"][5] == Some(expected), "{output}");
    Ok(())
}
