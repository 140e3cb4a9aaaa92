//! `/proc/PID/maps` as real kernels printed it, recorded by booting them.
//!
//! There is a file for each kernel of the matrix, as `head --verbose` prints the
//! maps of some programs one after another:
//!
//! ```text
//! ==> shell <==
//! 00400000-00592000 r-xp 00000000 00:02 14                                 /bin/busybox
//! ```
//!
//! They are as good as new until a kernel prints maps in a new way. This renews
//! them, which takes some seconds a kernel, and what changed shows in the diff:
//!
//! ```text
//! cargo test --test core -- --ignored record
//! ```

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use rig::debian;
use rig::guest;
use rig::initramfs::Initramfs;
use rig::kernels::{self, Kernel};
use vm_anon_name::maps::Vma;

/// The four maps of the stages, in their order.
pub const STAGES: [&str; 4] = [
    "maps_1_start.txt",
    "maps_2_mmap.txt",
    "maps_3_set_vm_name.txt",
    "maps_4_ummap.txt",
];

/// The maps of one program on one kernel.
#[derive(Debug)]
pub struct Recording {
    /// The kernel's name in the rig.
    pub kernel: &'static str,
    /// Whose maps, and when.
    pub what: String,
    /// The maps file, byte for byte.
    pub maps: Vec<u8>,
}

/// All recordings.
pub fn all() -> &'static [Recording] {
    static ALL: LazyLock<Vec<Recording>> =
        LazyLock::new(|| kernels::matrix().flat_map(read).collect());
    &ALL
}

/// The recording of `what` on that kernel.
#[track_caller]
pub fn get(kernel: &Kernel, what: &str) -> &'static [u8] {
    let mut recordings = all().iter();
    let found = recordings.find(|each| each.kernel == kernel.name && each.what == what);
    let complaint = || panic!("{}: no recording of {what}", kernel.name);
    &found.unwrap_or_else(complaint).maps
}

/// The lines of a file, without their newlines.
pub fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split_inclusive(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

fn path(kernel: &Kernel) -> PathBuf {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/host/fixtures");
    PathBuf::from(directory).join(format!("{}.maps", kernel.name))
}

fn read(kernel: &'static Kernel) -> Vec<Recording> {
    let path = path(kernel);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut recordings: Vec<Recording> = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if let Some(what) = heading(line) {
            recordings.push(Recording {
                kernel: kernel.name,
                what,
                maps: Vec::new(),
            });
        } else if line != b"\n" {
            let recording = recordings.last_mut().expect("a heading comes first");
            recording.maps.extend_from_slice(line);
        }
    }
    recordings
}

fn heading(line: &[u8]) -> Option<String> {
    let what = line.strip_prefix(b"==> ")?.strip_suffix(b" <==\n")?;
    Some(String::from_utf8_lossy(what).into_owned())
}

#[test]
fn every_kernel_is_there_with_every_program() {
    for kernel in kernels::matrix() {
        let mut whats: Vec<&str> = STAGES.to_vec();
        whats.extend(["dynamic", "odd", "shared", "shell"]);
        for what in whats {
            let maps = get(kernel, what);
            assert!(maps.ends_with(b"\n"), "{}: {what} is cut", kernel.name);
            assert!(lines(maps).count() > 4, "{}: {what}", kernel.name);
        }
    }
}

#[test]
fn names_are_there_where_the_kernel_has_names() {
    for kernel in kernels::matrix() {
        let named = |what| {
            let mut vmas = lines(get(kernel, what)).filter_map(Vma::parse);
            vmas.any(|vma| vma.name() == Some(b" Go: heap "))
        };
        assert_eq!(named(STAGES[2]), kernel.names, "{}", kernel.name);
        let names_shared = kernel.names && kernel.name != "6.1";
        assert_eq!(named("shared"), names_shared, "{}", kernel.name);
    }
}

/// Shows the maps of everything the guest can run.
const RECORDER: &str = r#"
mkdir /maps /shared
cd /maps
vm_anon_name -yq -n ' Go: heap ' -o /maps >/dev/null
vm_anon_name -yqS -n ' Go: heap ' -o /shared >/dev/null
mv /shared/maps_3_set_vm_name.txt shared
cat /proc/$$/maps >shell
busybox-dynamic cat /proc/self/maps >dynamic
# BusyBox asks only that its name begin with busybox. A file deleted under its
# running program gets a suffix that the name may have had before.
odd=$(printf '/busybox [anon:x] \1\33[1m\303\251\377\\n\nrw-p 00:00 0  ')
cp /bin/busybox-dynamic "$odd"
"$odd" sh -c 'rm "$1"; cat /proc/$$/maps; true' sh "$odd" >odd
echo "<<<"
head -v -n 1000 *
echo ">>>"
"#;

/// What BusyBox as Debian links it dynamically needs to run.
const LIBRARIES: [(&str, &str); 3] = [
    ("libc6", "ld-linux-aarch64.so.1"),
    ("libc6", "libc.so.6"),
    ("libc6", "libresolv.so.2"),
];

#[test]
#[ignore = "boots every kernel to renew the fixtures"]
fn record() {
    let initramfs = initramfs().write("record").unwrap();
    for kernel in kernels::matrix() {
        let mut machine = kernel.machine(&initramfs).unwrap();
        machine.name = format!("record-{}", kernel.name);
        let console = machine.run(Duration::from_secs(60)).unwrap();
        console.expect_power_off().unwrap();
        // A terminal's lines end with a carriage return, which no path here has.
        let mut bytes = console.bytes;
        bytes.retain(|byte| *byte != b'\r');
        fs::write(path(kernel), between(&bytes, b"<<<\n", b">>>\n")).unwrap();
    }
}

fn initramfs() -> Initramfs {
    let mut initramfs = guest::initramfs(RECORDER)
        .unwrap()
        .directory("/lib", 0o755)
        .file("/bin/busybox-dynamic", 0o755, file_of("busybox", "busybox"));
    for (package, library) in LIBRARIES {
        let content = file_of(package, library);
        initramfs = initramfs.file(&format!("/lib/{library}"), 0o755, content);
    }
    initramfs
}

/// The regular file of that name in a package.
fn file_of(package: &str, name: &str) -> Vec<u8> {
    let mut directories = vec![debian::unpack(package).unwrap()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() && entry.file_name() == name {
                return fs::read(entry.path()).unwrap();
            }
        }
    }
    panic!("{package} has no file {name}")
}

fn between<'a>(bytes: &'a [u8], start: &[u8], end: &[u8]) -> &'a [u8] {
    let find = |what: &[u8]| {
        let found = bytes.windows(what.len()).position(|each| each == what);
        found.unwrap_or_else(|| panic!("no {}", what.escape_ascii()))
    };
    &bytes[find(start) + start.len()..find(end)]
}
