//! Recipes of image builders and distributions.
//!
//! `builds` tests the program as built with the flags and linkers of these builders. These trials
//! test the recipes themselves.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use debversion::Version;
use libtest_mimic::Trial;
use md5::{Digest, Md5};
use regex::Regex;
use rig::program::{self, PACKAGE};
use rig::target::AARCH64;
use rig::{host_packages, paths, python, source_package, tool};

use crate::workshop::{self, Workshop};
use crate::{trial, works};

const PACKAGING: &str = "tests/packaging";
const BUILDROOT_RECIPE: &str = "buildroot/package/vm-anon-name/vm-anon-name.mk";
const YOCTO_RECIPE: &str = "yocto/vm-anon-name_0.2.0.bb";
const ALPINE_RECIPE: &str = "alpine/APKBUILD";

/// The linter of OpenEmbedded's layers.
const OELINT: &str = "oelint-adv==9.11.2\n";

/// Rules that do not hold for the recipe: the project has no home page, and bitbake makes the
/// file with the crates.
const NOT_FOR_US: [&str; 2] = [
    "oelint.var.mandatoryvar.HOMEPAGE",
    "oelint.file.requirenotfound",
];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("recipes::have a version of the program", versions),
        trial("recipes::Buildroot: a small program", buildroot_settings),
        trial("recipes::Buildroot: make", buildroot_make).with_ignored_flag(true),
        trial("recipes::Yocto: oelint-adv", yocto_lint),
        trial("recipes::Yocto: licence", yocto_licence),
        trial("recipes::Alpine: builds and installs", alpine),
    ]
}

fn packaging(path: &str) -> PathBuf {
    paths::workspace().join(PACKAGING).join(path)
}

fn read(path: &str) -> Result<String> {
    let path = packaging(path);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The part of `text` that the group of the pattern matches.
fn group(text: &str, pattern: &str) -> Result<String> {
    let found = Regex::new(pattern)?.captures(text);
    let found = found.with_context(|| format!("no {pattern} in\n{text}"))?;
    Ok(found[1].to_owned())
}

/// All recipes are for one version, this or the next.
fn versions() -> Result<()> {
    let current: Version = env!("CARGO_PKG_VERSION").parse()?;
    let recipes = [
        group(
            &read(BUILDROOT_RECIPE)?,
            r"(?m)^VM_ANON_NAME_VERSION = (\S+)$",
        )?,
        group(YOCTO_RECIPE, r"_(\S+)\.bb$")?,
        group(&read(ALPINE_RECIPE)?, r"(?m)^pkgver=(\S+)$")?,
    ];
    ensure!(recipes.iter().all(|it| *it == recipes[0]), "{recipes:?}");
    let version: Version = recipes[0].parse()?;
    ensure!(version >= current, "the recipes are for {version}");
    Ok(())
}

/// What Buildroot sets for the build of a Rust package with its default optimisation.
const BUILDROOT: [(&str, &str); 9] = [
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
    ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "false"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
    ("CARGO_PROFILE_RELEASE_LTO", "false"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "2"),
    ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "false"),
    ("CARGO_PROFILE_RELEASE_SPLIT_DEBUGINFO", "off"),
    ("GIT_DIR", "."),
];

/// Buildroot's commands with the variables of the recipe make a smaller program than without,
/// and it works.
fn buildroot_settings() -> Result<()> {
    let workshop = workshop::open()?;
    let settings = recipe_environment()?;
    let with = build_as_buildroot(workshop, "buildroot-with", &settings)?;
    let without = build_as_buildroot(workshop, "buildroot-without", &[])?;
    let (small, large) = (with.metadata()?.len(), without.metadata()?.len());
    eprintln!("Buildroot: {small} bytes, {large} without the settings of the recipe");
    ensure!(small < large, "{small} bytes, {large} without");
    passes("recipes-buildroot", with)
}

/// The value of `VM_ANON_NAME_CARGO_ENV`, which make computes as it does in Buildroot.
fn recipe_environment() -> Result<Vec<(String, String)>> {
    let makefile = "cargo-package =\ninclude $(BR2_EXTERNAL_VM_ANON_NAME_PATH)/external.mk\n\
                    print: ; @echo $(VM_ANON_NAME_CARGO_ENV)\n";
    let path = paths::scratch("recipes")?.join("Makefile");
    paths::write(&path, makefile)?;
    let mut make = Command::new("make");
    make.args(["--silent", "--file"]).arg(&path).arg("print");
    let tree = packaging("buildroot");
    make.arg(format!("BR2_EXTERNAL_VM_ANON_NAME_PATH={}", tree.display()));
    let text = tool::output(&mut make)?;
    let pairs = text.split_whitespace().map(|word| {
        let (name, value) = word.split_once('=').with_context(|| word.to_owned())?;
        Ok((name.to_owned(), value.to_owned()))
    });
    let pairs = pairs.collect::<Result<Vec<_>>>()?;
    ensure!(!pairs.is_empty(), "the recipe sets nothing");
    Ok(pairs)
}

/// Runs `cargo build` and `cargo install` as Buildroot does; returns the installed file.
fn build_as_buildroot(
    workshop: &Workshop,
    name: &str,
    settings: &[(String, String)],
) -> Result<PathBuf> {
    host_packages::CROSS_LIBC.ensure()?;
    let root = workshop.scratch(name)?;
    for subcommand in ["build", "install"] {
        let mut cargo = workshop.cargo(subcommand)?;
        cargo
            .envs(BUILDROOT)
            .env("CARGO_BUILD_TARGET", AARCH64.triple);
        cargo.env(AARCH64.linker_variable(), "aarch64-linux-gnu-gcc");
        cargo.env("CARGO_TARGET_DIR", root.join("build"));
        cargo.envs(settings.iter().map(|(name, value)| (name, value)));
        match subcommand {
            "build" => cargo.args(["--release", "--manifest-path", "Cargo.toml"]),
            _ => cargo
                .args(["--bins", "--path", "./", "--no-track", "--force", "--root"])
                .arg(&root),
        };
        tool::output(&mut cargo)?;
    }
    Ok(root.join("bin").join(PACKAGE))
}

/// The program passes `probe` and `check` in a guest.
fn passes(name: &str, program: PathBuf) -> Result<()> {
    works::expect(&AARCH64, name, &[(PACKAGE.to_owned(), program)])
}

/// Settings that make Buildroot use this machine's cross toolchain.
const DEFCONFIG: &str = "BR2_aarch64=y
BR2_TOOLCHAIN_EXTERNAL=y
BR2_TOOLCHAIN_EXTERNAL_CUSTOM=y
BR2_TOOLCHAIN_EXTERNAL_CUSTOM_PREFIX=\"aarch64-linux-gnu\"
BR2_TOOLCHAIN_EXTERNAL_PATH=\"/usr\"
BR2_TOOLCHAIN_EXTERNAL_GCC_12=y
BR2_TOOLCHAIN_EXTERNAL_HEADERS_6_1=y
BR2_TOOLCHAIN_EXTERNAL_CUSTOM_GLIBC=y
BR2_INIT_NONE=y
BR2_PACKAGE_VM_ANON_NAME=y
";

/// Replaces install.sh of Rust's archive: makes links to this machine's Cargo and rustc.
const RUST_INSTALLER: &str = "#!/bin/sh
for option; do case $option in --prefix=*) prefix=${option#--prefix=} ;; esac; done
mkdir -p \"$prefix/bin\"
ln -sf \"$CARGO\" \"$prefix/bin/cargo\"
ln -sf \"$RUSTC\" \"$prefix/bin/rustc\"
";

/// Buildroot itself, in the directory that the variable BUILDROOT names, builds the package, and
/// the program works. Rust, tar and the toolchain are this machine's; Buildroot would download or
/// build them. Buildroot needs rsync and cpio. Cargo downloads the crates.
fn buildroot_make() -> Result<()> {
    let Some(buildroot) = env::var_os("BUILDROOT") else {
        bail!("the variable BUILDROOT must name the directory of a Buildroot source tree");
    };
    let work = tempfile::tempdir().context("cannot create a directory")?;
    let [tree, output] = ["tree", "output"].map(|name| work.path().join(name));
    let mut copy = Command::new("cp");
    tool::output(
        copy.arg("--recursive")
            .args([&packaging("buildroot"), &tree]),
    )?;
    let version = env!("CARGO_PKG_VERSION");
    let package = tree.join(format!(
        "package/vm-anon-name/vm_anon_name-{version}.tar.gz"
    ));
    fs::copy(source_package::make()?, package)?;
    let configuration = work.path().join("defconfig");
    let overrides = rust_override(Path::new(&buildroot), work.path())?;
    let setting = format!("BR2_PACKAGE_OVERRIDE_FILE=\"{}\"\n", overrides.display());
    paths::write(&configuration, format!("{DEFCONFIG}{setting}"))?;
    let make = |goal: &str| {
        let mut make = Command::new("make");
        make.arg("-C").arg(&buildroot).arg(goal);
        make.arg(format!("O={}", output.display()));
        make.arg(format!("BR2_EXTERNAL={}", tree.display()));
        make.arg(format!("BR2_DEFCONFIG={}", configuration.display()));
        make.arg(format!("VM_ANON_NAME_VERSION={version}"));
        make.args([
            "VM_ANON_NAME_ADD_TOOLCHAIN_DEPENDENCY=NO",
            "BR2_TAR_HOST_DEPENDENCY=",
        ]);
        make.arg("TAR=/usr/bin/tar");
        let cargo = program::cross_cargo(&AARCH64, "build")?;
        make.env("CARGO", which::which("cargo")?);
        make.envs(
            cargo
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        tool::output(&mut make)
    };
    make("defconfig")?;
    make("vm-anon-name")?;
    passes(
        "recipes-buildroot-make",
        output.join("target/usr/bin/vm_anon_name"),
    )
}

/// Writes a file for `BR2_PACKAGE_OVERRIDE_FILE` that replaces Rust's archives.
fn rust_override(buildroot: &Path, directory: &Path) -> Result<PathBuf> {
    let recipe = fs::read_to_string(buildroot.join("package/rust-bin/rust-bin.mk"))?;
    let version = group(&recipe, r"(?m)^RUST_BIN_VERSION = (\S+)$")?;
    let rust = directory.join("rust");
    let library = rust.join(format!("std/rust-std-{version}-{}", AARCH64.triple));
    paths::directory(library.clone())?;
    paths::write_executable(&rust.join("install.sh"), RUST_INSTALLER)?;
    paths::write_executable(&library.join("install.sh"), "#!/bin/sh\n")?;
    let file = directory.join("local.mk");
    paths::write(
        &file,
        format!("HOST_RUST_BIN_OVERRIDE_SRCDIR = {}\n", rust.display()),
    )?;
    Ok(file)
}

fn yocto_lint() -> Result<()> {
    let python = python::with_packages("oelint-adv", OELINT)?;
    let mut lint = Command::new(&python);
    lint.args(["-m", "oelint_adv", "--quiet", "--hide", "info"]);
    for rule in NOT_FOR_US {
        lint.args(["--suppress", rule]);
    }
    tool::output(lint.arg(packaging(YOCTO_RECIPE))).map(drop)
}

/// bitbake compares the checksum of the licence file with the one in the recipe.
fn yocto_licence() -> Result<()> {
    let expected = group(&read(YOCTO_RECIPE)?, "file://LICENSE;md5=([0-9a-f]+)")?;
    let licence = fs::read(paths::workspace().join("LICENSE"))?;
    let sum = Md5::digest(licence);
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(
        sum == expected,
        "the licence has {sum}, the recipe {expected}"
    );
    Ok(())
}

/// The functions of the recipe, called in the order of abuild, make a program that works.
fn alpine() -> Result<()> {
    host_packages::CROSS_LIBC.ensure()?;
    let workshop = workshop::open()?;
    let root = workshop.scratch("alpine")?;
    let script = "srcdir=$1; pkgdir=$2; . $3
        default_prepare() { :; }
        cd \"$4\"; prepare; build; package";
    let cargo = workshop.cargo("build")?;
    let mut shell = Command::new("sh");
    shell
        .args(["-ec", script, "abuild"])
        .arg(&workshop.source)
        .arg(&root);
    shell.arg(packaging(ALPINE_RECIPE)).arg(&workshop.source);
    for (name, value) in cargo.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
        .env("CARGO_BUILD_TARGET", AARCH64.triple)
        .env("CARGO_NET_OFFLINE", "true")
        .env(AARCH64.linker_variable(), "aarch64-linux-gnu-gcc");
    shell.env("CARGO_TARGET_DIR", root.join("build"));
    tool::output(&mut shell)?;
    passes("recipes-alpine", root.join("usr/bin").join(PACKAGE))
}
