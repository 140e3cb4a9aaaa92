//! Kernel images in Debian's packages, decompressed for QEMU.
//!
//! QEMU boots plain images. Packages contain a plain image, a gzip file, or an EFI
//! program that decompresses the image ("zboot", drivers/firmware/efi/libstub in Linux).

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;
use ruzstd::decoding::StreamingDecoder;

use crate::debian::Package;
use crate::paths;

/// Name of the directory with the device trees.
pub(super) const DEVICE_TREES: &str = "device-trees";

/// Writes the image in the package as `Image` to a new directory, with the device trees of
/// boards if it has any.
pub(super) fn from_package(package: &Package, directory: &Path) -> Result<()> {
    let unpacked = package.unpack()?;
    let packed = fs::read(vmlinuz(&unpacked)?)?;
    let image = unwrap(&packed).with_context(|| format!("the image of {}", package.name))?;
    let directory = paths::emptied(directory.to_owned())?;
    paths::write(&directory.join("Image"), image)?;
    if let Some(trees) = device_trees(&unpacked) {
        paths::rename(&trees, &directory.join(DEVICE_TREES))?;
    }
    // The modules in the package are large and not used.
    paths::remove(&unpacked)
}

/// The image file: /boot/vmlinuz-VERSION (vmlinux on riscv64), or vmlinuz among the modules.
fn vmlinuz(unpacked: &Path) -> Result<PathBuf> {
    let in_boot = entries(unpacked.join("boot")).filter(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("vmlinu"))
    });
    let by_modules = entries(unpacked.join("usr/lib/modules")).map(|path| path.join("vmlinuz"));
    in_boot
        .chain(by_modules)
        .find(|path| path.is_file())
        .with_context(|| format!("no vmlinuz in {}", unpacked.display()))
}

/// The directory with device trees: /usr/lib/linux-image-VERSION.
fn device_trees(unpacked: &Path) -> Option<PathBuf> {
    entries(unpacked.join("usr/lib")).find(|path| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with("linux-image-")
    })
}

/// Paths in the directory; none if it does not exist.
fn entries(directory: PathBuf) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.flatten().map(|entry| entry.path())
}

fn unwrap(packed: &[u8]) -> Result<Vec<u8>> {
    if is_plain(packed) {
        return Ok(packed.to_vec());
    }
    let unwrapped = match zboot_payload(packed) {
        Some((payload, method)) => decompress(payload, method)?,
        None if packed.starts_with(&[0x1f, 0x8b]) => decompress(packed, b"gzip")?,
        None => bail!("its format is not known"),
    };
    if !is_plain(&unwrapped) {
        bail!("it does not contain a plain image");
    }
    Ok(unwrapped)
}

/// Offset and value of the magic number in the header of an image: arm64, riscv64, x86 and
/// 32-bit arm (`booting.rst`, `boot-image-header.rst` and `boot.rst` in Documentation/arch of
/// Linux, and arch/arm/boot/compressed/head.S).
const MAGIC: [(usize, &[u8; 4]); 4] = [
    (56, b"ARM\x64"),
    (56, b"RSC\x05"),
    (0x202, b"HdrS"),
    (0x24, &0x016f_2818_u32.to_le_bytes()),
];

/// Whether QEMU boots it as it is. The images of x86 and 32-bit arm unpack themselves.
fn is_plain(image: &[u8]) -> bool {
    MAGIC
        .iter()
        .any(|(place, magic)| image.get(*place..place + 4) == Some(*magic))
}

/// The compressed image in an EFI zboot program, and its compression method.
fn zboot_payload(packed: &[u8]) -> Option<(&[u8], &[u8])> {
    if packed.get(4..8)? != b"zimg" {
        return None;
    }
    let number = |at: usize| -> Option<usize> {
        let bytes = packed.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let start = number(8)?;
    let payload = packed.get(start..start.checked_add(number(12)?)?)?;
    let method = packed.get(24..)?.split(|byte| *byte == 0).next()?;
    Some((payload, method))
}

fn decompress(packed: &[u8], method: &[u8]) -> Result<Vec<u8>> {
    let mut image = Vec::new();
    match method {
        b"gzip" => GzDecoder::new(packed).read_to_end(&mut image)?,
        b"zstd" | b"zstd22" => StreamingDecoder::new(packed)?.read_to_end(&mut image)?,
        other => bail!("it is compressed with {}", String::from_utf8_lossy(other)),
    };
    Ok(image)
}
