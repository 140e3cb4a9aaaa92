//! The source package: what `cargo package` makes of the program, for image builders.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use flate2::read::GzDecoder;

use crate::checkout::Checkout;
use crate::program::PACKAGE;
use crate::tool;

/// Makes `vm_anon_name-VERSION.crate` of the rig's own checkout, once per process; returns its
/// path.
pub fn make() -> Result<PathBuf> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let made = Checkout::own("source-package").and_then(|checkout| make_of(&checkout));
        made.map_err(|error| format!("{error:#}"))
    });
    made.clone().map_err(|error| anyhow!(error))
}

/// Makes the package of a checkout, with its uncommitted changes.
pub fn make_of(checkout: &Checkout) -> Result<PathBuf> {
    let mut cargo = checkout.cargo("package");
    cargo.args([
        "--package",
        PACKAGE,
        "--no-verify",
        "--allow-dirty",
        "--quiet",
    ]);
    tool::output(&mut cargo)?;
    let name = format!("{PACKAGE}-{}.crate", env!("CARGO_PKG_VERSION"));
    Ok(checkout.target.join("package").join(name))
}

/// Unpacks the package into an existing directory; returns the one with its Cargo.toml.
pub fn unpack(package: &Path, directory: &Path) -> Result<PathBuf> {
    let file = File::open(package).with_context(|| format!("cannot read {}", package.display()))?;
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    // All files of a package have one old time. Cargo would not see that they changed.
    archive.set_preserve_mtime(false);
    archive
        .unpack(directory)
        .with_context(|| format!("cannot unpack {}", package.display()))?;
    Ok(directory.join(package.file_stem().context("the package has a name")?))
}
