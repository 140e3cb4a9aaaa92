//! As PID 1: the console is the terminal, and the end is the machine's.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use regex::Regex;
use rig::debian;
use rig::initramfs::Initramfs;
use rig::kernels::Kernel;
use rig::program::Build;
use rig::qemu::{Ending, Machine};

use crate::transcript;

const DEADLINE: Duration = Duration::from_secs(90);

fn machine(kernel: &Kernel, build: Build, test: &str, args: &[&str]) -> Result<Machine> {
    let initramfs = Initramfs::with_program(build)?.write(build.name())?;
    let mut machine = kernel.machine(&initramfs)?;
    machine.name = format!("stages-{}-{test}", kernel.name);
    machine.args = args.iter().map(|word| (*word).to_owned()).collect();
    Ok(machine)
}

/// Without options but `-q`, on a terminal that echoes Enter, the seed's transcript
/// is all there is.
pub fn transcript_on_a_terminal(kernel: &Kernel) -> Result<()> {
    let machine = machine(kernel, Build::Full, "terminal", &["-q"])?;
    let status = if kernel.names { 0 } else { 4 };
    let text = press_enter(&machine, status)?;
    if kernel.names {
        let facts = transcript::check(&text, "/secret/mem/area");
        ensure!(
            facts.pid == 1 && facts.size == kernel.pages.bytes() as u64,
            "{facts:?}"
        );
        return Ok(());
    }
    let complaint = Regex::new(r"(?m)^vm_anon_name: prctl.*\n")?;
    let said = complaint
        .find(&text)
        .context("the refusal was not explained")?
        .as_str();
    let reason = match kernel.name {
        "debian-5.10" => "is older than 5.17",
        _ => "was built without CONFIG_ANON_VMA_NAME",
    };
    ensure!(
        said.contains("EINVAL (22)") && said.contains(reason),
        "{said}"
    );
    transcript::check_unnamed(&complaint.replace(&text, ""));
    Ok(())
}

/// Answers each prompt, and returns what stood on the terminal until the program
/// said with which status it ends.
fn press_enter(machine: &Machine, status: u8) -> Result<String> {
    let mut session = machine.boot(DEADLINE)?;
    let mut text = String::new();
    for file in ["1_start", "2_mmap", "3_set_vm_name", "4_ummap"] {
        let (before, prompt) = session.expect(&format!(r"> maps_{file}\.txt"))?;
        text += &before;
        text += &prompt;
        session.send("\r")?;
    }
    let (rest, _) = session.expect(&format!(
        "\r*\nvm_anon_name: status {status}, then poweroff"
    ))?;
    text += &rest;
    session.finish()?.expect_power_off()?;
    Ok(text)
}

/// The new page joins the region above it, naming splits that in two, unmapping
/// takes the named part away, and the end is as the start.
pub fn changes_have_the_seeds_shape(kernel: &Kernel) -> Result<()> {
    let console = machine(kernel, Build::Full, "changes", &["-y"])?.run(DEADLINE)?;
    console.expect_power_off()?;
    let text = console.text();
    let changes: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .collect();
    ensure!(
        text.contains("\nThe first and the last maps are the same.\n"),
        "{text}"
    );

    let line = |range: &str, label: &str| format!(r"{range} rw-p 00000000 00:00 0 {label}");
    let named = r" {25,}\[anon:/secret/mem/area\]";
    let a = "([0-9a-f]+)";
    let joined = [
        r"(\d+)c(\d+)".to_owned(),
        format!("< {}", line(&format!("{a}-{a}"), "")),
        "---".to_owned(),
        format!("> {}", line(&format!("{a}-{a}"), "")),
    ];
    let split = [
        r"(\d+)c(\d+),(\d+)".to_owned(),
        format!("< {}", line(&format!("{a}-{a}"), "")),
        "---".to_owned(),
        format!("> {}", line(&format!("{a}-{a}"), named)),
        format!("> {}", line(&format!("{a}-{a}"), "")),
    ];
    let removed = [
        r"(\d+)d(\d+)".to_owned(),
        format!("< {}", line(&format!("{a}-{a}"), named)),
    ];
    let unjoined = joined.clone();
    let expected = match kernel.names {
        true => [&joined[..], &split[..], &removed[..]].concat(),
        false => [&joined[..], &unjoined[..]].concat(),
    };
    let pattern = format!("^{}$", expected.join("\n"));
    let all = changes.join("\n");
    let numbers = Regex::new(&pattern)?
        .captures(&all)
        .with_context(|| format!("the changes are not of the seed's shape\n{pattern}\n{all}"))?;
    let decimal = |group: usize| numbers[group].parse::<u64>();
    let address = |group: usize| u64::from_str_radix(&numbers[group], 16);
    let page = kernel.pages.bytes() as u64;
    // NcN: the same line, a page longer at its beginning.
    ensure!(decimal(1)? == decimal(2)?, "{all}");
    ensure!(
        address(3)? - page == address(5)? && address(4)? == address(6)?,
        "{all}"
    );
    ensure!(
        address(4)? - address(3)? == 6 * page,
        "the neighbour has six pages\n{all}"
    );
    if kernel.names {
        // NcN,N+1: split where the page ends.
        ensure!(
            decimal(7)? == decimal(8)? && decimal(8)? + 1 == decimal(9)?,
            "{all}"
        );
        ensure!(
            (address(10)?, address(11)?) == (address(5)?, address(6)?),
            "{all}"
        );
        ensure!(
            (address(12)?, address(13)?) == (address(5)?, address(3)?),
            "{all}"
        );
        ensure!(
            (address(14)?, address(15)?) == (address(3)?, address(4)?),
            "{all}"
        );
        // NdM: the named line goes, behind the line before it.
        ensure!(
            decimal(16)? == decimal(7)? && decimal(17)? + 1 == decimal(16)?,
            "{all}"
        );
        ensure!(
            (address(18)?, address(19)?) == (address(5)?, address(3)?),
            "{all}"
        );
    }
    Ok(())
}

/// The minimal build prints the same transcript, and powers off.
pub fn minimal_build(kernel: &Kernel) -> Result<()> {
    let machine = machine(kernel, Build::Minimal, "minimal", &[])?;
    let mut session = machine.boot(DEADLINE)?;
    let mut text = String::new();
    for file in ["1_start", "2_mmap", "3_set_vm_name", "4_ummap"] {
        let (before, prompt) = session.expect(&format!(r"> maps_{file}\.txt"))?;
        text += &before;
        text += &prompt;
        session.send("\r")?;
    }
    let (rest, _) = session.expect("\\[ *[0-9.]*\\] reboot|reboot:")?;
    session.finish()?.expect_power_off()?;
    transcript::check(&(text + &rest), "/secret/mem/area");
    Ok(())
}

/// `--then` chooses the end of the machine.
pub fn ends_as_told(kernel: &Kernel) -> Result<()> {
    for (word, ending) in [
        ("poweroff", Ending::PoweredOff),
        ("reboot", Ending::Restarted),
        ("halt", Ending::Halted),
    ] {
        let console = machine(kernel, Build::Full, word, &["-y", "-q", "--then", word])?;
        let console = console.run(DEADLINE)?;
        ensure!(
            console.ending == ending,
            "{word}: {}\n{}",
            console.ending,
            console.text()
        );
    }
    Ok(())
}

/// `--then PATH` executes a real init, and says so if there is none.
pub fn executes_the_real_init(kernel: &Kernel) -> Result<()> {
    let busybox = debian::unpack("busybox-static")?;
    let busybox = ["bin/busybox", "usr/bin/busybox"]
        .iter()
        .find_map(|path| fs::read(busybox.join(path)).ok())
        .context("no busybox")?;
    let script = "#!/bin/busybox sh\necho the real init is $$ with $#\n/bin/busybox poweroff -f\n";
    let initramfs = Initramfs::with_program(Build::Full)?
        .directory("/bin", 0o755)
        .file("/bin/busybox", 0o755, busybox)
        .file("/sbin-init", 0o755, script)
        .write("then")?;
    for (path, said) in [
        ("/sbin-init", "the real init is 1 with 0\n"),
        (
            "/no/such",
            "vm_anon_name: /no/such: ENOENT (2): no such file\n",
        ),
    ] {
        let mut machine = kernel.machine(&initramfs)?;
        machine.name = "stages-then-path".to_owned();
        machine.args = ["-y", "-q", "--then", path].map(str::to_owned).to_vec();
        let console = machine.run(DEADLINE)?;
        console.expect_power_off()?;
        ensure!(console.text().contains(said), "{path}\n{}", console.text());
    }
    Ok(())
}

/// Words that a boot loader meant for others are reported, and the stages run.
pub fn passes_over_words_of_others(kernel: &Kernel) -> Result<()> {
    let mut machine = machine(
        kernel,
        Build::Full,
        "words",
        &["-q", "-y", "rhgb", "--fast"],
    )?;
    machine.append = "splash BOOT_IMAGE=/vmlinuz systemd.unit=rescue.target".to_owned();
    let console = machine.run(DEADLINE)?;
    console.expect_power_off()?;
    let text = console.text();
    for word in ["splash", "rhgb", "--fast"] {
        let complaint = format!("vm_anon_name: '{word}': unknown word, try --help\n");
        ensure!(text.contains(&complaint), "{text}");
    }
    ensure!(
        text.contains("vm_anon_name: status 0, then poweroff"),
        "{text}"
    );
    Ok(())
}

/// The archive is the same, byte for byte, each time it is made.
pub fn archive_is_reproducible(_: &Kernel) -> Result<()> {
    let first = Initramfs::with_program(Build::Full)?.to_bytes()?;
    let second = Initramfs::with_program(Build::Full)?.to_bytes()?;
    ensure!(first == second && !first.is_empty());
    Ok(())
}
