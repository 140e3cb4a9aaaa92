//! The program in other initramfs images: in an archive before or after one, and in those that
//! initramfs-tools and dracut make.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use libtest_mimic::Trial;
use rig::initramfs::Initramfs;
use rig::kernels::{self, Kernel};
use rig::program::{self, Build};
use rig::{debian, guest, paths, tool};

use crate::debian_root::DebianRoot;
use crate::trial;

/// The longest time for a boot.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A kernel of Debian, which cannot name memory.
const STOCK: &str = "debian-6.1";

/// What `probe` says on a kernel that can name memory, and on [`STOCK`].
const SUPPORTED: &str = "supported: Linux ";
const BUILT_WITHOUT: &str = "built-without: Linux ";

const PACKAGING: &str = "tests/packaging";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("images::before an image", || appended(false)),
        trial("images::before a compressed image", || appended(true)),
        trial("images::after an image, with a directory", with_directory),
        trial("images::initramfs-tools: hook", initramfs_hook),
        trial("images::initramfs-tools: boot script", boot_script),
        trial("images::dracut: boot hook", boot_hook),
        trial("images::initramfs-tools: made and booted", mkinitramfs).with_ignored_flag(true),
        trial("images::dracut: made and booted", dracut).with_ignored_flag(true),
    ]
}

fn program() -> Result<Vec<u8>> {
    let path = program::build(Build::Full)?;
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// An image like those of Debian: `/bin` is a link to `/usr/bin`, and `/init` a script.
fn merged_usr() -> Result<Initramfs> {
    let busybox = guest::busybox(rig::target::DEFAULT)?;
    let init = "#!/bin/sh\necho the next init is $$\n/bin/busybox poweroff -f\n";
    Ok(Initramfs::new()
        .directory("/usr", 0o755)
        .directory("/usr/bin", 0o755)
        .symlink("/bin", "usr/bin")
        .file("/usr/bin/busybox", 0o755, busybox)
        .symlink("/usr/bin/sh", "busybox")
        .file("/init", 0o755, init))
}

fn compressed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// Boots `kernel` with both archives in this order, `probe`, and the image's own init; returns
/// the console.
fn boot_both(kernel: &Kernel, name: &str, archives: [&[u8]; 2]) -> Result<String> {
    let path = paths::scratch("initramfs")?.join(format!("{name}.cpio"));
    paths::write(&path, archives.concat())?;
    let mut machine = kernel.machine(&path)?;
    machine.name = name.to_owned();
    machine.append = "rdinit=/vm_anon_name".to_owned();
    machine.args = ["probe", "--then", "/init"].map(str::to_owned).to_vec();
    Ok(machine.run(TIMEOUT)?.text())
}

/// The program says what the kernel can do, and then the image boots as before.
fn appended(is_compressed: bool) -> Result<()> {
    let append = Initramfs::new().file("/vm_anon_name", 0o755, program()?);
    let image = merged_usr()?.to_bytes()?;
    let image = match is_compressed {
        true => compressed(&image)?,
        false => image,
    };
    for (kernel, verdict, status) in [(kernels::DEFAULT, SUPPORTED, 0), (STOCK, BUILT_WITHOUT, 4)] {
        let name = format!("images-appended-{is_compressed}-{kernel}");
        let text = boot_both(kernels::find(kernel)?, &name, [&append.to_bytes()?, &image])?;
        let status = format!("vm_anon_name: status {status}, then /init\n");
        for line in [verdict, &status, "the next init is 1\n"] {
            ensure!(text.contains(line), "no {line:?} on {kernel}\n{text}");
        }
    }
    Ok(())
}

/// An entry for the directory `/bin` in a later archive replaces the image's link `/bin`. The
/// image's init, a script, then finds no shell. So the archive has the program at the root.
fn with_directory() -> Result<()> {
    let append = Initramfs::new()
        .file("/vm_anon_name", 0o755, program()?)
        .directory("/bin", 0o755);
    let (image, append) = (merged_usr()?.to_bytes()?, append.to_bytes()?);
    let kernel = kernels::find(kernels::DEFAULT)?;
    let text = boot_both(kernel, "images-directory", [&image, &append])?;
    let message = "vm_anon_name: /init: ENOENT (2): no such file\n";
    ensure!(text.contains(message), "no {message:?}\n{text}");
    Ok(())
}

/// The hook puts the program into the image. It runs with the functions of initramfs-tools,
/// in a mount namespace where the program is installed.
fn initramfs_hook() -> Result<()> {
    let package = debian::unpack("initramfs-tools-core")?;
    let installed = install(&paths::emptied(paths::scratch("images-hook")?)?)?;
    let image = installed.with_file_name("image");
    // An overlay of lower directories alone is read-only and needs no upper directory.
    let script = "mount -t overlay overlay -o lowerdir=$1/usr:$2/usr:/usr /usr
        DESTDIR=$3 verbose=n /usr/share/initramfs-tools/hooks/vm_anon_name";
    let mut unshare = Command::new("unshare");
    unshare.args([
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-ec",
        script,
        "hook",
    ]);
    tool::output(unshare.args([&installed, &package, &image]))?;
    let copied = fs::read(image.join("bin/vm_anon_name")).context("not in the image")?;
    ensure!(copied == program()?, "another file is in the image");
    Ok(())
}

/// Installs the program and the files for initramfs-tools below the directory.
fn install(directory: &Path) -> Result<PathBuf> {
    let installed = directory.join("installed");
    let bin = paths::directory(installed.join("usr/bin"))?;
    let share = paths::directory(installed.join("usr/share"))?;
    // What mkinitramfs makes before it calls hooks.
    paths::directory(directory.join("image/usr/bin"))?;
    symlink("usr/bin", directory.join("image/bin"))?;
    let recipe = paths::workspace().join(PACKAGING).join("initramfs-tools");
    for (from, to) in [(program::build(Build::Full)?, bin), (recipe, share)] {
        let mut copy = Command::new("cp");
        tool::output(copy.arg("--recursive").args([from, to]))?;
    }
    Ok(installed)
}

fn recipe(path: &str) -> Result<String> {
    let path = paths::workspace().join(PACKAGING).join(path);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The boot script says what the kernel can do if it is asked to, and otherwise nothing.
fn boot_script() -> Result<()> {
    let script = recipe("initramfs-tools/scripts/init-top/vm_anon_name")?;
    asks("script", "/script", |image| {
        image.file("/script", 0o755, script.clone())
    })
}

/// The function of dracut that reads the kernel's command line, as dracut.modules(7) describes
/// it, for a word without a value.
const GETARGBOOL: &str = "getargbool() { grep -qw \"$2\" /proc/cmdline; }";

/// As `boot_script`, for dracut's hook, which dracut's init sources.
fn boot_hook() -> Result<()> {
    let hook = recipe("dracut/95vm-anon-name/probe.sh")?;
    asks("hook", &format!("{GETARGBOOL}\n. /hook"), |image| {
        image.file("/hook", 0o755, hook.clone())
    })
}

/// Boots a shell that runs `command`: with and without the kernel parameter that asks for `probe`,
/// and on a kernel that cannot name memory.
fn asks(name: &str, command: &str, add: impl Fn(Initramfs) -> Initramfs) -> Result<()> {
    for (kernel, append, expected) in [
        (kernels::DEFAULT, "", None),
        (kernels::DEFAULT, "vm_anon_name.probe", Some((SUPPORTED, 0))),
        (STOCK, "vm_anon_name.probe", Some((BUILT_WITHOUT, 4))),
    ] {
        let script = format!("set -e\n{command}\necho the boot goes on\n");
        let name = format!("images-{name}-{kernel}");
        let initramfs = add(guest::initramfs(&script)?).write(&name)?;
        let mut machine = kernels::find(kernel)?.machine(&initramfs)?;
        machine.name = name;
        machine.append = append.to_owned();
        let text = machine.run(TIMEOUT)?.text();
        ensure!(text.contains("the boot goes on\n"), "{text}");
        let Some((verdict, status)) = expected else {
            ensure!(!text.contains("vm_anon_name"), "{text}");
            continue;
        };
        let status = format!("vm_anon_name: exit status {status}\n");
        ensure!(text.contains(verdict) && text.contains(&status), "{text}");
    }
    Ok(())
}

fn mkinitramfs() -> Result<()> {
    let root = DebianRoot::open()?;
    root.copy(&program::build(Build::Full)?, "/usr/bin")?;
    let recipe = paths::workspace().join(PACKAGING).join("initramfs-tools");
    root.copy(&recipe, "/usr/share")?;
    root.run("mkinitramfs -o /tmp/initrd none")?;
    both_boot(&root.path("/tmp/initrd"), "mkinitramfs")
}

fn dracut() -> Result<()> {
    let root = DebianRoot::open()?;
    root.copy(&program::build(Build::Full)?, "/usr/bin")?;
    let recipe = paths::workspace()
        .join(PACKAGING)
        .join("dracut/95vm-anon-name");
    root.copy(&recipe, "/usr/lib/dracut/modules.d")?;
    let options = "--no-hostonly --no-kernel --force --gzip";
    root.run(&format!(
        "dracut {options} -m 'base vm-anon-name' /tmp/initrd-dracut none"
    ))?;
    both_boot(&root.path("/tmp/initrd-dracut"), "dracut")
}

/// Boots the image with the rig's kernel and with Debian's. The image's init finds no root file
/// system, so the boot does not end by itself.
fn both_boot(image: &Path, name: &str) -> Result<()> {
    for (kernel, verdict, status) in [(kernels::DEFAULT, SUPPORTED, 0), (STOCK, BUILT_WITHOUT, 4)] {
        let mut machine = kernels::find(kernel)?.machine(image)?;
        machine.name = format!("images-{name}-{kernel}");
        machine.memory_mib = 512;
        machine.append = "vm_anon_name.probe".to_owned();
        let mut session = machine.boot(TIMEOUT)?;
        session.expect(verdict)?;
        session.expect(&format!("vm_anon_name: exit status {status}\r*\n"))?;
    }
    Ok(())
}
