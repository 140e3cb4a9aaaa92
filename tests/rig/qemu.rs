//! QEMU machines: boots a kernel, drives its console, reports how the boot ended.
//!
//! QEMU's exit status is not used: with `-no-reboot` a kernel that panics makes
//! QEMU exit with 0, as one that powers off does. The console shows how the boot ended. It
//! is kept in a log file, whose first line is the command that repeats the boot.
//!
//! QEMU ends with its [`Session`], and with the rig, even if the rig is killed.

mod boot;
mod session;

use std::convert::Infallible;
use std::iter;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

pub use self::boot::{Boot, Ending, plain_text};
pub use self::session::Session;
use crate::paths;
use crate::target::Target;
use crate::tool;

/// A machine and what it boots.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Name of the log file, without its extension.
    pub name: String,
    /// Architecture.
    pub target: &'static Target,
    /// Kernel image.
    pub kernel: PathBuf,
    /// Initramfs archive.
    pub initramfs: PathBuf,
    /// Value of `-machine`: the board and its properties.
    pub board: String,
    /// Value of `-cpu`.
    pub cpu: String,
    /// Value of `-accel`.
    pub accelerator: String,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Serial devices. The session reads and types on the first one; what the
    /// guest writes to the others is in [`Boot::other_serial`].
    pub serial: Vec<Serial>,
    /// Values of the `console=` parameters, in order. The kernel prints on all of
    /// them and opens the last one as `/dev/console`.
    pub consoles: Vec<String>,
    /// Further kernel parameters. They follow, and so override, the rig's own.
    pub append: String,
    /// Arguments of `/init`: what follows `--` on the kernel's command line.
    pub args: Vec<String>,
    /// Further options of QEMU.
    pub extra_qemu: Vec<String>,
}

/// A serial device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serial {
    /// The first serial port of the board, such as `ttyAMA0`. QEMU gives each board one.
    Onboard,
    /// The second serial port of the board, if the first is of no use.
    SecondOnboard,
    /// A 16550A on the PCI bus, `ttyS0` to `ttyS3`; needs `SERIAL_8250_PCI`.
    Pci,
    /// A virtio console, `hvc0` and up; needs `VIRTIO_CONSOLE` and `VIRTIO_MMIO`. It does
    /// not show the kernel's last message, so give the kernel another console too.
    Virtio,
}

impl Machine {
    /// A machine with one serial port and 128 MiB, enough for most kernels of the list that
    /// are built here.
    pub fn new(target: &'static Target, kernel: &Path, initramfs: &Path) -> Self {
        Self {
            name: "console".to_owned(),
            target,
            kernel: kernel.to_owned(),
            initramfs: initramfs.to_owned(),
            board: target.board.to_owned(),
            cpu: target.cpu.to_owned(),
            accelerator: "tcg,thread=single".to_owned(),
            memory_mib: 128,
            serial: vec![Serial::Onboard],
            consoles: vec![target.console.to_owned()],
            append: String::new(),
            args: Vec::new(),
            extra_qemu: Vec::new(),
        }
    }

    /// Boots, waits for the end, and returns what the console showed. A machine that
    /// still runs at the deadline is killed.
    pub fn run(&self, deadline: Duration) -> Result<Boot> {
        self.boot(deadline)?.finish()
    }

    /// Boots and returns the session, for a dialogue on the console.
    pub fn boot(&self, deadline: Duration) -> Result<Session> {
        self.target.emulator.ensure()?;
        Session::start(self, deadline)
    }

    /// Replaces the calling process by QEMU with the console on the terminal.
    /// Control-C ends the machine, as does Control-A x.
    pub fn take_over(&self) -> Result<Infallible> {
        self.target.emulator.ensure()?;
        let log = self.log()?.display().to_string().replace(',', ",,");
        let terminal = format!("stdio,mux=on,signal=on,logfile={log}");
        let mut command = self.command(&terminal)?;
        command.args(["-mon", "chardev=serial0"]);
        let error = command.exec();
        Err(error).with_context(|| format!("cannot run {}", tool::show(&command)))
    }

    /// The QEMU command in shell syntax.
    pub fn shown(&self) -> Result<String> {
        let mut command = self.command("stdio,mux=on")?;
        Ok(tool::show(command.args(["-mon", "chardev=serial0"])))
    }

    /// Path of the console's log.
    pub fn log(&self) -> Result<PathBuf> {
        Ok(paths::scratch("logs")?.join(format!("{}.log", self.name)))
    }

    /// Paths of the logs of all serial devices but the first.
    fn other_logs(&self) -> Result<Vec<PathBuf>> {
        let log = self.log()?;
        let numbers = 1..self.serial.len();
        Ok(numbers
            .map(|number| log.with_extension(format!("serial{number}")))
            .collect())
    }

    /// QEMU with the first serial device connected to the character device
    /// `console`, a value of `-chardev` without its id.
    fn command(&self, console: &str) -> Result<Command> {
        let mut command = Command::new(self.target.qemu);
        command.args(["-machine", &self.board, "-accel", &self.accelerator]);
        command.args(["-cpu", &self.cpu, "-m", &self.memory_mib.to_string()]);
        command.args(["-display", "none", "-nodefaults", "-no-reboot"]);
        command.arg("-kernel").arg(&self.kernel);
        command.arg("-initrd").arg(&self.initramfs);
        command.args(["-append", &self.kernel_command_line()]);
        if self.serial.contains(&Serial::Virtio) {
            command.args(["-device", "virtio-serial-device"]);
        }
        let logs = self.other_logs()?;
        let files = logs
            .iter()
            .map(|log| format!("file,path={}", log.display()));
        let backends = iter::once(console.to_owned()).chain(files);
        for (number, (device, backend)) in self.serial.iter().zip(backends).enumerate() {
            let id = format!("serial{number}");
            command.args(["-chardev", &format!("{backend},id={id}")]);
            match device {
                Serial::Onboard => command.args(["-serial", &format!("chardev:{id}")]),
                Serial::SecondOnboard => {
                    command.args(["-chardev", "null,id=unused", "-serial", "chardev:unused"]);
                    command.args(["-serial", &format!("chardev:{id}")])
                }
                Serial::Pci => command.args(["-device", &format!("pci-serial,chardev={id}")]),
                Serial::Virtio => command.args(["-device", &format!("virtconsole,chardev={id}")]),
            };
        }
        command.args(&self.extra_qemu);
        Ok(command)
    }

    /// `panic=-1` reboots at once after a panic, which under `-no-reboot` ends QEMU.
    fn kernel_command_line(&self) -> String {
        let consoles = self.consoles.iter().map(|name| format!("console={name}"));
        let own = ["panic=-1".to_owned(), "quiet".to_owned()];
        let mut words: Vec<String> = consoles.chain(own).collect();
        let parameters = [self.target.parameters, &self.append];
        words.extend(
            parameters
                .iter()
                .filter(|it| !it.is_empty())
                .map(|it| it.to_string()),
        );
        words.extend((!self.args.is_empty()).then(|| "--".to_owned()));
        words.extend(self.args.iter().map(|argument| quote(argument)));
        words.join(" ")
    }
}

/// Quotes an argument that contains white space. The kernel removes double quotes only,
/// and has no escape for them.
fn quote(argument: &str) -> String {
    match argument.is_empty() || argument.contains(char::is_whitespace) {
        true => format!("\"{argument}\""),
        false => argument.to_owned(),
    }
}
