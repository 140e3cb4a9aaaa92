//! Where the rig keeps its files.
//!
//! What is expensive and the same for every checkout (packages, kernels) lies in
//! the user's cache directory; what belongs to one checkout (initramfs, console
//! logs) lies under its `target`. Everything here may be deleted at any time.

use std::env;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use directories::ProjectDirs;

/// How long an answer of the archive is believed before it is asked again.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// The root of the checkout, which is the root of the Cargo workspace.
pub fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => workspace().join(directory),
        None => workspace().join("target"),
    }
}

/// A directory for what the rig makes in this checkout, created if missing.
pub fn scratch(name: &str) -> Result<PathBuf> {
    directory(target().join("rig").join(name))
}

/// A directory of the user's cache, created if missing.
pub fn cache(name: &str) -> Result<PathBuf> {
    let project = ProjectDirs::from("", "", "vm_anon_name")
        .context("this user has no home directory to keep a cache in")?;
    directory(project.cache_dir().join(name))
}

/// Creates a directory with its parents.
pub fn directory(path: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

/// Creates a directory and removes what an interrupted run left in it.
pub fn emptied(path: PathBuf) -> Result<PathBuf> {
    if path.exists() {
        remove(&path)?;
    }
    directory(path)
}

/// Removes a directory with all it holds.
pub fn remove(path: &Path) -> Result<()> {
    fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))
}

/// Renames a file or directory: the way something finished gets into place.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to)
        .with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
}

/// Takes the lock of that name in the cache; dropping the file gives it back.
///
/// Two runs at once would otherwise build the same kernel twice.
pub fn lock(name: &str) -> Result<File> {
    let path = cache("locks")?.join(name);
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    file.lock()
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Whether the file exists and was written within the last day.
pub fn is_fresh(path: &Path) -> bool {
    let written = fs::metadata(path).and_then(|metadata| metadata.modified());
    // A time in the future has no age; then the clock was set back, and the
    // answer is not trusted.
    written.is_ok_and(|time| {
        SystemTime::now()
            .duration_since(time)
            .is_ok_and(|age| age < FRESH)
    })
}

/// Writes the file in one step: a reader sees the old content or the new.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let attempt = || -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(parent)?;
        file.write_all(content.as_ref())?;
        file.persist(path)?;
        Ok(())
    };
    attempt().with_context(|| format!("cannot write {}", path.display()))
}
