//! Whatever a machine does, the rig says what it was, and leaves nothing running.
//!
//! Each machine is wrong in one way. Its boot must end before the deadline in the
//! right words, with the console in its log and QEMU gone.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rig::initramfs::Initramfs;
use rig::kernels;
use rig::paths;
use rig::program::Build;
use rig::qemu::{Ending, Machine};

/// For boots that end by themselves.
const PATIENCE: Duration = Duration::from_secs(60);

/// For boots that do not. A whole boot takes a second; what is said by then is all.
const IMPATIENCE: Duration = Duration::from_secs(15);

/// Boots, and checks the ending by its words; returns the console.
#[track_caller]
fn check(machine: &Machine, deadline: Duration, expected: &str) -> String {
    let console = machine.run(deadline).unwrap();
    let ending = console.ending.to_string();
    assert!(
        ending.starts_with(expected),
        "expected {expected:?}, seen {ending:?}"
    );
    let error = console.expect_power_off().unwrap_err().to_string();
    assert!(error.contains(&ending), "{error}");
    let log = fs::read(&console.log).unwrap();
    assert!(
        log.starts_with(b"$ qemu-system-aarch64 "),
        "the log is not headed by its command"
    );
    assert!(log.ends_with(&console.bytes), "the log is not the console");
    assert_eq!(
        processes_of(machine),
        Vec::<String>::new(),
        "QEMU is still there"
    );
    console.text()
}

/// The processes that have this machine's own archive on their command lines.
fn processes_of(machine: &Machine) -> Vec<String> {
    let own = machine.initramfs.display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        // It may have ended meanwhile.
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&own) {
            found.push(line);
        }
    }
    found
}

fn machine(name: &str, initramfs: Initramfs) -> Machine {
    let name = format!("deadline-{name}");
    let initramfs = initramfs.write(&name).unwrap();
    let kernel = kernels::find(kernels::DEFAULT).unwrap();
    let mut machine = kernel.machine(&initramfs).unwrap();
    machine.name = name;
    machine
}

fn with_program(name: &str) -> Machine {
    machine(name, Initramfs::with_program(Build::Full).unwrap())
}

/// A kernel that is this file.
fn with_kernel(name: &str, kernel: &[u8]) -> Machine {
    let path = paths::scratch("deadline").unwrap().join(name);
    fs::write(&path, kernel).unwrap();
    let mut machine = machine(name, Initramfs::new());
    machine.kernel = path;
    machine
}

#[test]
fn a_kernel_without_init() {
    let text = check(
        &machine("without-init", Initramfs::new()),
        PATIENCE,
        "panicked: ",
    );
    assert!(text.contains("Kernel panic - not syncing"));
}

#[test]
fn an_init_that_exits() {
    let script = Initramfs::new().file("/init", 0o755, "#!/init\n");
    check(&machine("init-exits", script), PATIENCE, "panicked: ");
}

/// It stands still after its panic, instead of leaving.
#[test]
fn a_kernel_that_panics_and_stays() {
    let mut machine = machine("panics-and-stays", Initramfs::new());
    machine.append = "panic=0".to_owned();
    check(&machine, PATIENCE, "panicked: ");
}

/// The program waits for an Enter that never comes.
#[test]
fn an_init_that_waits() {
    let text = check(
        &with_program("init-waits"),
        IMPATIENCE,
        "hung: no end after",
    );
    assert!(text.contains("Press enter to mmap"));
}

#[test]
fn an_expectation_that_is_not_met() {
    let mut machine = with_program("expectation");
    machine.args = vec!["-y".to_owned()];
    let mut session = machine.boot(PATIENCE).unwrap();
    let error = session.expect("something else").unwrap_err().to_string();
    assert!(
        error.contains("expected \"something else\", but the machine powered off"),
        "{error}"
    );
    drop(session);
    assert_eq!(processes_of(&machine), Vec::<String>::new());
}

#[test]
fn a_kernel_of_zeros() {
    let machine = with_kernel("zeros", &[0; 1 << 16]);
    check(&machine, IMPATIENCE, "never said anything");
}

/// The head of a true image, and nothing behind it.
#[test]
fn a_kernel_cut_short() {
    let kernel = kernels::find(kernels::DEFAULT).unwrap().image().unwrap();
    let image = fs::read(kernel.path).unwrap();
    let machine = with_kernel("short", &image[..1 << 16]);
    check(&machine, IMPATIENCE, "never said anything");
}

/// A processor that has no pages of this size.
#[test]
fn a_kernel_for_another_processor() {
    let kernel = kernels::find("6.12-16k").unwrap().image().unwrap();
    let mut machine = with_program("processor");
    machine.kernel = kernel.path;
    machine.cpu = "cortex-a72".to_owned();
    check(&machine, IMPATIENCE, "never said anything");
}

/// Machine code that writes one byte after the other to the serial port.
#[test]
fn a_kernel_that_prints_garbage() {
    let code: [u32; 4] = [
        0xd2a1_2000, // mov x0, #0x09000000: the port of QEMU's virt machine
        0x1100_0421, // add w1, w1, #1
        0x3900_0001, // strb w1, [x0]
        0x17ff_fffe, // b to the add
    ];
    let code = code.map(u32::to_le_bytes).concat();
    check(
        &with_kernel("garbage", &code),
        Duration::from_secs(3),
        "hung: no end after",
    );
}

#[test]
fn no_kernel_at_all() {
    let mut machine = with_program("no-kernel");
    machine.kernel = PathBuf::from("/nowhere");
    let console = machine.run(PATIENCE).unwrap();
    let Ending::QemuFailed(words) = &console.ending else {
        panic!("{}", console.ending);
    };
    assert!(words.contains("/nowhere"), "{words}");
}

/// A rig that is killed takes its machine along.
#[test]
fn a_rig_that_is_killed() {
    let directory = paths::scratch("deadline/killed").unwrap();
    let mut rig = Command::new(env!("CARGO_BIN_EXE_xtask"));
    // The program that comes next is the same one, which waits at its first pause: the
    // machine does not end by itself.
    rig.args(["run", "--", "-q", "-y", "--then", "/init"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    // In a group of its own, and with files of its own.
    rig.process_group(0).env("CARGO_TARGET_DIR", &directory);
    let mut rig = rig.spawn().unwrap();
    let is_running = || {
        let archive = directory.join("rig/initramfs");
        !processes_with(&archive).is_empty()
    };
    while !is_running() && rig.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(20));
    }
    assert!(is_running(), "the rig ended too early to be killed");
    rig.kill().unwrap();
    rig.wait().unwrap();
    // The kernel has it killed at once, but QEMU takes a moment to be gone.
    let mut looks = 0;
    while is_running() && looks < 500 {
        looks += 1;
        sleep(Duration::from_millis(20));
    }
    assert!(!is_running(), "QEMU outlives the rig");
}

fn processes_with(path: &Path) -> Vec<String> {
    let machine = Machine::new(Path::new("/nowhere"), path);
    processes_of(&machine)
}
