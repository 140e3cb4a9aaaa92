//! Machines that fail: the rig reports the failure in time, and leaves no process behind.
//!
//! Each machine has one defect. The rig must name the failure, at the timeout at the latest, keep
//! the console in the log, and end QEMU.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rig::initramfs::Initramfs;
use rig::kernels;
use rig::paths;
use rig::program::Build;
use rig::qemu::{Ending, Machine};

use crate::trial::Trial;

/// The timeout for boots that end by themselves.
const LONG: Duration = Duration::from_secs(60);

/// The timeout for boots that do not end by themselves. A complete boot takes a second.
const SHORT: Duration = Duration::from_secs(15);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("no init", no_init),
        Trial::new("init exits", init_exits),
        Trial::new("kernel panics and stops", panics_and_stops),
        Trial::new("init waits", init_waits),
        Trial::new("expected text does not come", text_does_not_come),
        Trial::new("kernel of zeros", kernel_of_zeros),
        Trial::new("truncated kernel", truncated_kernel),
        Trial::new("wrong processor", wrong_processor),
        Trial::new("kernel prints garbage", kernel_prints_garbage),
        Trial::new("no kernel", no_kernel),
        Trial::new("killed rig", killed_rig),
    ]
}

/// Boots the machine. The description of its ending must begin with `expected`. Returns the
/// text on the console.
fn check(machine: &Machine, timeout: Duration, expected: &str) -> Result<String> {
    let boot = machine.run(timeout)?;
    let ending = boot.ending.to_string();
    ensure!(ending.starts_with(expected), "{ending:?}, not {expected:?}");
    let error = boot.expect_power_off().err();
    let error = error.context("no error")?.to_string();
    ensure!(error.contains(&ending), "{error}");
    let log = fs::read(&boot.log)?;
    let command = b"$ qemu-system-aarch64 ";
    ensure!(
        log.starts_with(command),
        "the log does not begin with the command"
    );
    ensure!(log.ends_with(&boot.bytes), "the log lacks console output");
    let processes = processes_of(machine)?;
    ensure!(processes.is_empty(), "still running: {processes:?}");
    Ok(boot.text())
}

/// The command lines of the processes that use the initramfs of this machine.
fn processes_of(machine: &Machine) -> Result<Vec<String>> {
    processes_with(&machine.initramfs)
}

/// The command lines of processes that contain this path.
fn processes_with(path: &Path) -> Result<Vec<String>> {
    let path = path.display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        // A process may end in the meantime.
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&path) {
            found.push(line);
        }
    }
    Ok(found)
}

fn machine(name: &str, initramfs: Initramfs) -> Result<Machine> {
    let name = format!("rig-failures-{name}");
    let initramfs = initramfs.write(&name)?;
    let kernel = kernels::find(kernels::DEFAULT)?;
    let mut machine = kernel.machine(&initramfs)?;
    machine.name = name;
    Ok(machine)
}

fn with_program(name: &str) -> Result<Machine> {
    machine(name, Initramfs::with_program(Build::Full)?)
}

/// A machine whose kernel is a file with these bytes.
fn with_kernel(name: &str, kernel: &[u8]) -> Result<Machine> {
    let path = paths::scratch("rig-failures")?.join(name);
    fs::write(&path, kernel)?;
    let mut machine = machine(name, Initramfs::new())?;
    machine.kernel = path;
    Ok(machine)
}

fn no_init() -> Result<()> {
    let machine = machine("no-init", Initramfs::new())?;
    let text = check(&machine, LONG, "panicked: ")?;
    ensure!(text.contains("Kernel panic - not syncing"), "{text}");
    Ok(())
}

fn init_exits() -> Result<()> {
    let script = Initramfs::new().file("/init", 0o755, "#!/init\n");
    check(&machine("init-exits", script)?, LONG, "panicked: ")?;
    Ok(())
}

/// With `panic=0` the kernel stops after a panic instead of restarting.
fn panics_and_stops() -> Result<()> {
    let mut machine = machine("panics-and-stops", Initramfs::new())?;
    machine.append = "panic=0".to_owned();
    check(&machine, LONG, "panicked: ")?;
    Ok(())
}

/// The program waits for Enter.
fn init_waits() -> Result<()> {
    let machine = with_program("init-waits")?;
    let text = check(&machine, SHORT, "hung: no end after")?;
    ensure!(text.contains("Press enter to mmap"), "{text}");
    Ok(())
}

fn text_does_not_come() -> Result<()> {
    let mut machine = with_program("expectation")?;
    machine.args = vec!["-y".to_owned()];
    let mut session = machine.boot(LONG)?;
    let error = session.expect("something else").err().context("no error")?;
    let error = error.to_string();
    let expected = "expected \"something else\", but the machine powered off";
    ensure!(error.contains(expected), "{error}");
    drop(session);
    let processes = processes_of(&machine)?;
    ensure!(processes.is_empty(), "still running: {processes:?}");
    Ok(())
}

fn kernel_of_zeros() -> Result<()> {
    let machine = with_kernel("zeros", &[0; 1 << 16])?;
    check(&machine, SHORT, "never said anything")?;
    Ok(())
}

/// The kernel is the first 64 KiB of an image.
fn truncated_kernel() -> Result<()> {
    let kernel = kernels::find(kernels::DEFAULT)?.image()?;
    let image = fs::read(kernel.path)?;
    let machine = with_kernel("truncated", &image[..1 << 16])?;
    check(&machine, SHORT, "never said anything")?;
    Ok(())
}

/// The processor does not support the page size of the kernel.
fn wrong_processor() -> Result<()> {
    let kernel = kernels::find("6.12-16k")?.image()?;
    let mut machine = with_program("processor")?;
    machine.kernel = kernel.path;
    machine.cpu = "cortex-a72".to_owned();
    check(&machine, SHORT, "never said anything")?;
    Ok(())
}

/// The kernel writes all bytes to the serial port, one after another, without end.
fn kernel_prints_garbage() -> Result<()> {
    let code: [u32; 4] = [
        0xd2a1_2000, // mov x0, #0x09000000: the UART of QEMU's virt machine
        0x1100_0421, // add w1, w1, #1
        0x3900_0001, // strb w1, [x0]
        0x17ff_fffe, // b to the add
    ];
    let code = code.map(u32::to_le_bytes).concat();
    let machine = with_kernel("garbage", &code)?;
    check(&machine, Duration::from_secs(3), "hung: no end after")?;
    Ok(())
}

fn no_kernel() -> Result<()> {
    let mut machine = with_program("no-kernel")?;
    machine.kernel = PathBuf::from("/nowhere");
    let boot = machine.run(LONG)?;
    let Ending::QemuFailed(message) = &boot.ending else {
        bail!("{}", boot.ending);
    };
    ensure!(message.contains("/nowhere"), "{message}");
    Ok(())
}

/// QEMU ends when the rig is killed.
fn killed_rig() -> Result<()> {
    let directory = paths::scratch("rig-failures/killed")?;
    let mut rig = Command::new(env!("CARGO_BIN_EXE_xtask"));
    // The machine must not end by itself: the program executes itself as the next init, and
    // then waits for Enter.
    rig.args(["run", "--", "-q", "-y", "--then", "/init"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    // A process group and files of its own, so nothing else ends QEMU or has its path.
    rig.process_group(0).env("CARGO_TARGET_DIR", &directory);
    let mut rig = rig.spawn()?;
    let archives = directory.join("rig/initramfs");
    let is_running = || processes_with(&archives).map(|processes| !processes.is_empty());
    while !is_running()? && rig.try_wait()?.is_none() {
        sleep(Duration::from_millis(20));
    }
    ensure!(is_running()?, "the rig ended before it was killed");
    rig.kill()?;
    rig.wait()?;
    // The kernel kills QEMU at once, but the process needs a moment to exit.
    for _ in 0..500 {
        if !is_running()? {
            return Ok(());
        }
        sleep(Duration::from_millis(20));
    }
    bail!("QEMU runs longer than the rig")
}
