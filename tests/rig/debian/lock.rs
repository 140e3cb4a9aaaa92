//! Pinned versions of Debian packages: `tests/debian.lock`.
//!
//! A line is `PATTERN NAME VERSION`. The pattern is the regular expression that the
//! rig asks for, which for most packages is the name itself. A colon and an architecture
//! follow it if that is not arm64.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Archive, Package, newest, split};
use crate::paths;

const HEAD: &str = "\
# Debian packages that the rig fetches: pattern, name, version.
# Written by `cargo xtask kernels --update`.
";

/// The pinned version of the package that matches the pattern.
pub fn pinned(pattern: &str) -> Result<Option<Package>> {
    let path = file();
    let text = fs::read_to_string(&path).unwrap_or_default();
    find(&text, pattern).with_context(|| format!("{} has an invalid line", path.display()))
}

/// Pins the newest served versions of the packages, and returns them.
pub fn update_pins(patterns: &[String]) -> Result<Vec<Package>> {
    let architectures = patterns.iter().map(|pattern| split(pattern).1);
    for architecture in architectures.collect::<BTreeSet<_>>() {
        Archive::open(architecture)?.refresh()?;
    }
    let mut text = HEAD.to_owned();
    let mut packages = Vec::new();
    for pattern in patterns {
        let package = newest(pattern)?;
        text.push_str(&format!("{pattern} {package}\n"));
        packages.push(package);
    }
    paths::write(&file(), text)?;
    Ok(packages)
}

fn file() -> PathBuf {
    paths::workspace().join("tests/debian.lock")
}

fn find(text: &str, pattern: &str) -> Result<Option<Package>> {
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        if words.next() == Some(pattern) {
            let name = words.next().context("no name")?;
            let version = words.next().context("no version")?;
            return Ok(Some(Package {
                version: version.parse()?,
                name: name.to_owned(),
                architecture: split(pattern).1.to_owned(),
            }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "# a comment\nlinux-\\d+ linux-7 7.3.4-1~bpo13+1\nbusybox busybox 1:1.38.0-3\n\
         busybox:armhf busybox 1:1.39.0-1\n";

    #[test]
    fn finds_a_pattern() {
        let package = find(LOCK, r"linux-\d+").unwrap().unwrap();
        assert_eq!(package.to_string(), "linux-7 7.3.4-1~bpo13+1");
        assert_eq!(package.upstream(), "7.3.4");
        assert_eq!(package.label(), "linux-7-7.3.4-1~bpo13+1");
        let package = find(LOCK, "busybox").unwrap().unwrap();
        assert_eq!(package.label(), "busybox-1.1.38.0-3");
        let package = find(LOCK, "busybox:armhf").unwrap().unwrap();
        assert_eq!(package.label(), "busybox.armhf-1.1.39.0-1");
        assert_eq!(find(LOCK, "linux-7").unwrap(), None);
    }

    #[test]
    fn rejects_a_line_without_a_version() {
        assert!(find("busybox busybox\n", "busybox").is_err());
        assert!(find("busybox\n", "busybox").is_err());
    }
}
