//! Boards of QEMU besides those of the targets: other processors, serial ports and power switches.
//!
//! The kernels are Debian's, which have the drivers of many boards, and the rig's, where they
//! suffice.

use std::path::Path;

use anyhow::{Context, Result};

use crate::kernels;
use crate::qemu::{Ending, Machine, Serial};

/// A board, the kernel that boots on it, and how the kernel ends it.
#[derive(Debug)]
pub struct Board {
    /// QEMU's name.
    pub name: &'static str,
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Device tree, among those that come with the kernel. QEMU makes those of other boards.
    device_tree: Option<&'static str>,
    cpu: &'static str,
    memory_mib: u32,
    serial: Serial,
    /// The kernel's name of that serial port.
    console: &'static str,
    parameters: &'static str,
    /// The value of `--then` that the kernel obeys.
    pub then: &'static str,
    /// The end of the machine.
    pub ending: Ending,
    /// Whether it takes seconds, and its kernel is used by other tests, too.
    pub is_quick: bool,
}

/// All boards.
pub static ALL: [Board; 5] = [
    Board {
        name: "raspi3b",
        kernel: "debian-6.12-arm64",
        device_tree: Some("broadcom/bcm2837-rpi-3-b.dtb"),
        cpu: "cortex-a53",
        memory_mib: 1024,
        // Bluetooth is at the first.
        serial: Serial::SecondOnboard,
        console: "ttyS1,115200",
        parameters: "",
        // The driver that switches the board off, or resets it, is a module.
        then: "reboot",
        ending: Ending::Restarted,
        is_quick: false,
    },
    Board {
        name: "xlnx-zcu102",
        kernel: "debian-6.12-arm64",
        device_tree: Some("xilinx/zynqmp-zcu102-rev1.0.dtb"),
        cpu: "cortex-a53",
        memory_mib: 1024,
        serial: Serial::Onboard,
        console: "ttyPS0,115200",
        // QEMU lacks the firmware that switches the clock of the serial port on, so the driver
        // never starts: the console is the early one, and the program writes to the kernel log.
        parameters: "earlycon printk.time=0 loglevel=5",
        then: "poweroff",
        ending: Ending::PoweredOff,
        is_quick: false,
    },
    Board {
        name: "microvm,acpi=off",
        kernel: "x86_64-6.12",
        device_tree: None,
        cpu: "max",
        memory_mib: 128,
        serial: Serial::Onboard,
        console: "ttyS0",
        parameters: "",
        then: "reboot",
        ending: Ending::Restarted,
        is_quick: true,
    },
    Board {
        name: "sifive_u",
        kernel: "riscv64-debian-6.12",
        device_tree: None,
        cpu: "sifive-u54",
        memory_mib: 512,
        serial: Serial::Onboard,
        console: "ttySIF0",
        parameters: "",
        then: "reboot",
        ending: Ending::Restarted,
        is_quick: false,
    },
    Board {
        name: "vexpress-a15",
        kernel: "arm-debian-6.12",
        device_tree: Some("vexpress-v2p-ca15-tc1.dtb"),
        cpu: "cortex-a15",
        memory_mib: 512,
        serial: Serial::Onboard,
        console: "ttyAMA0",
        // The device tree has two processors, QEMU makes one.
        parameters: "maxcpus=1",
        then: "poweroff",
        ending: Ending::PoweredOff,
        is_quick: false,
    },
];

/// The board that QEMU calls `name`.
pub fn find(name: &str) -> Result<&'static Board> {
    let found = ALL.iter().find(|board| board.name == name);
    found.with_context(|| format!("no board is called {name}"))
}

impl Board {
    /// The board with its kernel.
    pub fn machine(&self, initramfs: &Path) -> Result<Machine> {
        let kernel = kernels::find(self.kernel)?;
        let mut machine = kernel.machine(initramfs)?;
        machine.board = self.name.to_owned();
        machine.cpu = self.cpu.to_owned();
        machine.memory_mib = self.memory_mib;
        machine.serial = vec![self.serial];
        machine.consoles = vec![self.console.to_owned()];
        machine.append = self.parameters.to_owned();
        if let Some(name) = self.device_tree {
            let path = kernel.device_tree(name)?.display().to_string();
            machine.extra_qemu.extend(["-dtb".to_owned(), path]);
        }
        Ok(machine)
    }
}
