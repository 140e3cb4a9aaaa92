//! Recordings of `/proc/PID/maps` from real kernels, the fixtures of the host tests.
//!
//! There is one file for each kernel of [`KERNELS`], in the format of `head --verbose`, with the
//! maps of several programs:
//!
//! ```text
//! ==> shell <==
//! 00400000-00592000 r-xp 00000000 00:02 14                                 /bin/busybox
//! ```
//!
//! A second file has the smaps of two programs in the same format, for some kernels. The
//! directory `programs` has the smaps and the `smaps_rollup` of programs that name their memory, in
//! the default kernel.
//!
//! They need to be renewed only when a kernel changes the format of the file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::debian;
use crate::guest::named_programs::{self, Program};
use crate::guest::{self, software};
use crate::initramfs::Initramfs;
use crate::kernels::{self, Kernel};
use crate::paths;
use crate::target::Target;

/// The kernels that are recorded.
pub const KERNELS: [&str; 9] = [
    "6.1",
    "6.12",
    "6.12-16k",
    "6.12-64k",
    "newest",
    "debian-5.10",
    "debian-6.1",
    "arm-6.12",
    "i386-6.12",
];

/// Those whose smaps are recorded, too. The others have the same fields as one of these.
pub const SMAPS: [&str; 3] = ["6.1", "6.12", "newest"];

/// Time for one boot.
const DEADLINE: Duration = Duration::from_secs(60);

/// Prints the maps of all programs in the guest.
const SCRIPT: &str = r#"
mkdir /maps /shared
cd /maps
vm_anon_name -yq -n ' Go: heap ' -o /maps >/dev/null
vm_anon_name -yqS -n ' Go: heap ' -o /shared >/dev/null
mv /shared/maps_3_set_vm_name.txt shared
cat /proc/$$/maps >shell
busybox-dynamic cat /proc/self/maps >dynamic
# BusyBox accepts any name that starts with "busybox". The kernel adds " (deleted)"
# to the path of a running program whose file is deleted.
odd=$(printf '/busybox [anon:x] \1\33[1m\303\251\377\\n\nrw-p 00:00 0  ')
cp /bin/busybox-dynamic "$odd"
"$odd" sh -c 'rm "$1"; cat /proc/$$/maps; true' sh "$odd" >odd
echo "<<<"
head -v -n 1000 *
echo ">>>"
mkdir /smaps
cd /smaps
cat /proc/$$/smaps >shell
mkfifo /keys
vm_anon_name -n ' Go: heap ' </keys >/stages &
exec 3>/keys
printf '\n\n' >&3
until grep unmmap /stages; do sleep 0.1; done
cat /proc/$!/smaps >stages
echo "<<<smaps"
head -v -n 1000 *
echo ">>>smaps"
"#;

/// Path of Debian's dynamic BusyBox in the guest.
const DYNAMIC: &str = "/bin/busybox-dynamic";

/// The libraries that it takes from the package libc6, beside the loader.
const LIBRARIES: [&str; 2] = ["/lib/libc.so.6", "/lib/libresolv.so.2"];

/// Path of a kernel's recording.
pub fn path(kernel: &Kernel) -> PathBuf {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/host/fixtures");
    PathBuf::from(directory).join(format!("{}.maps", kernel.name))
}

/// Path of the recording of smaps.
pub fn smaps_path(kernel: &Kernel) -> PathBuf {
    path(kernel).with_extension("smaps")
}

/// Path of the recording of a program that names its memory, of its `smaps` or its `rollup`.
pub fn program_path(program: &Program, file: &str) -> PathBuf {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/host/fixtures/programs");
    PathBuf::from(directory).join(format!("{}.{file}", program.name))
}

/// Renews the recordings of programs that name their memory.
pub fn renew_programs() -> Result<()> {
    const SCRIPT: &str = "keep smaps /proc/$pid/smaps; keep rollup /proc/$pid/smaps_rollup";
    let kernel = kernels::find(kernels::DEFAULT)?;
    for program in &named_programs::ALL {
        let kept = program.boot(kernel, &format!("record-{}", program.name), SCRIPT)?;
        for file in ["smaps", "rollup"] {
            paths::write(&program_path(program, file), kept.bytes(file)?)?;
        }
    }
    Ok(())
}

/// Boots every recorded kernel and renews its recording.
pub fn renew() -> Result<()> {
    renew_programs()?;
    for name in KERNELS {
        let kernel = kernels::find(name)?;
        let initramfs = initramfs(kernel.target)?.write("record")?;
        let mut machine = kernel.machine(&initramfs)?;
        machine.name = format!("record-{name}");
        let console = machine.run(DEADLINE)?;
        console.expect_power_off()?;
        // The terminal adds a carriage return to each line. No path contains one.
        let mut bytes = console.bytes;
        bytes.retain(|byte| *byte != b'\r');
        let recording = between(&bytes, b"<<<\n", b">>>\n").context("no recording")?;
        fs::write(path(kernel), recording)?;
        if SMAPS.contains(&name) {
            let recording = between(&bytes, b"<<<smaps\n", b">>>smaps\n").context("no smaps")?;
            fs::write(smaps_path(kernel), recording)?;
        }
    }
    Ok(())
}

fn initramfs(target: &'static Target) -> Result<Initramfs> {
    let busybox = debian::unpack(&target.package("busybox"))?;
    let libc = debian::unpack(&target.package("libc6"))?;
    let mut initramfs = guest::initramfs_for(target, SCRIPT)?.directory("/lib", 0o755);
    initramfs = initramfs.file(DYNAMIC, 0o755, read(&busybox, "bin/busybox")?);
    for path in LIBRARIES.into_iter().chain([target.loader]) {
        let (_, name) = path.rsplit_once('/').context("a path has a slash")?;
        initramfs = initramfs.file(path, 0o755, read(&libc, name)?);
    }
    Ok(initramfs)
}

fn read(package: &Path, name: &str) -> Result<Vec<u8>> {
    let path = software::find_below(package, name)?;
    fs::read(&path).with_context(|| path.display().to_string())
}

fn between<'a>(bytes: &'a [u8], start: &[u8], end: &[u8]) -> Option<&'a [u8]> {
    let find = |mark: &[u8]| bytes.windows(mark.len()).position(|window| window == mark);
    bytes.get(find(start)? + start.len()..find(end)?)
}
