//! The program as it is built elsewhere: with other linkers, wrappers, flags and profiles.
//!
//! All are built from the source package, outside the repository. Each has the same ELF layout. One
//! boot runs `probe` and `check` of each; both must pass.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use libtest_mimic::Trial;
use rig::guest::{self, Kept};
use rig::program::{self, Build, PACKAGE};
use rig::report::KtapReport;
use rig::target::AARCH64;
use rig::{debian, host_packages, kernels, shape, tool};

use crate::trial;
use crate::workshop::{self, Workshop};

const GCC: &str = "aarch64-linux-gnu-gcc";

/// A way to build the program.
struct Variant {
    name: &'static str,
    linker: Linker,
    /// Settings of the release profile, as in `CARGO_PROFILE_RELEASE_OPT_LEVEL`.
    profile: &'static [(&'static str, &'static str)],
    /// Whether to link the start files of musl, as rustc does for a musl target.
    has_start_files: bool,
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

static VARIANTS: [Variant; 12] = [
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
    Variant::new("gcc, start files", Linker::Gcc, &[]).with_start_files(),
    Variant::new("rust-lld, start files", Linker::RustLld, &[]).with_start_files(),
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
            has_start_files: false,
            built: OnceLock::new(),
        }
    }

    const fn with_start_files(mut self) -> Self {
        self.has_start_files = true;
        self
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
        if self.has_start_files {
            cargo.env("RUSTFLAGS", link_start_files()?);
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

/// The flags that make rustc link the start files that it links for a musl target.
fn link_start_files() -> Result<String> {
    let musl = debian::unpack("musl-dev")?.join("usr/lib/aarch64-linux-musl");
    let of_gcc = |file: &str| -> Result<PathBuf> {
        let mut gcc = Command::new(GCC);
        let path = tool::output(gcc.arg(format!("-print-file-name={file}")))?;
        Ok(path.trim_end().into())
    };
    let files = [
        musl.join("crt1.o"),
        musl.join("crti.o"),
        of_gcc("crtbegin.o")?,
        of_gcc("crtend.o")?,
        musl.join("crtn.o"),
    ];
    let flags = files.map(|file| format!("-Clink-arg={}", file.display()));
    // For a musl target rustc also links a static PIE.
    Ok(format!("-Ctarget-feature=+crt-static {}", flags.join(" ")))
}

/// Boots one guest, and runs `probe` and `check` of each variant in it.
fn all_pass() -> Result<()> {
    let mut script = String::from("cd /variants\n");
    for variant in &VARIANTS {
        let file = variant.file();
        script.push_str(&format!(
            "./{file} probe > /tmp/probe; echo $? >> /tmp/probe; keep {file}.probe /tmp/probe\n\
             ./{file} check > /tmp/check; echo $? > /tmp/status\n\
             keep {file}.check /tmp/check; keep {file}.status /tmp/status\n"
        ));
    }
    let mut initramfs = guest::initramfs(&script)?.directory("/variants", 0o755);
    for variant in &VARIANTS {
        let path = variant.build().with_context(|| variant.name)?;
        let program = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        initramfs = initramfs.file(&format!("/variants/{}", variant.file()), 0o755, program);
    }
    let kernel = kernels::find(kernels::DEFAULT)?;
    let mut machine = kernel.machine(&initramfs.write("delivery-builds")?)?;
    machine.name = "delivery-builds".to_owned();
    let boot = machine.run(Duration::from_secs(300))?;
    boot.expect_power_off()?;
    let kept = Kept::of(boot.text())?;
    for variant in &VARIANTS {
        judge(&kept, &variant.file()).with_context(|| variant.name)?;
    }
    Ok(())
}

fn judge(kept: &Kept, file: &str) -> Result<()> {
    let probe = kept.text(&format!("{file}.probe"))?;
    ensure!(
        probe.starts_with("supported: Linux ") && probe.ends_with("\n0\n"),
        "{probe}"
    );
    let report = KtapReport::read(kept.text(&format!("{file}.check"))?)?;
    let failed: Vec<_> = report.failed().collect();
    ensure!(failed.is_empty(), "{failed:#?}");
    ensure!(
        report.passed() > report.cases.len() / 2,
        "only {} cases passed",
        report.passed()
    );
    let status = kept.text(&format!("{file}.status"))?;
    ensure!(status == "0\n", "exit status {status}");
    Ok(())
}
