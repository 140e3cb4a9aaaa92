//! The crates that the program is linked with.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use regex::Regex;

use crate::checkout::Checkout;
use crate::program;
use crate::tool;

/// A crate.
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) version: String,
    /// The SPDX expression of its manifest.
    pub(super) license: String,
    /// SHA-256 sum of the package in the registry.
    pub(super) checksum: String,
    /// Name and version of the crates that it uses.
    pub(super) uses: Vec<(String, String)>,
    /// Directory of its sources.
    pub(super) directory: PathBuf,
}

/// The program's version, and all crates that it is linked with, in the order of their names.
pub(super) fn of(checkout: &Checkout) -> Result<(String, Vec<Dependency>)> {
    let mut cargo = checkout.cargo("metadata");
    cargo.args(["--format-version", "1", "--locked"]);
    // Offline, Cargo has only those of the rig's crates that the host needs.
    cargo.args(["--filter-platform", &program::host()?]);
    let metadata = MetadataCommand::parse(tool::output(&mut cargo)?)?;
    let packages = metadata.workspace_packages();
    let root = packages
        .iter()
        .find(|package| package.name == program::PACKAGE);
    let root = root.context("the workspace has no such package")?;
    let lock = fs::read_to_string(checkout.source.join("Cargo.lock"))?;

    let mut found = BTreeSet::new();
    let mut next = used_by(&metadata, &root.id)?;
    while let Some(id) = next.pop() {
        if found.insert(id.clone()) {
            next.extend(used_by(&metadata, &id)?);
        }
    }
    let dependencies = found.iter().map(|id| Dependency::of(&metadata, id, &lock));
    let mut dependencies: Vec<Dependency> = dependencies.collect::<Result<_>>()?;
    dependencies.sort_by(|one, other| one.name.cmp(&other.name));
    Ok((root.version.to_string(), dependencies))
}

/// The crates that a crate is linked with: its normal dependencies.
fn used_by(metadata: &Metadata, id: &PackageId) -> Result<Vec<PackageId>> {
    let resolve = metadata.resolve.as_ref().context("no resolved crates")?;
    let node = resolve.nodes.iter().find(|node| node.id == *id);
    let uses = node.context("a crate that is not resolved")?.deps.iter();
    let linked = uses.filter(|used| {
        let mut kinds = used.dep_kinds.iter();
        kinds.any(|info| info.kind == DependencyKind::Normal)
    });
    Ok(linked.map(|used| used.pkg.clone()).collect())
}

impl Dependency {
    fn of(metadata: &Metadata, id: &PackageId, lock: &str) -> Result<Self> {
        let package = &metadata[id];
        let (name, version) = (package.name.to_string(), package.version.to_string());
        let uses = used_by(metadata, id)?;
        let mut uses: Vec<_> = uses
            .iter()
            .map(|id| &metadata[id])
            .map(|used| (used.name.to_string(), used.version.to_string()))
            .collect();
        uses.sort();
        let directory = package.manifest_path.parent();
        Ok(Self {
            checksum: checksum(lock, &name, &version)?,
            license: package
                .license
                .clone()
                .with_context(|| format!("{name} names no licence"))?,
            directory: directory.context("a manifest has a directory")?.into(),
            name,
            version,
            uses,
        })
    }

    /// The licence under which the crate is used, and its text.
    pub(super) fn terms(&self) -> Result<(&'static str, String)> {
        let offered: Vec<&str> = self.license.split([' ', '/', '(', ')']).collect();
        for (license, file) in [("MIT", "LICENSE-MIT"), ("BSD-2-Clause", "LICENSE")] {
            if offered.contains(&license) {
                return Ok((license, read(&self.directory.join(file))?));
            }
        }
        bail!(
            "{} is under {}, which is not in the list",
            self.name,
            self.license
        )
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The checksum of a package in Cargo.lock.
fn checksum(lock: &str, name: &str, version: &str) -> Result<String> {
    let (name, version) = (regex::escape(name), regex::escape(version));
    let entry = format!(
        "name = \"{name}\"\nversion = \"{version}\"\nsource = .*\nchecksum = \"([0-9a-f]{{64}})\""
    );
    let found = Regex::new(&entry)?.captures(lock);
    let found = found.with_context(|| format!("Cargo.lock has no checksum of {name}"))?;
    Ok(found[1].to_owned())
}
