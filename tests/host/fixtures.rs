//! Recorded maps files of real kernels; `cargo xtask record` renews them.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use rig::kernels::{self, Kernel};
use rig::recordings;
use vm_anon_name::maps::Vma;

/// The maps files of the stages, in their order.
pub const STAGES: [&str; 4] = [
    "maps_1_start.txt",
    "maps_2_mmap.txt",
    "maps_3_set_vm_name.txt",
    "maps_4_ummap.txt",
];

/// The maps files of other programs.
pub const PROGRAMS: [&str; 4] = ["dynamic", "odd", "shared", "shell"];

/// One maps file.
#[derive(Debug)]
pub struct Recording {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// The program, or the stage.
    pub name: String,
    /// The maps file, byte for byte.
    pub maps: Vec<u8>,
}

/// The recorded kernels.
pub fn kernels() -> impl Iterator<Item = &'static Kernel> {
    recordings::KERNELS
        .map(|name| kernels::find(name).unwrap())
        .into_iter()
}

/// All recordings.
pub fn all() -> &'static [Recording] {
    static ALL: LazyLock<Vec<Recording>> = LazyLock::new(|| {
        let files = kernels().map(|kernel| read(kernel, &recordings::path(kernel)));
        files.flatten().collect()
    });
    &ALL
}

/// One recording.
#[track_caller]
pub fn get(kernel: &Kernel, name: &str) -> &'static [u8] {
    let mut recordings = all().iter();
    let recording = recordings.find(|each| each.kernel.name == kernel.name && each.name == name);
    let missing = || panic!("{}: no recording of {name}", kernel.name);
    &recording.unwrap_or_else(missing).maps
}

/// The recordings of smaps; in these, `maps` is a smaps file.
pub fn smaps() -> Vec<Recording> {
    let kernels = recordings::SMAPS.map(|name| kernels::find(name).unwrap());
    let files = kernels.map(|kernel| read(kernel, &recordings::smaps_path(kernel)));
    files.into_iter().flatten().collect()
}

/// The lines of a file, without their newlines.
pub fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split_inclusive(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

fn read(kernel: &'static Kernel, path: &Path) -> Vec<Recording> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut recordings: Vec<Recording> = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if let Some(name) = heading(line) {
            recordings.push(Recording {
                kernel,
                name,
                maps: Vec::new(),
            });
        } else if line != b"\n" {
            let recording = recordings
                .last_mut()
                .expect("the file starts with a heading");
            recording.maps.extend_from_slice(line);
        }
    }
    recordings
}

fn heading(line: &[u8]) -> Option<String> {
    let name = line.strip_prefix(b"==> ")?.strip_suffix(b" <==\n")?;
    Some(String::from_utf8_lossy(name).into_owned())
}

#[test]
fn every_kernel_has_all_recordings() {
    for kernel in kernels() {
        for name in STAGES.into_iter().chain(PROGRAMS) {
            let maps = get(kernel, name);
            assert!(maps.ends_with(b"\n"), "{}: {name} is cut", kernel.name);
            assert!(lines(maps).count() > 4, "{}: {name}", kernel.name);
        }
    }
}

#[test]
fn recordings_of_smaps_are_those_of_two_programs() {
    let smaps = smaps();
    let names: Vec<&str> = smaps.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["shell", "stages"].repeat(recordings::SMAPS.len()));
}

#[test]
fn recordings_contain_the_name_if_the_kernel_has_names() {
    for kernel in kernels() {
        let is_named = |name| {
            let mut vmas = lines(get(kernel, name)).filter_map(Vma::parse);
            vmas.any(|vma| vma.name() == Some(b" Go: heap "))
        };
        assert_eq!(is_named(STAGES[2]), kernel.names, "{}", kernel.name);
        let names_shared = kernel.names && kernel.name != "6.1";
        assert_eq!(is_named("shared"), names_shared, "{}", kernel.name);
    }
}
