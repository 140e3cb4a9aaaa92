//! Python programs with packages of their own, apart from those of the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use sha2::{Digest, Sha256};

use crate::host_packages;
use crate::paths;
use crate::progress::Progress;
use crate::tool;

/// The Python interpreter of a virtual environment in the cache with these requirements: one per
/// line, with a pinned version. `name` is for messages and the directory.
pub fn with_packages(name: &str, requirements: &str) -> Result<PathBuf> {
    host_packages::PYTHON.ensure()?;
    let hash = Sha256::digest(requirements);
    let hash: String = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    let directory = paths::cache("python")?.join(format!("{name}-{hash}"));
    let _lock = paths::lock(&format!("python-{name}"))?;
    if !directory.exists() {
        let progress = Progress::start(format!("installing the Python packages of {name}"));
        let partial = paths::emptied(directory.with_added_extension("partial"))?;
        fill(&partial, requirements)?;
        paths::rename(&partial, &directory)?;
        progress.done();
    }
    // Scripts such as bin/pip contain the environment's path before the rename, so they are not
    // used. The interpreter finds the environment by the interpreter's own path.
    Ok(directory.join("bin/python"))
}

fn fill(directory: &Path, requirements: &str) -> Result<()> {
    let mut create = Command::new("python3");
    tool::output(create.args(["-m", "venv"]).arg(directory))?;
    let list = directory.join("requirements.txt");
    paths::write(&list, requirements)?;
    let mut install = Command::new(directory.join("bin/python"));
    install.args(["-m", "pip", "--disable-pip-version-check", "install"]);
    tool::output(install.arg("--requirement").arg(&list)).map(drop)
}
