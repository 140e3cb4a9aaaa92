//! Kernels that the program is tested on, and how each is obtained.
//!
//! Most are built here from Debian's sources, with a small configuration, because no
//! kernel of Debian has `CONFIG_ANON_VMA_NAME`. Debian's own kernels are in the list
//! because many users have such kernels: too old, or built without the option.
//!
//! A kernel is built or fetched once. The cache identifies an image by the version of
//! its package and a hash of its configuration.

mod build;
mod image;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use debversion::Version;

pub use self::build::Tree;
use crate::debian::{self, Package};
use crate::guest::{self, software};
use crate::paths;
use crate::qemu::Machine;
use crate::target::{self, AARCH64, ARM, I386, RISCV64, Target, X86_64};
use crate::workbench;

/// Name of the kernel for tests that need only one.
pub const DEFAULT: &str = "6.12";

/// Configurations on top of `make tinyconfig`.
const BASE: &str = include_str!("kernels/base.config");
const BARE: &str = include_str!("kernels/bare.config");
const RICH: &str = include_str!("kernels/rich.config");

/// All kernels.
pub const ALL: &[Kernel] = &[
    Kernel {
        source: OLDEST,
        ..with_names("6.1", "the oldest long-term kernel that names memory")
    },
    with_names("6.12", "the long-term kernel of the current Debian release"),
    Kernel {
        source: newest("CONFIG_SYSCTL=y"),
        ..with_names("newest", "the highest version in any suite of Debian")
    },
    Kernel {
        pages: Pages::Of16K,
        source: built(SOURCE_6_12, "CONFIG_ARM64_16K_PAGES=y"),
        ..with_names("6.12-16k", "16 KiB pages, as on Apple's machines")
    },
    Kernel {
        pages: Pages::Of64K,
        source: built(SOURCE_6_12, "CONFIG_ARM64_64K_PAGES=y"),
        ..with_names("6.12-64k", "64 KiB pages, as on large servers")
    },
    Kernel {
        source: Source::Built {
            package: SOURCE_6_12,
            base: BARE,
            lacks: &[],
            options: "# CONFIG_ARM64_TAGGED_ADDR_ABI is not set",
        },
        ..with_names("bare", "6.12 with the fewest options that run the program")
    },
    RICH_KERNEL,
    Kernel {
        name: "arm-on-aarch64",
        why: "32-bit arm programs on the 64-bit kernel `rich`",
        target: &ARM,
        ..RICH_KERNEL
    },
    Kernel {
        source: OLDEST,
        ..on(
            &X86_64,
            with_names("x86_64-6.1", "the oldest long-term kernel, on x86_64"),
        )
    },
    on(
        &X86_64,
        with_names("x86_64-6.12", "x86_64, the architecture of most machines"),
    ),
    X86_64_NEWEST,
    Kernel {
        name: "i386-on-x86_64",
        why: "i386 programs on the 64-bit kernel x86_64-newest",
        target: &I386,
        ..X86_64_NEWEST
    },
    on(
        &RISCV64,
        with_names("riscv64-6.12", "riscv64, the third 64-bit architecture"),
    ),
    Kernel {
        source: arm(""),
        ..on(
            &ARM,
            with_names("arm-6.12", "32-bit arm, for addresses of 32 bits"),
        )
    },
    Kernel {
        runs: Runs::ByName,
        source: arm("CONFIG_VMSPLIT_2G=y"),
        ..on(
            &ARM,
            with_names(
                "arm-6.12-2g",
                "32-bit arm, where programs have 2 GiB of addresses",
            ),
        )
    },
    on(
        &I386,
        with_names("i386-6.12", "32-bit x86, with huge pages of 4 MiB"),
    ),
    without_names(
        "debian-5.10",
        "too old to name memory",
        r"linux-image-5\.10\..*-cloud-arm64",
    ),
    without_names(
        "debian-6.1",
        "built without names",
        r"linux-image-6\.1\..*-cloud-arm64",
    ),
    on(
        &X86_64,
        without_names(
            "x86_64-debian-6.12",
            "built without names",
            r"linux-image-6\.12\..*-cloud-amd64:amd64",
        ),
    ),
    Kernel {
        // It takes long to boot.
        runs: Runs::Probe,
        memory_mib: 512,
        ..on(
            &RISCV64,
            without_names(
                "riscv64-debian-6.12",
                "built without names",
                r"linux-image-6\.12\..*-riscv64:riscv64",
            ),
        )
    },
    Kernel {
        // It takes long to boot, too.
        runs: Runs::Probe,
        ..on(
            &ARM,
            without_names(
                "arm-debian-6.12",
                "built without names",
                r"linux-image-6\.12\.[^-]*-armmp:armhf",
            ),
        )
    },
    Kernel {
        // It takes long to boot, too.
        runs: Runs::Probe,
        ..on(
            &I386,
            without_names(
                "i386-debian-6.1",
                "the last of Debian for i386, built without names",
                r"linux-image-6\.1\.0-\d+-686:i386",
            ),
        )
    },
    Kernel {
        runs: Runs::ByName,
        ..without_names(
            "debian-6.12",
            "built without names",
            r"linux-image-6\.12\..*-cloud-arm64",
        )
    },
    Kernel {
        runs: Runs::ByName,
        ..without_names(
            "debian-6.12-arm64",
            "built without names, with the drivers of many boards",
            r"linux-image-6\.12\.[^-]*-arm64",
        )
    },
    Kernel {
        runs: Runs::ByName,
        pages: Pages::Of16K,
        ..without_names(
            "debian-6.12-16k",
            "built without names, 16 KiB pages",
            r"linux-image-6\.12\..*-arm64-16k",
        )
    },
    Kernel {
        runs: Runs::ByName,
        ..without_names(
            "debian-newest",
            "the newest kernel of Debian, built without names",
            // Newer images are in this package; linux-image only depends on it.
            r"linux-binary-\d+\.\d+.*-cloud-arm64",
        )
    },
];

const SOURCE_6_12: &str = r"linux-source-6\.12";
const SOURCE_NEWEST: &str = r"linux-source-\d+\.\d+";

/// In 6.1 SECRETMEM depends on !EMBEDDED, but tinyconfig sets EMBEDDED.
const OLDEST: Source = built(r"linux-source-6\.1", "# CONFIG_EMBEDDED is not set");

const RICH_KERNEL: Kernel = Kernel {
    source: built(SOURCE_6_12, RICH),
    // KASAN and MTE need this much memory. With mte=on, the board has memory for tags.
    memory_mib: 512,
    board: Some("virt,mte=on"),
    ..with_names(
        "rich",
        "6.12 with KASAN, lockdep, MTE, 52-bit addresses and more",
    )
};

const X86_64_NEWEST: Kernel = Kernel {
    source: newest("CONFIG_SYSCTL=y\nCONFIG_IA32_EMULATION=y"),
    ..on(
        &X86_64,
        with_names("x86_64-newest", "the highest version, on x86_64"),
    )
};

/// Options of [`BASE`] and further ones.
const fn built(package: &'static str, options: &'static str) -> Source {
    Source::Built {
        package,
        base: BASE,
        lacks: &[],
        options,
    }
}

/// The newest kernel. `options` sets SYSCTL, the new name of PROC_SYSCTL.
const fn newest(options: &'static str) -> Source {
    Source::Built {
        package: SOURCE_NEWEST,
        base: BASE,
        lacks: &["PROC_SYSCTL"],
        options,
    }
}

/// 32-bit arm, which has no memfd_secret(2).
const fn arm(options: &'static str) -> Source {
    Source::Built {
        package: SOURCE_6_12,
        base: BASE,
        lacks: &["SECRETMEM"],
        options,
    }
}

const fn with_names(name: &'static str, why: &'static str) -> Kernel {
    Kernel {
        name,
        image: name,
        why,
        target: &AARCH64,
        own_target: &AARCH64,
        source: built(SOURCE_6_12, ""),
        pages: Pages::Of4K,
        names: true,
        runs: Runs::All,
        memory_mib: 128,
        board: None,
    }
}

/// The same kernel for another architecture.
const fn on(target: &'static Target, kernel: Kernel) -> Kernel {
    Kernel {
        target,
        own_target: target,
        ..kernel
    }
}

const fn without_names(name: &'static str, why: &'static str, package: &'static str) -> Kernel {
    Kernel {
        source: Source::Stock { package },
        names: false,
        // Debian's kernels have many drivers built in and need more memory.
        memory_mib: 256,
        ..with_names(name, why)
    }
}

/// A kernel and what tests may expect of it.
#[derive(Debug)]
pub struct Kernel {
    /// Name in commands and file names. It does not change with the version.
    pub name: &'static str,
    /// Name of the image, which kernels that run other programs have in common.
    pub image: &'static str,
    /// Why the kernel is in the list.
    pub why: &'static str,
    /// Architecture of the programs that run on it.
    pub target: &'static Target,
    /// Architecture of the kernel itself, and of the machine.
    own_target: &'static Target,
    /// Page size.
    pub pages: Pages,
    /// Whether it names anonymous memory.
    pub names: bool,
    /// What `cargo test` runs on it.
    runs: Runs,
    /// Memory in which it boots, in MiB.
    memory_mib: u32,
    /// Value of QEMU's `-machine`, if it is not the default one of the architecture.
    board: Option<&'static str>,
    source: Source,
}

/// Where a kernel comes from.
#[derive(Debug)]
enum Source {
    /// Built here from a package of sources.
    Built {
        /// Pattern of the package's name.
        package: &'static str,
        /// Configuration file of this directory.
        base: &'static str,
        /// Options of `base` that this version does not have.
        lacks: &'static [&'static str],
        /// Configuration lines that follow, and so override, those of `base`.
        options: &'static str,
    },
    /// An image that Debian has built.
    Stock {
        /// Pattern of the package's name.
        package: &'static str,
    },
}

/// What `cargo test` runs on a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runs {
    /// Everything: it is one of the [`matrix`].
    All,
    /// `probe` alone.
    Probe,
    /// Nothing on each kernel; some trials name it, and so does `cargo xtask ... --kernel NAME`.
    ByName,
}

/// Page size of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// 4 KiB
    Of4K,
    /// 16 KiB
    Of16K,
    /// 64 KiB
    Of64K,
}

/// A kernel image that QEMU boots.
#[derive(Clone, Debug)]
pub struct Image {
    /// The file.
    pub path: PathBuf,
    /// Version of Linux, such as 6.12.117.
    pub version: String,
    /// Whether it is of the version that `tests/debian.lock` pins.
    pub is_pinned: bool,
}

/// The kernels of [`ALL`] that are used by default.
pub fn matrix() -> impl Iterator<Item = &'static Kernel> {
    ALL.iter().filter(|kernel| kernel.runs == Runs::All)
}

/// The kernels that `probe` is tested on.
pub fn probed() -> impl Iterator<Item = &'static Kernel> {
    ALL.iter().filter(|kernel| kernel.runs != Runs::ByName)
}

/// The kernel of that name.
pub fn find(name: &str) -> Result<&'static Kernel> {
    let kernel = ALL.iter().find(|kernel| kernel.name == name);
    kernel.with_context(|| {
        let names: Vec<&str> = ALL.iter().map(|kernel| kernel.name).collect();
        format!("no kernel is called {name}; there are {}", names.join(", "))
    })
}

/// The kernel of that name for an architecture. If the architecture is not the default one,
/// the names of its kernels begin with its name, which may be left out here.
pub fn find_for(target: &Target, name: &str) -> Result<&'static Kernel> {
    let mut kernels = ALL.iter().filter(|it| it.target.name == target.name);
    let short = |kernel: &Kernel| {
        let rest = kernel.name.strip_prefix(target.name)?;
        rest.strip_prefix('-')
    };
    let found = kernels.find(|kernel| kernel.name == name || short(kernel) == Some(name));
    found.with_context(|| format!("no kernel for {} is called {name}", target.name))
}

/// Other packages whose versions are pinned together with the kernels'.
const OTHER_PACKAGES: &[&str] = &[
    "initramfs-tools-core",
    "lava-common",
    "lava-dispatcher",
    "lava-server",
];

/// The same for the packages of each architecture.
const PACKAGES_OF_TARGETS: [&str; 2] = [guest::SHELL, workbench::MUSL];

/// Pins the newest served version of every package in `tests/debian.lock`, and returns
/// these packages.
pub fn update_pins() -> Result<Vec<Package>> {
    let kernels = ALL.iter().map(Kernel::pattern);
    let others = kernels.chain(OTHER_PACKAGES.iter().copied());
    let others = others.chain(software::PACKAGES.iter().copied());
    let mut patterns: Vec<String> = others.map(str::to_owned).collect();
    for target in target::ALL {
        patterns.extend(PACKAGES_OF_TARGETS.map(|name| target.package(name)));
    }
    patterns.sort_unstable();
    patterns.dedup();
    debian::update_pins(&patterns)
}

impl Pages {
    /// Page size in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Pages::Of4K => 4 << 10,
            Pages::Of16K => 16 << 10,
            Pages::Of64K => 64 << 10,
        }
    }
}

impl Kernel {
    /// The image, which is built or fetched unless it is in the cache.
    pub fn image(&self) -> Result<Image> {
        debian::with_package(self.pattern(), |package| self.image_from(package))
    }

    /// The pinned image, if it is in the cache.
    pub fn cached(&self) -> Result<Option<Image>> {
        let pin = debian::pinned(self.pattern())?;
        pin.filter(|pin| {
            self.directory(pin)
                .is_ok_and(|directory| directory.exists())
        })
        .map(|pin| self.image_in_cache(&pin))
        .transpose()
    }

    /// Version of Linux that is pinned.
    pub fn pinned_version(&self) -> Result<Option<String>> {
        let pin = debian::pinned(self.pattern())?;
        Ok(pin.map(|pin| pin.upstream().to_owned()))
    }

    /// Version of the image.
    pub fn version(&self) -> Result<String> {
        Ok(self.image()?.version)
    }

    /// A machine that boots this kernel.
    pub fn machine(&self, initramfs: &Path) -> Result<Machine> {
        Ok(self.machine_with(&self.image()?.path, initramfs))
    }

    /// The machine of [`Kernel::machine`] with another image, built from this kernel.
    pub fn machine_with(&self, image: &Path, initramfs: &Path) -> Machine {
        let mut machine = Machine::new(self.own_target, image, initramfs);
        machine.memory_mib = self.memory_mib;
        machine.board = self.board.unwrap_or(self.own_target.board).to_owned();
        machine
    }

    /// Number of bits of an address in the kernel itself.
    pub fn address_bits(&self) -> u32 {
        self.own_target.address_bits
    }

    /// A device tree that Debian ships with this kernel.
    pub fn device_tree(&self, name: &str) -> Result<PathBuf> {
        let path = self
            .image()?
            .path
            .with_file_name(image::DEVICE_TREES)
            .join(name);
        ensure!(path.exists(), "no {}; remove its directory", path.display());
        Ok(path)
    }

    /// Whether the configuration leaves out this option, such as `SHMEM`.
    pub fn leaves_out(&self, option: &str) -> bool {
        let config = self.config();
        let mut options = config.lines().filter_map(build::parse_option);
        options.any(|line| line == (option, "n"))
    }

    /// The tree that the kernel is built in, to build variants from. Other processes
    /// wait for it until it is dropped.
    pub fn tree(&self) -> Result<Tree> {
        let Source::Built { .. } = self.source else {
            bail!("{} is not built here", self.name);
        };
        debian::with_package(self.pattern(), |package| {
            let tree = self.open_tree(package, Some(self.lock()?))?;
            if !tree.image().exists() {
                tree.build(&self.config())?;
            }
            Ok(tree)
        })
    }

    /// The sources, and the headers of this architecture for programs, which are made unless
    /// they are in the cache.
    pub fn headers(&self) -> Result<(PathBuf, PathBuf)> {
        let Source::Built { .. } = self.source else {
            bail!("{} is not built here", self.name);
        };
        debian::with_package(self.pattern(), |package| {
            let label = format!("headers-{}-{}", self.target.name, package.label());
            let lock = paths::lock(&label)?;
            let tree = Tree::open(package, self.target, label.clone(), &label, Some(lock))?;
            let headers = tree.build.join("headers");
            if !headers.exists() {
                tree.make(&["headers"])?;
                paths::rename(&tree.build.join("usr/include"), &headers)?;
            }
            Ok((tree.source, headers))
        })
    }

    /// A configured tree for this kernel alone, and its directory, which is below `parent`
    /// in the cache. Other processes wait for the tree until it is dropped.
    pub fn own_tree(&self, parent: &str) -> Result<(PathBuf, Tree)> {
        let Source::Built { .. } = self.source else {
            bail!("{} is not built here", self.name);
        };
        debian::with_package(self.pattern(), |package| {
            let lock = paths::lock(&format!("{parent}-{}", self.name))?;
            let directory = paths::cache(parent)?.join(self.label(package));
            let name = format!("{} ({})", self.name, package.upstream());
            if directory.join("build/.config").exists() {
                let tree = Tree::at(&directory, self.own_target, name, lock)?;
                return Ok((directory, tree));
            }
            let tree = self.open_tree(package, None)?.copy(&directory, lock)?;
            tree.configure(&self.config())?;
            Ok((directory, tree))
        })
    }

    /// Name of the sources: the first kernel of the list that is built from them.
    pub fn sources(&self) -> &'static str {
        let mut kernels = ALL.iter().filter(|it| it.pattern() == self.pattern());
        kernels.next().map_or(self.name, |first| first.name)
    }

    fn image_from(&self, package: &Package) -> Result<Image> {
        self.expect_new(package)?;
        let directory = self.directory(package)?;
        if !directory.exists() {
            let _lock = self.lock()?;
            // Another process may have made it while this one waited for the lock.
            if !directory.exists() {
                self.make(package, &directory)?;
            }
        }
        self.image_in_cache(package)
    }

    fn image_in_cache(&self, package: &Package) -> Result<Image> {
        Ok(Image {
            path: self.directory(package)?.join("Image"),
            version: package.upstream().to_owned(),
            is_pinned: debian::pinned(self.pattern())?.as_ref() == Some(package),
        })
    }

    fn make(&self, package: &Package, directory: &Path) -> Result<()> {
        let partial = directory.with_added_extension("partial");
        match self.source {
            Source::Stock { .. } => image::from_package(package, &partial)?,
            Source::Built { .. } => {
                let tree = self.open_tree(package, None)?;
                tree.build(&self.config())?;
                tree.deliver(&partial)?;
                self.clean_up(&tree)?;
            }
        }
        paths::rename(&partial, directory)
    }

    fn open_tree(&self, package: &Package, lock: Option<File>) -> Result<Tree> {
        let name = format!("{} ({})", self.name, package.upstream());
        Tree::open(package, self.own_target, name, &self.label(package), lock)
    }

    /// Removes gigabytes of objects and sources that are not needed again. Keeps the tree
    /// of the default kernel, because mutants are built from it, and sources that several
    /// kernels are built from.
    fn clean_up(&self, tree: &Tree) -> Result<()> {
        if self.name != DEFAULT {
            paths::remove(&tree.build)?;
        }
        let users = ALL
            .iter()
            .filter(|kernel| kernel.pattern() == self.pattern());
        if users.count() == 1 {
            paths::remove(&tree.source)?;
        }
        Ok(())
    }

    /// Fails if the newest kernel is also in the list under another name.
    fn expect_new(&self, package: &Package) -> Result<()> {
        if self.pattern() == SOURCE_NEWEST && package.version < "6.13".parse::<Version>()? {
            bail!("Debian has no sources newer than {}", package.version);
        }
        Ok(())
    }

    fn pattern(&self) -> &'static str {
        match self.source {
            Source::Built { package, .. } | Source::Stock { package } => package,
        }
    }

    /// Configuration lines on top of `make tinyconfig`: those of the kernel's base, of its
    /// architecture, and its own. If an option occurs twice, the last line counts. Comments
    /// are left out, so that editing them does not change the hash and rebuild the kernel.
    fn config(&self) -> String {
        let (base, lacks, options) = match self.source {
            Source::Built {
                base,
                lacks,
                options,
                ..
            } => (base, lacks, options),
            Source::Stock { .. } => Default::default(),
        };
        let is_option =
            |line: &&str| build::parse_option(line).is_some_and(|(name, _)| !lacks.contains(&name));
        let lines = base.lines().chain(self.own_target.config.lines());
        let lines = lines.chain(options.lines()).filter(is_option);
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    fn directory(&self, package: &Package) -> Result<PathBuf> {
        Ok(paths::cache("kernels")?.join(self.label(package)))
    }

    /// File name that identifies the image.
    fn label(&self, package: &Package) -> String {
        let version = package.version.to_string().replace(':', ".");
        match self.source {
            Source::Stock { .. } => format!("{}-{version}", self.image),
            Source::Built { .. } => {
                let hash = build::fingerprint(&self.config());
                format!("{}-{version}-{hash}", self.image)
            }
        }
    }

    fn lock(&self) -> Result<File> {
        paths::lock(&format!("kernel-{}", self.image))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn every_kernel_is_pinned() {
        for kernel in ALL {
            assert!(
                kernel.pinned_version().unwrap().is_some(),
                "{}",
                kernel.name
            );
        }
    }

    #[test]
    fn every_kernel_has_expected_results() {
        let directory = paths::workspace().join("tests/expected");
        let files = fs::read_dir(directory).unwrap();
        let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let kernels = ALL.iter().map(|kernel| format!("{}.txt", kernel.name));
        assert_eq!(
            files.collect::<BTreeSet<_>>(),
            kernels.collect::<BTreeSet<_>>()
        );
    }

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<&str> = ALL.iter().map(|kernel| kernel.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn later_options_override_those_of_the_base() {
        let config = find("6.12-16k").unwrap().config();
        assert!(config.starts_with("CONFIG_ANON_VMA_NAME=y\n"), "{config}");
        assert!(config.ends_with("CONFIG_ARM64_16K_PAGES=y\n"), "{config}");
        let newest = find("newest").unwrap().config();
        assert!(!newest.contains("CONFIG_PROC_SYSCTL="), "{newest}");
        assert!(newest.ends_with("CONFIG_SYSCTL=y\n"), "{newest}");
    }
}
