//! Test rig: builds the program and kernels, boots them in QEMU, reads the console.
//!
//! A test names a kernel, writes an initramfs, boots both and checks what the
//! console shows. Whatever is missing is fetched or built once and kept in the
//! user's cache directory. Apart from [`assembler`] and the parser of options, the rig
//! knows the program as an executable file, and its console as bytes.
//!
//! | module | what it does |
//! |---|---|
//! | [`qemu`] | boots a kernel, reads and types on its console, reports how the boot ended |
//! | [`initramfs`] | writes the cpio archive that the kernel unpacks before it starts `/init` |
//! | [`guest`] | boots a shell beside the program and copies files out of the guest |
//! | [`guest_agent`] | runs the program many times in one boot, with faults and limits |
//! | [`boards`] | other boards of QEMU than those of the targets |
//! | [`workbench`] | compiles C programs for guests |
//! | [`kernels`] | the list of kernels: where each comes from, how it is built |
//! | [`debian`] | fetches Debian packages without touching the machine's own apt |
//! | [`host_packages`] | installs the host's packages, or names the command that does |
//! | [`target`] | the architectures, and what differs between them |
//! | [`python`] | Python with packages of its own |
//! | [`program`] | builds and lints the executable under test |
//! | [`shape`] | checks the ELF layout of the executable |
//! | [`dist`], [`checkout`] | makes the release folder of a checkout |
//! | [`source_package`] | makes and unpacks what `cargo package` packs |
//! | [`conformance`] | runs `check` in a kernel and compares the report with the expected one |
//! | [`report`] | reads KTAP, writes JUnit |
//! | [`lava`] | job files for LAVA, and its dispatcher without a server |
//! | [`fleet`] | LAVA jobs for many kernels, with one JUnit file and one page for all |
//! | [`assembler`] | the suite's assembler, which the build script runs, too |
//! | [`mutants`] | defects of Linux, which `check` must detect |
//! | [`mutation`] | mutants of every line of the kernel's naming path, in one kernel |
//! | [`fuzz`] | coverage-guided fuzzing of the pure core |
//! | [`recordings`] | renews the maps files that the host tests parse |
//! | [`picture`] | the picture of the stages as an SVG |
//! | [`measure`] | size, memory, time and system calls of the program and its peers |
//! | [`paths`], [`progress`], [`tool`] | file locations, progress messages, calls of other programs |

#[path = "../../src/suite/assembler.rs"]
pub mod assembler;
pub mod boards;
pub mod checkout;
pub mod conformance;
pub mod debian;
pub mod dist;
pub mod fleet;
pub mod fuzz;
pub mod guest;
pub mod guest_agent;
pub mod host_packages;
pub mod initramfs;
pub mod kernels;
pub mod lava;
pub mod measure;
pub mod mutants;
pub mod mutation;
pub mod paths;
pub mod picture;
pub mod program;
pub mod progress;
pub mod python;
pub mod qemu;
pub mod recordings;
pub mod report;
pub mod shape;
pub mod source_package;
pub mod target;
pub mod tool;
pub mod workbench;
