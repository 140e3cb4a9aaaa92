//! The Debian package.
//!
//! It is written here, and not by dpkg-deb, so that its bytes do not depend on the machine's
//! version of dpkg and its compressor. deb(5) describes the format: an ar archive of a version
//! and two compressed tar archives.
//!
//! A package has to name an address of its maintainer. This project has none, so it names one
//! of example.org, which is reserved for examples.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::{Compression, GzBuilder};
use md5::{Digest, Md5};
use tar::{EntryType, Header};

use super::Release;
use crate::target::Target;

/// Name of the package: Debian's names have no underscores.
const PACKAGE: &str = "vm-anon-name";

/// Directories with files that are installed unchanged, and the directories they go to.
const INTEGRATIONS: [(&str, &str); 2] = [
    (
        "tests/packaging/initramfs-tools",
        "usr/share/initramfs-tools",
    ),
    ("tests/packaging/dracut", "usr/lib/dracut/modules.d"),
];

/// A file of an archive.
struct Entry {
    path: String,
    mode: u32,
    content: Vec<u8>,
}

impl Entry {
    fn new(path: impl Into<String>, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            mode,
            content: content.into(),
        }
    }
}

impl Release<'_> {
    /// The Debian package with the program, and the initramfs archives that it is in.
    pub(super) fn debian_package(
        &self,
        target: &Target,
        program: Vec<u8>,
        init: Vec<u8>,
        appended: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let documentation = format!("usr/share/doc/{PACKAGE}");
        let changelog = self.read("tests/packaging/debian/changelog")?;
        ensure!(
            changelog.starts_with(format!("{PACKAGE} ({})", self.version).as_bytes()),
            "tests/packaging/debian/changelog does not begin with version {}",
            self.version
        );
        let mut files = vec![
            Entry::new("usr/bin/vm_anon_name", 0o755, program),
            Entry::new("usr/lib/vm_anon_name/vm_anon_name.cpio", 0o644, init),
            Entry::new(
                "usr/lib/vm_anon_name/vm_anon_name-append.cpio",
                0o644,
                appended,
            ),
            Entry::new(
                "usr/share/man/man1/vm_anon_name.1.gz",
                0o644,
                compress(&self.read("tests/packaging/vm_anon_name.1")?)?,
            ),
            Entry::new(
                format!("{documentation}/changelog.gz"),
                0o644,
                compress(&changelog)?,
            ),
            Entry::new(
                format!("{documentation}/copyright"),
                0o644,
                self.read("tests/packaging/debian/copyright")?,
            ),
            Entry::new(
                format!("{documentation}/NOTICES"),
                0o644,
                self.notices.clone(),
            ),
            Entry::new(
                format!("usr/share/lintian/overrides/{PACKAGE}"),
                0o644,
                self.read("tests/packaging/debian/lintian-overrides")?,
            ),
        ];
        for (from, to) in INTEGRATIONS {
            let from = self.checkout.source.join(from);
            add_tree(&from, to, &mut files)?;
        }
        let control = self.control(target, &files)?;
        let sums = Entry::new("md5sums", 0o644, md5_sums(&files));
        let control = [Entry::new("control", 0o644, control), sums];

        let mut package = b"!<arch>\n".to_vec();
        self.add_member(&mut package, "debian-binary", b"2.0\n");
        self.add_member(&mut package, "control.tar.gz", &self.archive(&control)?);
        self.add_member(&mut package, "data.tar.gz", &self.archive(&files)?);
        Ok(package)
    }

    /// The fields of `tests/packaging/debian/control`, and those that depend on the build.
    fn control(&self, target: &Target, files: &[Entry]) -> Result<String> {
        let fields = String::from_utf8(self.read("tests/packaging/debian/control")?)?;
        let kib: usize = files
            .iter()
            .map(|file| file.content.len().div_ceil(1024))
            .sum();
        Ok(format!(
            "Package: {PACKAGE}\nVersion: {}\nArchitecture: {}\nInstalled-Size: {kib}\n{fields}",
            self.version, target.debian
        ))
    }

    /// A compressed tar archive of the files and their directories.
    fn archive(&self, files: &[Entry]) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut directories = BTreeSet::new();
        for file in files {
            let ancestors = Path::new(&file.path).ancestors().skip(1);
            let mut missing: Vec<&Path> = ancestors
                .filter(|path| !path.as_os_str().is_empty())
                .filter(|path| directories.insert(path.to_path_buf()))
                .collect();
            missing.reverse();
            for directory in missing {
                let header = self.header(EntryType::Directory, 0o755, 0);
                append(
                    &mut archive,
                    header,
                    &format!("./{}/", directory.display()),
                    &[],
                )?;
            }
            let header = self.header(EntryType::Regular, file.mode, file.content.len());
            append(
                &mut archive,
                header,
                &format!("./{}", file.path),
                &file.content,
            )?;
        }
        compress(&archive.into_inner()?)
    }

    fn header(&self, kind: EntryType, mode: u32, size: usize) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size as u64);
        header.set_mtime(self.time);
        header.set_uid(0);
        header.set_gid(0);
        header
    }

    /// Adds a file to an ar archive, see ar(5).
    fn add_member(&self, archive: &mut Vec<u8>, name: &str, content: &[u8]) {
        let (time, size) = (self.time, content.len());
        let header = format!(
            "{name:<16}{time:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
            0, 0, 100_644
        );
        archive.extend(header.as_bytes());
        archive.extend(content);
        if size % 2 == 1 {
            archive.push(b'\n');
        }
    }
}

/// Adds an entry. Its path begins with `./`, as dpkg writes it, which `Header::set_path()`
/// would remove.
fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    mut header: Header,
    path: &str,
    content: &[u8],
) -> Result<()> {
    let header_of_gnu = header.as_gnu_mut().context("not a GNU tar header")?;
    let name = header_of_gnu.name.get_mut(..path.len());
    let name = name.with_context(|| format!("{path} is too long for a tar archive"))?;
    name.copy_from_slice(path.as_bytes());
    header_of_gnu.set_username("root")?;
    header_of_gnu.set_groupname("root")?;
    header.set_cksum();
    archive.append(&header, content)?;
    Ok(())
}

/// Adds the files below a directory, with their permissions, in order.
fn add_tree(from: &Path, to: &str, files: &mut Vec<Entry>) -> Result<()> {
    for name in super::files(from)? {
        let path = from.join(&name);
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let is_executable = path.metadata()?.permissions().mode() & 0o100 != 0;
        let mode = if is_executable { 0o755 } else { 0o644 };
        files.push(Entry::new(format!("{to}/{name}"), mode, content));
    }
    Ok(())
}

/// The content of the control file `md5sums`.
fn md5_sums(files: &[Entry]) -> String {
    let mut sums = String::new();
    for file in files {
        for byte in Md5::digest(&file.content) {
            sums.push_str(&format!("{byte:02x}"));
        }
        sums.push_str(&format!("  {}\n", file.path));
    }
    sums
}

/// Compresses as `gzip -9n` does.
fn compress(data: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
    gzip.write_all(data)?;
    Ok(gzip.finish()?)
}
