//! The rig: real kernels in QEMU, and the program as their first process.
//!
//! A test asks for a kernel, lays an initramfs beside it, boots both and judges
//! the console. Whatever is missing on the way is fetched or built once and kept
//! in the user's cache directory. The modules, from the outside in:
//!
//! - [`qemu`] boots an image, drives its console and says how the boot ended;
//! - [`guest`] boots a shell with the program beside it, and gets files back;
//! - [`guest_agent`] starts the program inside a guest, often and in hostile surroundings;
//! - [`initramfs`] writes the archive a kernel unpacks before it starts `/init`;
//! - [`program`] builds the executable under test, and lints it;
//! - [`check`] runs its conformance suite and judges the run, [`ktap`] reads what
//!   that prints, [`junit`] writes the judgement down;
//! - [`mutants`] breaks kernels to see whether the suite notices;
//! - [`kernels`] is the list of kernels, which and why, and how each is got;
//! - [`debian`] fetches packages from every suite of Debian without touching
//!   the machine's own apt;
//! - [`fuzz`] feeds the program's pure core with bytes from nowhere;
//! - [`host`] installs the tools all of this runs, or names them;
//! - [`measure`] builds the same job in other languages and compares the cost;
//! - [`paths`], [`progress`] and [`tool`] are where files go, what is said
//!   meanwhile, and how other programs are called.
//!
//! The rig knows the program only as a file and its console as bytes.

pub mod check;
pub mod debian;
pub mod fuzz;
pub mod guest;
pub mod guest_agent;
pub mod host;
pub mod initramfs;
pub mod junit;
pub mod kernels;
pub mod ktap;
pub mod measure;
pub mod mutants;
pub mod mutation;
pub mod paths;
pub mod program;
pub mod progress;
pub mod qemu;
pub mod tool;
