//! The program as it is built elsewhere: with other linkers, wrappers, flags and profiles.
//!
//! All are built from the source package, outside the repository. Each has the same ELF layout. One
//! boot runs `probe` and `check` of each; both must pass.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use libtest_mimic::Trial;
use rig::program::{self, Build, PACKAGE};
use rig::target::AARCH64;
use rig::{host_packages, shape, tool};

use crate::workshop::{self, Workshop};
use crate::{trial, works};

const GCC: &str = "aarch64-linux-gnu-gcc";

/// A way to build the program.
struct Variant {
    name: &'static str,
    linker: Linker,
    /// Settings of the release profile, as in `CARGO_PROFILE_RELEASE_OPT_LEVEL`.
    profile: &'static [(&'static str, &'static str)],
    built: OnceLock<Result<PathBuf, String>>,
}

#[derive(Clone, Copy)]
enum Linker {
    Gcc,
    GnuLd,
    RustLld,
    /// Yocto's wrapper of the compiler driver, which adds the distribution's flags.
    YoctoWrapper,
}

/// The settings that Buildroot forces on the release profile. Its configuration chooses the
/// optimisation level, link-time optimisation and debug information.
macro_rules! buildroot {
    ($level:literal, $lto:literal, $debug:literal) => {
        &[
            ("OPT_LEVEL", $level),
            ("LTO", $lto),
            ("DEBUG", $debug),
            ("CODEGEN_UNITS", "16"),
            ("DEBUG_ASSERTIONS", "false"),
            ("OVERFLOW_CHECKS", "false"),
        ]
    };
}

/// Flags of Yocto's linker and compiler, which its wrapper puts before those of rustc.
const YOCTO_FLAGS: &str = "-mbranch-protection=standard -fstack-protector-strong -O2 \
    -D_FORTIFY_SOURCE=2 -Wformat -Wformat-security -Werror=format-security -pie \
    -Wl,-O1 -Wl,--hash-style=gnu -Wl,--as-needed -Wl,--build-id=sha1 -Wl,-z,relro,-z,now";

static VARIANTS: [Variant; 10] = [
    Variant::new("gcc", Linker::Gcc, &[]),
    Variant::new("rust-lld", Linker::RustLld, &[]),
    Variant::new("GNU ld", Linker::GnuLd, &[]),
    Variant::new("Buildroot -O0", Linker::Gcc, buildroot!("0", "false", "0")),
    Variant::new("Buildroot -O2", Linker::Gcc, buildroot!("2", "false", "0")),
    Variant::new(
        "Buildroot -O3, LTO",
        Linker::Gcc,
        buildroot!("3", "true", "0"),
    ),
    Variant::new(
        "Buildroot -O2, debug",
        Linker::Gcc,
        buildroot!("2", "false", "2"),
    ),
    Variant::new(
        "rust-lld, Buildroot -O2",
        Linker::RustLld,
        buildroot!("2", "false", "0"),
    ),
    Variant::new(
        "gcc, all checks",
        Linker::Gcc,
        &[
            ("OPT_LEVEL", "1"),
            ("LTO", "thin"),
            ("DEBUG_ASSERTIONS", "true"),
            ("OVERFLOW_CHECKS", "true"),
        ],
    ),
    Variant::new(
        "Yocto",
        Linker::YoctoWrapper,
        &[("DEBUG", "2"), ("STRIP", "none")],
    ),
];

pub(crate) fn trials() -> Vec<Trial> {
    let builds = VARIANTS.iter().map(|variant| {
        let name = format!("builds::{} has the shape of the program", variant.name);
        trial(name, || {
            shape::expect(&AARCH64, &variant.build()?, Build::Full)
        })
    });
    let boot = trial("builds::all pass probe and check", all_pass);
    builds.chain([boot]).collect()
}

impl Variant {
    const fn new(
        name: &'static str,
        linker: Linker,
        profile: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self {
            name,
            linker,
            profile,
            built: OnceLock::new(),
        }
    }

    /// Name of the executable in the guest.
    fn file(&self) -> String {
        self.name.replace([' ', ','], "_")
    }

    /// Builds the variant on the first call; returns the path of the executable.
    fn build(&self) -> Result<PathBuf> {
        let built = self.built.get_or_init(|| {
            let built = workshop::open().and_then(|workshop| self.build_in(workshop));
            built.map_err(|error| format!("{error:#}"))
        });
        built.clone().map_err(|error| anyhow!(error))
    }

    fn build_in(&self, workshop: &Workshop) -> Result<PathBuf> {
        host_packages::CROSS_LIBC.ensure()?;
        let target_directory = workshop.scratch(&self.file())?;
        let mut cargo = workshop.cargo("build")?;
        cargo.args(["--release", "--target", AARCH64.triple, "--target-dir"]);
        cargo.arg(&target_directory);
        cargo.env(AARCH64.linker_variable(), self.linker.path(workshop)?);
        for (setting, value) in self.profile {
            cargo.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
        }
        tool::output(&mut cargo)?;
        Ok(target_directory
            .join(AARCH64.triple)
            .join("release")
            .join(PACKAGE))
    }
}

impl Linker {
    fn path(self, workshop: &Workshop) -> Result<PathBuf> {
        match self {
            Linker::Gcc => Ok(GCC.into()),
            Linker::GnuLd => Ok("aarch64-linux-gnu-ld".into()),
            Linker::RustLld => program::linker(),
            Linker::YoctoWrapper => {
                let text = format!("#!/bin/sh\nexec {GCC} {YOCTO_FLAGS} \"$@\"\n");
                workshop.script("target-rust-ccld", &text)
            }
        }
    }
}

/// Each variant passes `probe` and `check`.
fn all_pass() -> Result<()> {
    let built = VARIANTS.iter().map(|variant| {
        let path = variant.build().with_context(|| variant.name)?;
        Ok((variant.file(), path))
    });
    let built = built.collect::<Result<Vec<_>>>()?;
    works::expect(&AARCH64, "delivery-builds", &built)
}
