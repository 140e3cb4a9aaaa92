//! Locations of the rig's files, and atomic writes.
//!
//! Files that are expensive and the same for every checkout (packages, kernels) are in the
//! user's cache directory; files of one checkout (initramfs, logs) are in its target
//! directory. Both may be deleted while the rig does not run.

use std::env;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use directories::ProjectDirs;

/// Age at which the lists of the archive are fetched again.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// Root of the checkout and of the Cargo workspace.
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

/// A directory in the target directory, created if missing.
pub fn scratch(name: &str) -> Result<PathBuf> {
    directory(target().join("rig").join(name))
}

/// A directory in the user's cache, created if missing.
pub fn cache(name: &str) -> Result<PathBuf> {
    let project = ProjectDirs::from("", "", "vm_anon_name")
        .context("this user has no home directory for a cache")?;
    directory(project.cache_dir().join(name))
}

/// Creates a directory with its parents.
pub fn directory(path: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

/// Creates an empty directory. An existing one, left by an interrupted run, is removed.
pub fn emptied(path: PathBuf) -> Result<PathBuf> {
    if path.exists() {
        remove(&path)?;
    }
    directory(path)
}

/// Removes a directory and its content.
pub fn remove(path: &Path) -> Result<()> {
    fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))
}

/// Renames a file or directory; see rename(2).
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to)
        .with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
}

/// Takes the lock of that name in the cache, until the file is dropped. Processes that
/// need the same kernel build it once.
pub fn lock(name: &str) -> Result<File> {
    let path = cache("locks")?.join(name);
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    file.lock()
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Whether the file was written within the last day.
pub fn is_fresh(path: &Path) -> bool {
    let written = fs::metadata(path).and_then(|metadata| metadata.modified());
    // If the clock was set back, the time may be in the future: not fresh.
    written.is_ok_and(|time| {
        SystemTime::now()
            .duration_since(time)
            .is_ok_and(|age| age < FRESH)
    })
}

/// Writes the file atomically: readers see the old content or the new.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    write_with_mode(path, 0o644, content)
}

/// The same for a file that can be executed.
pub fn write_executable(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    write_with_mode(path, 0o755, content)
}

fn write_with_mode(path: &Path, mode: u32, content: impl AsRef<[u8]>) -> Result<()> {
    let attempt = || -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(parent)?;
        file.write_all(content.as_ref())?;
        file.persist(path)?;
        Ok(())
    };
    attempt().with_context(|| format!("cannot write {}", path.display()))
}
