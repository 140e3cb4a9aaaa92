//! Boots an image in QEMU, drives its console and says how the boot ended.
//!
//! QEMU's exit status means nothing here: a kernel that panics under `-no-reboot`
//! leaves with 0 like one that was told to power off. The console is the witness,
//! and all of it is kept in a log, headed by the command that repeats the boot.
//!
//! No QEMU outlives its session, nor the rig however that ends.

mod boot;
mod session;

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

pub use self::boot::{Boot, Ending, plain_text};
pub use self::session::Session;
// The former name, until every branch uses the new one.
pub use self::boot::Boot as Console;
use crate::host_packages;
use crate::paths;
use crate::tool;

/// A machine to boot, and what to boot in it.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The name of the log.
    pub name: String,
    /// The kernel's image.
    pub kernel: PathBuf,
    /// The archive it unpacks.
    pub initramfs: PathBuf,
    /// QEMU's name for the processor.
    pub cpu: String,
    /// What executes the guest's instructions, as `-accel` takes it.
    pub accelerator: String,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// More words for the kernel's own command line.
    pub append: String,
    /// The arguments of `/init`.
    pub args: Vec<String>,
    /// More options for QEMU.
    pub extra_qemu: Vec<String>,
}

impl Machine {
    /// A machine with the least that every kernel of the rig boots with.
    pub fn new(kernel: &Path, initramfs: &Path) -> Self {
        Self {
            name: "console".to_owned(),
            kernel: kernel.to_owned(),
            initramfs: initramfs.to_owned(),
            // Only `max` has pages of 16 KiB. Its pointers are signed by the
            // standard's cipher unless told otherwise, which costs a large
            // kernel four fifths of its time here.
            cpu: "max,pauth-impdef=on".to_owned(),
            accelerator: "tcg,thread=single".to_owned(),
            memory_mib: 128,
            append: String::new(),
            args: Vec::new(),
            extra_qemu: Vec::new(),
        }
    }

    /// Boots, leaves the console alone and returns all of it.
    pub fn run(&self, deadline: Duration) -> Result<Boot> {
        self.boot(deadline)?.finish()
    }

    /// Boots with the console in the caller's hands.
    pub fn boot(&self, deadline: Duration) -> Result<Session> {
        host_packages::EMULATOR.ensure()?;
        Session::start(self, deadline)
    }

    /// Boots with the console on the terminal, in place of the calling process.
    /// Control-C ends the machine, as does Control-A x.
    pub fn take_over(&self) -> Result<Infallible> {
        host_packages::EMULATOR.ensure()?;
        let log = self.log()?;
        let terminal = format!(
            "stdio,id=terminal,mux=on,signal=on,logfile={}",
            log.display().to_string().replace(',', ",,")
        );
        let mut command = self.command();
        command.args(["-chardev", &terminal]);
        command.args(["-serial", "chardev:terminal", "-mon", "chardev=terminal"]);
        let error = command.exec();
        Err(error).with_context(|| format!("cannot run {}", tool::show(&command)))
    }

    /// The QEMU command as one would type it.
    pub fn shown(&self) -> String {
        let mut command = self.command();
        tool::show(command.args(["-serial", "mon:stdio"]))
    }

    /// Where the console is logged.
    pub fn log(&self) -> Result<PathBuf> {
        Ok(paths::scratch("logs")?.join(format!("{}.log", self.name)))
    }

    /// QEMU, but for where its serial port leads.
    fn command(&self) -> Command {
        let mut command = Command::new("qemu-system-aarch64");
        command.args(["-machine", "virt", "-accel", &self.accelerator]);
        command.args(["-cpu", &self.cpu, "-m", &self.memory_mib.to_string()]);
        command.args(["-display", "none", "-nodefaults", "-no-reboot"]);
        command.arg("-kernel").arg(&self.kernel);
        command.arg("-initrd").arg(&self.initramfs);
        command.args(["-append", &self.kernel_command_line()]);
        command.args(&self.extra_qemu);
        command
    }

    /// A panic reboots, which under `-no-reboot` ends QEMU.
    fn kernel_command_line(&self) -> String {
        let mut line = "console=ttyAMA0 panic=-1 quiet".to_owned();
        if !self.append.is_empty() {
            line.push(' ');
            line.push_str(&self.append);
        }
        if !self.args.is_empty() {
            line.push_str(" --");
        }
        for argument in &self.args {
            line.push(' ');
            line.push_str(&quote(argument));
        }
        line
    }
}

/// The kernel takes quotes off its arguments, but only double ones.
fn quote(argument: &str) -> String {
    match argument.is_empty() || argument.contains(char::is_whitespace) {
        true => format!("\"{argument}\""),
        false => argument.to_owned(),
    }
}
