//! A Debian system for arm64 in a directory, whose programs run on this machine.
//!
//! Packages are unpacked and not installed. QEMU's user mode runs the programs, in a user and
//! mount namespace with a binfmt_misc of its own, so that nothing outside changes. That needs
//! a host with Linux 6.7.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use rig::{debian, host_packages, paths, tool};

const SUITE: &str = "bookworm";

/// Packages with mkinitramfs and dracut, and the essential packages that these call: packages do
/// not declare a dependency on essential ones, and `--variant=extract` adds none.
const PACKAGES: &str = "initramfs-tools,dracut-core,busybox-static,base-files,bash,dash,\
                        debianutils,findutils,grep,gzip,libc-bin,mawk,mount,sed,udev,util-linux";

/// What the maintainer scripts would make, and the settings for a kernel without modules.
const PREPARATION: &str = "
ln -s mawk usr/bin/awk
mkdir -p lib/modules/none var/tmp
touch lib/modules/none/modules.order lib/modules/none/modules.builtin
echo CONFIG_RD_GZIP=y > boot/config-none
echo MODULES=list > etc/initramfs-tools/conf.d/modules
echo COMPRESS=gzip > etc/initramfs-tools/conf.d/compress
";

/// Runs a command with `$1` as its root directory, and the host's /dev and /proc. The magic is that of
/// ELF files for aarch64; the mask ignores the ABI and the kind of executable.
const ENTER: &str = r#"
set -e
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
header='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
emulator=$(command -v qemu-aarch64-static)
printf '%s' ":aarch64:M::$header:$mask:$emulator:F" > /proc/sys/fs/binfmt_misc/register
mount --rbind /dev "$1/dev"
mount --rbind /proc "$1/proc"
exec chroot "$1" /bin/sh -c "$2"
"#;

/// The directory of the system.
pub(crate) struct DebianRoot(PathBuf);

impl DebianRoot {
    /// Opens the system in the target directory; makes it first if it is missing.
    pub(crate) fn open() -> Result<Self> {
        host_packages::FOREIGN_DEBIAN.ensure()?;
        // Trials run at once.
        let _lock = paths::lock("debian-root")?;
        let directory = paths::scratch("debian-root")?.join(SUITE);
        if !directory.exists() {
            let partial = directory.with_added_extension("partial");
            let mut mmdebstrap = Command::new("mmdebstrap");
            mmdebstrap.args(["--variant=extract", "--architectures=arm64"]);
            mmdebstrap.arg(format!("--include={PACKAGES}")).arg(SUITE);
            mmdebstrap.arg(paths::emptied(partial.clone())?);
            tool::output(mmdebstrap.arg(debian::mirror()?))?;
            let mut prepare = Command::new("sh");
            prepare.args(["-ec", PREPARATION]).current_dir(&partial);
            tool::output(&mut prepare)?;
            paths::rename(&partial, &directory)?;
        }
        Ok(Self(directory))
    }

    /// A path in the system as a path of this machine.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// Copies a file or directory into a directory of the system.
    pub(crate) fn copy(&self, from: &Path, to: &str) -> Result<()> {
        let to = paths::directory(self.path(to))?;
        let mut copy = Command::new("cp");
        tool::output(copy.arg("--recursive").args([from, to.as_path()])).map(drop)
    }

    /// Runs a shell command in the system; returns its output.
    pub(crate) fn run(&self, command: &str) -> Result<String> {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", ENTER]);
        tool::output(unshare.arg("enter").arg(&self.0).arg(command))
    }
}
