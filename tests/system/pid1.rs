//! The program as PID 1: its command line, its console, and the end of the machine.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use guest_agent::PROMPT;
use rig::guest;
use rig::initramfs::Initramfs;
use rig::kernels::Kernel;
use rig::program::{self, Build};
use rig::qemu::Ending;

use crate::machine::{TIMEOUT, with_program};
use crate::messages::{SAME_MAPS, powers_off_with, unknown_word};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::on_default("--then poweroff, reboot, halt", then_word),
        Trial::on_default("--then PATH", then_path),
        Trial::on_default("words for others", words_for_others),
        Trial::on_default("mistakes", mistakes),
        Trial::on_default("missing console", missing_console),
        Trial::on_default("least memory", least_memory),
        Trial::on_default("check restores vm.max_map_count", restores_limit),
        Trial::new("reproducible initramfs", reproducible_initramfs),
    ]
}

fn then_word(kernel: &'static Kernel) -> Result<()> {
    for (word, ending) in [
        ("poweroff", Ending::PoweredOff),
        ("reboot", Ending::Restarted),
        ("halt", Ending::Halted),
    ] {
        let args = ["-y", "-q", "--then", word];
        let machine = with_program(kernel, Build::Full, word, &args)?;
        let boot = machine.run(TIMEOUT)?;
        ensure!(
            boot.ending == ending,
            "{word}: {}\n{}",
            boot.ending,
            boot.text()
        );
    }
    Ok(())
}

/// The file is executed as the next init. If there is none, a message says so.
fn then_path(kernel: &'static Kernel) -> Result<()> {
    let next = "#!/bin/busybox sh\necho the next init is $$ with $#\n/bin/busybox poweroff -f\n";
    let initramfs = guest::initramfs("")?
        .file("/sbin-init", 0o755, next)
        .write("system-then")?;
    for (path, expected) in [
        ("/sbin-init", "the next init is 1 with 0\n"),
        (
            "/no/such",
            "vm_anon_name: /no/such: ENOENT (2): no such file\n",
        ),
    ] {
        let mut machine = kernel.machine(&initramfs)?;
        machine.name = "system-then-path".to_owned();
        machine.append = "rdinit=/bin/vm_anon_name".to_owned();
        machine.args = ["-y", "-q", "--then", path].map(str::to_owned).to_vec();
        let boot = machine.run(TIMEOUT)?;
        boot.expect_power_off()?;
        let text = boot.text();
        ensure!(text.contains(expected), "{path}\n{text}");
    }
    Ok(())
}

/// Words that boot loaders and distributions put on the kernel's command line, before the
/// program's own, are reported, and the stages run.
fn words_for_others(kernel: &'static Kernel) -> Result<()> {
    let mut machine = with_program(kernel, Build::Full, "words", &["rhgb", "--fast", "-y"])?;
    // The kernel drops all words before `init=`.
    machine.append = "init=/sbin/init BOOT_IMAGE=/boot/Image root=/dev/sda1 ro splash \
                      systemd.unit=rescue.target LANG=C single -z"
        .to_owned();
    let boot = machine.run(TIMEOUT)?;
    boot.expect_power_off()?;
    let text = boot.text();
    for word in ["splash", "single", "-z", "rhgb", "--fast"] {
        ensure!(
            text.contains(&unknown_word(word)),
            "no message about {word}\n{text}"
        );
    }
    ensure!(text.contains(&powers_off_with(0)), "{text}");
    ensure!(text.matches(PROMPT).count() == 4, "{text}");
    Ok(())
}

/// A mistake among the program's own words ends the boot with a message and a status, because
/// no one may be at the console to press Enter.
fn mistakes(kernel: &'static Kernel) -> Result<()> {
    let message = |word: &str, text: &str| format!("vm_anon_name: '{word}': {text}\n");
    for (args, expected) in [
        (&["chekc"][..], unknown_word("chekc")),
        (&["-y", "splash"], unknown_word("splash")),
        (&["probe", "--fast"], unknown_word("--fast")),
        (
            &["-s", "probe"],
            message("probe", "a command, where a value is needed"),
        ),
        (&["probe", "check"], message("check", "a second command")),
    ] {
        let machine = with_program(kernel, Build::Full, "mistakes", args)?;
        let boot = machine.run(TIMEOUT)?;
        boot.expect_power_off()?;
        let text = boot.text();
        ensure!(text.contains(&expected), "{args:?}\n{text}");
        ensure!(text.contains(&powers_off_with(2)), "{args:?}\n{text}");
        ensure!(!text.contains(PROMPT), "{args:?}\n{text}");
    }
    Ok(())
}

/// The kernel cannot open its console and leaves descriptors 0, 1 and 2 closed. The program
/// opens another console. The kernel's own messages do not appear there.
fn missing_console(kernel: &'static Kernel) -> Result<()> {
    let mut machine = with_program(kernel, Build::Full, "missing-console", &["-y"])?;
    machine.consoles = vec!["ttyS0".to_owned()];
    let text = machine.run(TIMEOUT)?.text();
    ensure!(text.matches(PROMPT).count() == 4, "{text}");
    ensure!(text.contains(&powers_off_with(0)), "{text}");
    Ok(())
}

/// The stages run with the least memory in which the kernel starts `/init`.
fn least_memory(kernel: &'static Kernel) -> Result<()> {
    let mut machine = with_program(kernel, Build::Full, "least-memory", &["-y"])?;
    for mib in 8..=64 {
        machine.memory_mib = mib;
        let boot = machine.run(Duration::from_secs(20))?;
        let text = boot.text();
        if text.contains("Memory map a region") {
            eprintln!("least memory for the stages: {mib} MiB");
            boot.expect_power_off()?;
            ensure!(text.contains(SAME_MAPS), "{text}");
            return Ok(());
        }
    }
    anyhow::bail!("the program does not start with 64 MiB")
}

/// `check` lowers the limit on mappings for a while. The next init finds the old limit, and no
/// open file but the console.
fn restores_limit(kernel: &'static Kernel) -> Result<()> {
    let before = "echo 4711 > /proc/sys/vm/max_map_count
exec /bin/vm_anon_name check limit-on-mappings-is-eagain --then /after";
    let after = "#!/bin/busybox sh
echo the limit is $(cat /proc/sys/vm/max_map_count), files are $(ls /proc/self/fd)
poweroff -f";
    let initramfs = guest::initramfs(before)?.file("/after", 0o755, after);
    let mut machine = kernel.machine(&initramfs.write("system-limit")?)?;
    machine.name = "system-limit".to_owned();
    let boot = machine.run(TIMEOUT)?;
    boot.expect_power_off()?;
    let text = boot.text();
    let passed = "\nok 1 limit-on-mappings-is-eagain\n";
    ensure!(text.contains(passed), "{text}");
    // Descriptor 3 is the directory that `ls` reads.
    let found = "the limit is 4711, files are 0 1 2 3\n";
    ensure!(text.contains(found), "{text}");
    Ok(())
}

/// Two builds in two target directories give the same archive.
fn reproducible_initramfs() -> Result<()> {
    let first = Initramfs::with_program(Build::Full)?.to_bytes()?;
    let path = program::build_variant(Build::Full, "second-build", |_| {})?;
    let program = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let second = Initramfs::new().file("/init", 0o755, program).to_bytes()?;
    ensure!(first == second, "two builds differ, see {}", path.display());
    Ok(())
}
