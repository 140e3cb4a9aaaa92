//! Architectures that the program is built for, with all that differs between them.
//!
//! A new architecture is a new [`Target`] here, its configuration in `rig/kernels`, and its
//! kernels in the list of [`kernels`](crate::kernels).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;
use object::elf::{self, Machine};

use crate::host_packages::{Purpose, on_path};

/// An architecture: how the program and kernels are built for it, and the machine that boots
/// them.
#[derive(Debug)]
pub struct Target {
    /// Name in commands and file names.
    pub name: &'static str,
    /// The architecture in Rust: `cfg(target_arch)`.
    pub(crate) arch: &'static str,
    /// Number of bits of an address.
    pub address_bits: u32,
    /// Target triple of the program.
    pub triple: &'static str,
    /// Machine in the ELF header.
    pub machine: Machine,
    /// The largest page of a kernel.
    pub largest_page: u64,
    /// The limit on the compressed full build, in percent of its size on the default
    /// architecture.
    pub size_limit: u64,
    /// The limit on the minimal build, in bytes.
    pub minimal_limit: u64,
    /// Flags of rustc for the program, besides the linker.
    pub(crate) rustflags: &'static [&'static str],
    /// Packages for compiling the program where the active toolchain lacks the triple. `None`
    /// if Debian has no core library for it.
    pub(crate) core: Option<Purpose>,
    /// Debian's name of the architecture.
    pub(crate) debian: &'static str,
    /// Path of the dynamic loader of Debian's programs.
    pub(crate) loader: &'static str,
    /// Prefix of GNU's tools for this architecture, such as `aarch64-linux-gnu`.
    pub gnu: &'static str,
    /// The C compiler that builds kernels.
    pub(crate) compiler: Purpose,
    /// The architecture in the kernel's build system: the value of `ARCH`.
    pub(crate) linux: &'static str,
    /// Goal of make that builds the image.
    pub(crate) image_goal: &'static str,
    /// Path of the image in the build directory.
    pub(crate) image: &'static str,
    /// Kernel options for the processor, the serial port and the power switch of the machine.
    pub(crate) config: &'static str,
    /// Name of the QEMU command.
    pub(crate) qemu: &'static str,
    /// Packages of the emulator and its firmware.
    pub emulator: Purpose,
    /// Value of `-machine`.
    pub(crate) board: &'static str,
    /// Value of `-cpu`.
    pub(crate) cpu: &'static str,
    /// The kernel's name of the board's first serial port.
    pub(crate) console: &'static str,
    /// Parameters of the kernel.
    pub(crate) parameters: &'static str,
    /// Start of the last line that the firmware prints on the serial port, if it prints any.
    pub(crate) last_of_firmware: Option<&'static str>,
}

/// 64-bit arm.
pub static AARCH64: Target = Target {
    name: "aarch64",
    arch: "aarch64",
    address_bits: 64,
    triple: "aarch64-unknown-linux-gnu",
    machine: elf::EM_AARCH64,
    largest_page: 65_536,
    size_limit: 115,
    minimal_limit: 2_500,
    // The program is loaded where it is linked and smaller than 1 MiB, so code can take each
    // address with one instruction. With the third flag, functions share the code that saves
    // and restores registers, which takes 2 % off the compressed archive.
    rustflags: &[
        "-Crelocation-model=static",
        "-Ccode-model=tiny",
        "-Cllvm-args=-homogeneous-prolog-epilog",
        NO_OUTLINER,
    ],
    core: Some(Purpose {
        what: "compile Rust for aarch64",
        packages: &["rustc-web", "libstd-rust-web-dev:arm64", "rust-web-clippy"],
        is_met: || {
            Path::new("/usr/bin/clippy-driver").exists()
                && Path::new("/usr/bin/rustc").exists()
                && AARCH64.has_core(Path::new("/usr"))
        },
    }),
    debian: "arm64",
    loader: "/lib/ld-linux-aarch64.so.1",
    gnu: "aarch64-linux-gnu",
    compiler: Purpose {
        what: "build kernels for aarch64",
        packages: &["gcc-aarch64-linux-gnu"],
        is_met: || on_path(&["aarch64-linux-gnu-gcc"]),
    },
    linux: "arm64",
    image_goal: "Image",
    image: "arch/arm64/boot/Image",
    config: include_str!("kernels/aarch64.config"),
    qemu: "qemu-system-aarch64",
    emulator: Purpose {
        what: "boot aarch64 kernels",
        packages: &["qemu-system-arm"],
        is_met: || on_path(&["qemu-system-aarch64"]),
    },
    board: "virt",
    // `max` has 16 KiB pages, MTE and 52-bit addresses. Under TCG, the default pointer
    // authentication cipher of `max` takes 80 % of the boot time of a large kernel.
    cpu: "max,pauth-impdef=on",
    console: "ttyAMA0",
    parameters: "",
    last_of_firmware: None,
};

/// Code that occurs several times stays as it is. Moved into functions of its own, as LLVM does for
/// these architectures, it is shorter, but the calls compress worse: 0.6 % of the archive.
const NO_OUTLINER: &str = "-Cllvm-args=-enable-machine-outliner=never";

/// 64-bit x86.
pub static X86_64: Target = Target {
    name: "x86_64",
    arch: "x86_64",
    address_bits: 64,
    triple: "x86_64-unknown-linux-gnu",
    machine: elf::EM_X86_64,
    largest_page: 4096,
    size_limit: 115,
    minimal_limit: 2_500,
    rustflags: &["-Crelocation-model=static"],
    core: None,
    debian: "amd64",
    loader: "/lib64/ld-linux-x86-64.so.2",
    gnu: "x86_64-linux-gnu",
    compiler: Purpose {
        what: "build kernels for x86_64",
        packages: &["gcc-x86-64-linux-gnu"],
        is_met: || on_path(&["x86_64-linux-gnu-gcc"]),
    },
    linux: "x86_64",
    image_goal: "bzImage",
    image: "arch/x86/boot/bzImage",
    config: include_str!("kernels/x86_64.config"),
    qemu: "qemu-system-x86_64",
    emulator: Purpose {
        what: "boot x86_64 kernels",
        packages: &["qemu-system-x86"],
        is_met: || on_path(&["qemu-system-x86_64"]),
    },
    board: "q35",
    cpu: "max",
    console: "ttyS0",
    // On a busy host, an emulated timer fails the kernel's test of it.
    parameters: "no_timer_check",
    last_of_firmware: None,
};

/// 64-bit RISC-V.
pub static RISCV64: Target = Target {
    name: "riscv64",
    arch: "riscv64",
    address_bits: 64,
    triple: "riscv64gc-unknown-linux-gnu",
    machine: elf::EM_RISCV,
    largest_page: 4096,
    size_limit: 115,
    minimal_limit: 2_500,
    rustflags: &["-Crelocation-model=static", NO_OUTLINER],
    core: None,
    debian: "riscv64",
    loader: "/lib/ld-linux-riscv64-lp64d.so.1",
    gnu: "riscv64-linux-gnu",
    compiler: Purpose {
        what: "build kernels for riscv64",
        packages: &["gcc-riscv64-linux-gnu"],
        is_met: || on_path(&["riscv64-linux-gnu-gcc"]),
    },
    linux: "riscv",
    image_goal: "Image",
    image: "arch/riscv/boot/Image",
    config: include_str!("kernels/riscv64.config"),
    qemu: "qemu-system-riscv64",
    emulator: Purpose {
        what: "boot riscv64 kernels",
        packages: &["qemu-system-misc", "opensbi"],
        is_met: || {
            let firmware = Path::new("/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin");
            on_path(&["qemu-system-riscv64"]) && firmware.exists()
        },
    },
    board: "virt",
    cpu: "rv64",
    console: "ttyS0",
    // The device tree of QEMU 7.2 has the extensions, such as floating point, in a property
    // that the kernel reads only if told to.
    parameters: "riscv_isa_fallback",
    last_of_firmware: Some("Boot HART MEDELEG"),
};

/// 32-bit arm. Thumb-2 code is smaller than ARM code.
pub static ARM: Target = Target {
    name: "arm",
    arch: "arm",
    address_bits: 32,
    triple: "thumbv7neon-unknown-linux-gnueabihf",
    machine: elf::EM_ARM,
    largest_page: 4096,
    size_limit: 115,
    minimal_limit: 1_900,
    // There are ARMv7 processors without NEON, and Debian's armhf does not require it. rustc warns
    // that the name of the feature may change.
    rustflags: &["-Crelocation-model=static", "-Ctarget-feature=-neon"],
    core: None,
    debian: "armhf",
    loader: "/lib/ld-linux-armhf.so.3",
    gnu: "arm-linux-gnueabihf",
    compiler: Purpose {
        what: "build kernels for arm",
        packages: &["gcc-arm-linux-gnueabihf"],
        is_met: || on_path(&["arm-linux-gnueabihf-gcc"]),
    },
    linux: "arm",
    image_goal: "zImage",
    image: "arch/arm/boot/zImage",
    config: include_str!("kernels/arm.config"),
    qemu: "qemu-system-arm",
    emulator: Purpose {
        what: "boot arm kernels",
        packages: &["qemu-system-arm"],
        is_met: || on_path(&["qemu-system-arm"]),
    },
    board: "virt",
    // On other 32-bit processors the kernel warns that the firmware has no Spectre workaround.
    cpu: "cortex-a7",
    console: "ttyAMA0",
    // Debian's kernel reports errors in the device tree of QEMU.
    parameters: "loglevel=3",
    last_of_firmware: None,
};

/// 32-bit x86. Code for i686 is larger, and uses registers (SSE2) that processors of small boards
/// do not have.
pub static I386: Target = Target {
    name: "i386",
    arch: "x86",
    address_bits: 32,
    triple: "i586-unknown-linux-gnu",
    machine: elf::EM_386,
    largest_page: 4096,
    // Eight registers, and two instructions for most operations on numbers of 64 bits.
    size_limit: 120,
    minimal_limit: 2_500,
    rustflags: &["-Crelocation-model=static"],
    core: None,
    debian: "i386",
    loader: "/lib/ld-linux.so.2",
    gnu: "i686-linux-gnu",
    compiler: Purpose {
        what: "build kernels for i386",
        packages: &["gcc-i686-linux-gnu"],
        is_met: || on_path(&["i686-linux-gnu-gcc"]),
    },
    linux: "i386",
    image_goal: "bzImage",
    image: "arch/x86/boot/bzImage",
    config: include_str!("kernels/i386.config"),
    qemu: "qemu-system-i386",
    emulator: Purpose {
        what: "boot i386 kernels",
        packages: &["qemu-system-x86"],
        is_met: || on_path(&["qemu-system-i386"]),
    },
    board: "q35",
    cpu: "max",
    console: "ttyS0",
    parameters: "",
    last_of_firmware: None,
};

/// All architectures, the default first.
pub static ALL: [&Target; 5] = [&AARCH64, &X86_64, &RISCV64, &ARM, &I386];

/// The architecture of builds and tests that name none.
pub static DEFAULT: &Target = &AARCH64;

/// The architecture of that name.
pub fn find(name: &str) -> Result<&'static Target> {
    let mut targets = ALL.into_iter();
    let found = targets.find(|target| target.name == name);
    found.with_context(|| format!("no target is called {name}"))
}

/// The architecture of this machine.
pub fn host() -> Result<&'static Target> {
    let mut targets = ALL.into_iter();
    let found = targets.find(|target| target.arch == std::env::consts::ARCH);
    found.context("no target is for this machine")
}

/// A command line parser that accepts the names of architectures, and `others`.
pub fn names(others: &[&'static str]) -> PossibleValuesParser {
    let names = ALL.map(|target| target.name);
    PossibleValuesParser::new(names.iter().chain(others))
}

impl Target {
    /// Name of the variable that tells Cargo the linker for the triple.
    pub fn linker_variable(&self) -> String {
        let triple = self.triple.to_uppercase().replace('-', "_");
        format!("CARGO_TARGET_{triple}_LINKER")
    }

    /// The C compiler, which is installed if it is missing.
    pub fn c_compiler(&self) -> Result<PathBuf> {
        self.compiler.ensure()?;
        Ok(format!("{}-gcc", self.gnu).into())
    }

    /// The name by which [`debian`](crate::debian) knows the package for this architecture.
    pub fn package(&self, name: &str) -> String {
        match self.name == DEFAULT.name {
            true => name.to_owned(),
            false => format!("{name}:{}", self.debian),
        }
    }

    /// Whether the Rust installation at this prefix has the core library for the triple.
    pub(crate) fn has_core(&self, sysroot: &Path) -> bool {
        let libraries = sysroot.join(format!("lib/rustlib/{}/lib", self.triple));
        std::fs::read_dir(libraries).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libcore-") && name.ends_with(".rlib")
            })
        })
    }
}
