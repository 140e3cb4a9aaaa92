//! Dead, missing and several consoles: the output goes to a console that works, or else to the
//! kernel's log.
//!
//! A machine without UART is QEMU's `virt` with a device tree in which the UART has another
//! name. With `earlycon` the kernel still prints its log there.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rig::initramfs::Initramfs;
use rig::kernels;
use rig::paths;
use rig::program::Build;
use rig::qemu::{Boot, Machine, Serial};
use rig::report::KtapReport;
use rig::tool;

use crate::messages::SAME_MAPS;
use crate::trial::Trial;

const DEADLINE: Duration = Duration::from_secs(120);

const SUPPORTED: &str = "supported: Linux ";
const STATUS: &str = "vm_anon_name: status 0, then poweroff";

pub(crate) fn trials() -> Vec<Trial> {
    // The rich kernel has the drivers of ttyS0 and hvc0. Without hardware, ttyS0 can be
    // opened, but each write fails with EIO.
    let on = |name: &str, serial: &'static [Serial], consoles: &'static [&'static str]| {
        Trial::new(name, move || arrives(serial, consoles))
    };
    use Serial::{Onboard, Pci, Virtio};
    vec![
        on("ttyAMA0", &[Onboard], &["ttyAMA0"]),
        on("hvc0", &[Virtio], &["hvc0"]),
        on("ttyS0 with hardware", &[Pci], &["ttyS0"]),
        on(
            "hvc0, where console= names a dead ttyS0",
            &[Virtio],
            &["ttyS0"],
        ),
        on("hvc0, where console= names nothing", &[Virtio], &["nope0"]),
        on("ttyS0, where console= names nothing", &[Pci], &["nope0"]),
        on(
            "ttyAMA0, where console= names a dead ttyS0",
            &[Onboard],
            &["ttyS0"],
        ),
        on(
            "ttyAMA0, then a dead ttyS0",
            &[Onboard],
            &["ttyAMA0", "ttyS0"],
        ),
        on(
            "a dead ttyS0, then ttyAMA0",
            &[Onboard],
            &["ttyS0", "ttyAMA0"],
        ),
        on("hvc0, then a dead ttyS0", &[Virtio], &["hvc0", "ttyS0"]),
        on(
            "ttyAMA0, after hvc0",
            &[Onboard, Virtio],
            &["hvc0", "ttyAMA0"],
        ),
        on(
            "hvc0, after ttyAMA0",
            &[Virtio, Onboard],
            &["ttyAMA0", "hvc0"],
        ),
        Trial::new("a file /dev/console that is no device", || {
            let name = "system-consoles-file";
            let machine = machine(kernels::DEFAULT, name, &["probe"], |initramfs| {
                let initramfs = initramfs.directory("/dev", 0o755);
                initramfs.file("/dev/console", 0o644, "")
            })?;
            let boot = machine.run(DEADLINE)?;
            boot.expect_power_off()?;
            prints(&boot, SUPPORTED)?;
            prints(&boot, STATUS)
        }),
        Trial::new("the kernel's log, past a dead ttyS0", || {
            let boot = logged("rich", &["probe"])?;
            prints(&boot, SUPPORTED)
        }),
        Trial::new("the kernel's log: probe", || {
            let boot = logged(kernels::DEFAULT, &["probe"])?;
            prints(&boot, SUPPORTED)
        }),
        Trial::new("the kernel's log: check", logged_check),
        Trial::new("the kernel's log: check, no sysctl", || {
            // Without the sysctl, the kernel takes 10 records in 5 s from an open /dev/kmsg, and
            // each result has two. `bare` has no devtmpfs.
            let boot = boot_logged("bare", &["check"], |initramfs| {
                initramfs
                    .directory("/dev", 0o755)
                    .char_device("/dev/kmsg", 0o600, 1, 11)
            })?;
            is_whole_report(&boot)
        }),
        Trial::new("the kernel's log: stages", logged_stages),
        Trial::new("the kernel's log: help", || {
            let boot = logged(kernels::DEFAULT, &["--help"])?;
            prints(&boot, include_str!("../../src/help.txt"))
        }),
    ]
}

/// Boots `probe` in a machine with these serial devices: its output is on the first.
fn arrives(serial: &[Serial], consoles: &[&str]) -> Result<()> {
    let devices = serial.iter().map(|device| format!("{device:?}"));
    let names = consoles.iter().map(|&name| name.to_owned());
    let name: Vec<String> = names.chain(devices).collect();
    let name = format!("system-consoles-{}", name.join("-"));
    let mut machine = machine("rich", &name, &["probe"], |initramfs| initramfs)?;
    machine.serial = serial.to_vec();
    machine.consoles = consoles.iter().map(|&name| name.to_owned()).collect();
    if !serial.contains(&Serial::Onboard) {
        machine.extra_qemu = without_uart(&machine)?;
    }
    // The kernel's last message is on the console that console= names, so it is not expected.
    let text = machine.run(DEADLINE)?.text();
    ensure!(text.contains(SUPPORTED) && text.contains(STATUS), "{text}");
    Ok(())
}

fn machine(
    kernel: &str,
    name: &str,
    args: &[&str],
    add: impl FnOnce(Initramfs) -> Initramfs,
) -> Result<Machine> {
    let initramfs = add(Initramfs::with_program(Build::Full)?).write(name)?;
    let mut machine = kernels::find(kernel)?.machine(&initramfs)?;
    machine.name = name.to_owned();
    machine.args = args.iter().map(|&arg| arg.to_owned()).collect();
    Ok(machine)
}

/// Options of QEMU for the same board, where no driver finds the UART.
fn without_uart(machine: &Machine) -> Result<Vec<String>> {
    let directory = paths::scratch("device-trees")?;
    let path = directory.join(format!("{}.dtb", machine.name));
    let dump = path.with_extension("whole");
    let mut command = Command::new("qemu-system-aarch64");
    command.args([
        "-machine",
        &format!("{},dumpdtb={}", machine.board, dump.display()),
    ]);
    command.args(["-cpu", &machine.cpu, "-m", &machine.memory_mib.to_string()]);
    tool::output(command.args(["-display", "none", "-nodefaults"]))?;
    let mut tree = fs::read(&dump).with_context(|| format!("no {}", dump.display()))?;
    let compatible = b"arm,pl011\0arm,primecell\0";
    let mut places = tree.windows(compatible.len());
    let place = places
        .position(|window| window == compatible)
        .context("no UART")?;
    tree[place..place + compatible.len()].copy_from_slice(b"off,pl011\0off,primecell\0");
    pack(&mut tree)?;
    paths::write(&path, tree)?;
    Ok(vec!["-dtb".to_owned(), path_text(path)])
}

/// Cuts the free space off a flattened device tree. The dump is a megabyte long, QEMU more than
/// doubles it on loading, and the kernel accepts at most 2 MiB.
fn pack(tree: &mut Vec<u8>) -> Result<()> {
    let field = |offset: usize| {
        let bytes = tree.get(offset..offset + 4).context("no header")?;
        anyhow::Ok(u32::from_be_bytes(bytes.try_into()?))
    };
    // off_dt_struct + size_dt_struct, off_dt_strings + size_dt_strings
    let end = (field(8)? + field(36)?).max(field(12)? + field(32)?);
    tree[4..8].copy_from_slice(&end.to_be_bytes());
    tree.truncate(end.try_into()?);
    Ok(())
}

fn path_text(path: PathBuf) -> String {
    path.display().to_string()
}

/// Boots without a console; the kernel's log is on the first serial device.
fn boot_logged(
    kernel: &str,
    args: &[&str],
    add: impl FnOnce(Initramfs) -> Initramfs,
) -> Result<Boot> {
    let name = format!("system-consoles-log-{kernel}-{}", args.join("-"));
    let mut machine = machine(kernel, &name, args, add)?;
    machine.consoles = vec!["nope0".to_owned()];
    machine.append =
        "earlycon=pl011,mmio,0x9000000 keep_bootcon loglevel=7 printk.time=0".to_owned();
    machine.extra_qemu = without_uart(&machine)?;
    let boot = machine.run(DEADLINE)?;
    boot.expect_power_off()?;
    Ok(boot)
}

fn logged(kernel: &str, args: &[&str]) -> Result<Boot> {
    boot_logged(kernel, args, |initramfs| {
        initramfs.char_device("/dev/zero", 0o666, 1, 5)
    })
}

fn prints(boot: &Boot, words: &str) -> Result<()> {
    let text = boot.text();
    ensure!(text.contains(words) && text.contains(STATUS), "{text}");
    Ok(())
}

fn logged_check() -> Result<()> {
    is_whole_report(&logged(kernels::DEFAULT, &["check"])?)
}

/// Fails unless the report is complete, without failures, and followed by the status.
fn is_whole_report(boot: &Boot) -> Result<()> {
    let report = KtapReport::read(&boot.text())?;
    ensure!(report.passed() > 100, "{} cases passed", report.passed());
    ensure!(report.failed().count() == 0, "a case failed");
    ensure!(boot.status() == Some(0), "status {:?}", boot.status());
    Ok(())
}

/// Without input, the pauses end at once without an error. Each line of the transcript is whole.
fn logged_stages() -> Result<()> {
    let boot = logged(kernels::DEFAULT, &[])?;
    prints(&boot, SAME_MAPS)?;
    let text = boot.text();
    ensure!(!text.contains("standard input"), "{text}");
    for file in ["1_start", "2_mmap", "3_set_vm_name", "4_ummap"] {
        let end = format!(" - cat /proc/1/maps > maps_{file}.txt");
        let is_prompt = |line: &str| line.contains("Press enter to ") && line.ends_with(&end);
        ensure!(text.lines().any(is_prompt), "no prompt of {file}\n{text}");
    }
    Ok(())
}
