//! Clones of the checkout, with the changes that are not committed.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use rig::checkout::git;
use rig::{paths, tool};

/// The commit at HEAD or, if there are uncommitted changes, a new commit with them that is on no
/// branch.
pub(crate) fn revision() -> Result<String> {
    let changes = git(paths::workspace(), &["stash", "create"])?;
    match changes.is_empty() {
        true => git(paths::workspace(), &["rev-parse", "HEAD"]),
        false => Ok(changes),
    }
}

/// Creates the clone, or updates it, to `revision`. An update writes only the files that differ,
/// so that Cargo recompiles only these.
pub(crate) fn update(clone: &Path, revision: &str) -> Result<()> {
    if !clone.exists() {
        tool::output(Command::new("git").args(["init", "--quiet"]).arg(clone))?;
    }
    let mut fetch = Command::new("git");
    fetch
        .arg("-C")
        .arg(clone)
        .args(["fetch", "--quiet", "--depth=1"]);
    // Git serves only commits of branches, unless it is told otherwise.
    fetch.arg("--upload-pack=git -c uploadpack.allowAnySHA1InWant=true upload-pack");
    tool::output(fetch.arg(paths::workspace()).arg(revision))?;
    git(
        clone,
        &["checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"],
    )
    .map(drop)
}
