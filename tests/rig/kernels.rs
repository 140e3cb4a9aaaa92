//! The kernels the program is tried on: which, and why each.
//!
//! Most are built here from Debian's sources, small and with names switched on,
//! since no kernel Debian ships has them. The shipped ones are what a user meets
//! who has none: too old for names, or built without.
//!
//! Building takes minutes and happens once; the cache knows each image by the
//! version of its source and by its whole configuration.

mod build;
mod image;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use debversion::Version;

pub use self::build::Tree;
use crate::debian::{self, Package};
use crate::paths;
use crate::qemu::Machine;

/// The kernel everything is tried on first.
pub const DEFAULT: &str = "6.12";

/// Every kernel the rig knows.
pub const ALL: &[Kernel] = &[
    Kernel {
        name: "6.1",
        why: "the oldest long-term kernel that has names",
        source: Source::Built {
            package: r"linux-source-6\.1",
            lacks: &[],
            // Embedded systems were thought to have no use for SECRETMEM.
            config: &["# CONFIG_EMBEDDED is not set"],
        },
        pages: Pages::Of4K,
        names: true,
        matrix: true,
    },
    Kernel {
        name: "6.12",
        why: "the long-term kernel of the current Debian release",
        source: Source::Built {
            package: r"linux-source-6\.12",
            lacks: &[],
            config: &[],
        },
        pages: Pages::Of4K,
        names: true,
        matrix: true,
    },
    Kernel {
        name: "newest",
        why: "the highest version in any suite of Debian",
        source: Source::Built {
            package: r"linux-source-\d+\.\d+",
            // It goes by a new name.
            lacks: &["PROC_SYSCTL"],
            config: &["CONFIG_SYSCTL=y"],
        },
        pages: Pages::Of4K,
        names: true,
        matrix: true,
    },
    Kernel {
        name: "6.12-16k",
        why: "pages of 16 KiB, as on Apple's machines",
        source: Source::Built {
            package: r"linux-source-6\.12",
            lacks: &[],
            config: &[],
        },
        pages: Pages::Of16K,
        names: true,
        matrix: true,
    },
    Kernel {
        name: "6.12-64k",
        why: "pages of 64 KiB, as on large servers",
        source: Source::Built {
            package: r"linux-source-6\.12",
            lacks: &[],
            config: &[],
        },
        pages: Pages::Of64K,
        names: true,
        matrix: true,
    },
    Kernel {
        name: "debian-5.10",
        why: "too old for names",
        source: Source::Stock {
            package: r"linux-image-5\.10\..*-cloud-arm64",
        },
        pages: Pages::Of4K,
        names: false,
        matrix: true,
    },
    Kernel {
        name: "debian-6.1",
        why: "built without names",
        source: Source::Stock {
            package: r"linux-image-6\.1\..*-cloud-arm64",
        },
        pages: Pages::Of4K,
        names: false,
        matrix: true,
    },
    Kernel {
        name: "debian-6.12",
        why: "built without names",
        source: Source::Stock {
            package: r"linux-image-6\.12\..*-cloud-arm64",
        },
        pages: Pages::Of4K,
        names: false,
        matrix: false,
    },
    Kernel {
        name: "debian-6.12-16k",
        why: "built without names, pages of 16 KiB",
        source: Source::Stock {
            package: r"linux-image-6\.12\..*-arm64-16k",
        },
        pages: Pages::Of16K,
        names: false,
        matrix: false,
    },
    Kernel {
        name: "debian-newest",
        why: "what Debian ships next; built without names",
        source: Source::Stock {
            // Newer kernels lie in a package apart from what hooks them up.
            package: r"linux-binary-\d+\.\d+.*-cloud-arm64",
        },
        pages: Pages::Of4K,
        names: false,
        matrix: false,
    },
];

/// A kernel, and what a test may expect of it.
#[derive(Debug)]
pub struct Kernel {
    /// The name it is asked for by; it never changes.
    pub name: &'static str,
    /// Why it is in the list.
    pub why: &'static str,
    /// The size of its pages.
    pub pages: Pages,
    /// Whether it can name anonymous memory.
    pub names: bool,
    /// Whether it is one of those everything is tried on.
    pub matrix: bool,
    source: Source,
}

/// Where a kernel comes from.
#[derive(Debug)]
enum Source {
    /// Built here from the newest package of sources that matches.
    Built {
        package: &'static str,
        /// Options of the common configuration that this version does not have.
        lacks: &'static [&'static str],
        /// Lines that follow, and so overrule, the common configuration.
        config: &'static [&'static str],
    },
    /// The newest package with an image that matches, as Debian built it.
    Stock { package: &'static str },
}

/// The size of a kernel's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// 4 KiB
    Of4K,
    /// 16 KiB
    Of16K,
    /// 64 KiB
    Of64K,
}

/// An image ready to boot.
#[derive(Clone, Debug)]
pub struct Image {
    /// The file QEMU loads.
    pub path: PathBuf,
    /// The upstream version, like 6.12.117.
    pub version: String,
}

/// The kernels everything is tried on.
pub fn matrix() -> impl Iterator<Item = &'static Kernel> {
    ALL.iter().filter(|kernel| kernel.matrix)
}

/// The kernel of that name.
pub fn find(name: &str) -> Result<&'static Kernel> {
    let kernel = ALL.iter().find(|kernel| kernel.name == name);
    kernel.with_context(|| {
        let names: Vec<&str> = ALL.iter().map(|kernel| kernel.name).collect();
        format!("no kernel is called {name}; there are {}", names.join(", "))
    })
}

impl Pages {
    /// The size in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Pages::Of4K => 4 << 10,
            Pages::Of16K => 16 << 10,
            Pages::Of64K => 64 << 10,
        }
    }

    fn config(self) -> &'static str {
        match self {
            Pages::Of4K => "CONFIG_ARM64_4K_PAGES=y",
            Pages::Of16K => "CONFIG_ARM64_16K_PAGES=y",
            Pages::Of64K => "CONFIG_ARM64_64K_PAGES=y",
        }
    }
}

impl Kernel {
    /// The image, fetched or built if this is the first time it is asked for.
    pub fn image(&self) -> Result<Image> {
        debian::with_newest(self.pattern(), |package| self.image_from(package))
    }

    /// The image if it is already there.
    pub fn cached(&self) -> Result<Option<Image>> {
        let package = self.package()?;
        let directory = self.directory(&package)?;
        Ok(directory
            .exists()
            .then(|| in_directory(&directory, &package)))
    }

    /// The version the kernel stands for today.
    pub fn version(&self) -> Result<String> {
        Ok(self.package()?.upstream().to_owned())
    }

    /// A machine that boots this kernel.
    pub fn machine(&self, initramfs: &Path) -> Result<Machine> {
        let mut machine = Machine::new(&self.image()?.path, initramfs);
        if let Source::Stock { .. } = self.source {
            // These carry the drivers of a whole cloud.
            machine.memory_mib = 256;
        }
        Ok(machine)
    }

    /// The tree the kernel was built in, for building changed ones from it. No
    /// other run gets it until it is dropped.
    pub fn tree(&self) -> Result<Tree> {
        let Source::Built { .. } = self.source else {
            bail!("{} is not built here", self.name);
        };
        let lock = self.lock()?;
        let tree = self.open_tree(&self.package()?, Some(lock))?;
        if !tree.image().exists() {
            tree.build(&self.config())?;
        }
        Ok(tree)
    }

    /// A tree of the kernel's sources and options in its own directory below `parent` of
    /// the cache, configured and not built. No other run gets it until it is dropped.
    pub fn own_tree(&self, parent: &str) -> Result<(PathBuf, Tree)> {
        let Source::Built { .. } = self.source else {
            bail!("{} is not built here", self.name);
        };
        let package = self.package()?;
        let lock = paths::lock(&format!("{parent}-{}", self.name))?;
        let directory = paths::cache(parent)?.join(self.label(&package));
        let name = format!("{} ({})", self.name, package.upstream());
        if directory.join("build/.config").exists() {
            let tree = Tree::at(&directory, name, lock)?;
            return Ok((directory, tree));
        }
        let tree = self.open_tree(&package, None)?.copy(&directory, lock)?;
        tree.configure(&self.config())?;
        Ok((directory, tree))
    }

    /// A name for the sources, which kernels of the same version share.
    pub fn sources(&self) -> &'static str {
        let mut kernels = ALL.iter().filter(|it| it.pattern() == self.pattern());
        kernels.next().map_or(self.name, |first| first.name)
    }

    fn image_from(&self, package: &Package) -> Result<Image> {
        self.check(package)?;
        let directory = self.directory(package)?;
        if !directory.exists() {
            let _lock = self.lock()?;
            // Another run may have made it while this one waited.
            if !directory.exists() {
                self.make(package, &directory)?;
            }
        }
        Ok(in_directory(&directory, package))
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
        Tree::open(package, name, &self.label(package), lock)
    }

    /// Trees and sources take gigabytes. One tree stays, to build others from,
    /// and so do sources that more than one kernel is built from.
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

    fn package(&self) -> Result<Package> {
        let package = debian::newest(self.pattern())?;
        self.check(&package)?;
        Ok(package)
    }

    /// The newest kernel is of use only if the list does not have it already.
    fn check(&self, package: &Package) -> Result<()> {
        if self.name == "newest" && package.version < "6.13".parse::<Version>()? {
            bail!("Debian has no sources newer than {}", package.version);
        }
        Ok(())
    }

    fn pattern(&self) -> &'static str {
        match self.source {
            Source::Built { package, .. } | Source::Stock { package } => package,
        }
    }

    /// The options asked for on top of the tiniest configuration, the last word
    /// last. Comments are left out: a better one is no reason to build again.
    fn config(&self) -> String {
        let (lacks, extra) = match self.source {
            Source::Built { lacks, config, .. } => (lacks, config),
            Source::Stock { .. } => Default::default(),
        };
        let is_asked =
            |line: &&str| build::parse_option(line).is_some_and(|(name, _)| !lacks.contains(&name));
        let common = include_str!("kernels/base.config").lines().filter(is_asked);
        let lines = common
            .chain([self.pages.config()])
            .chain(extra.iter().copied());
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    fn directory(&self, package: &Package) -> Result<PathBuf> {
        Ok(paths::cache("kernels")?.join(self.label(package)))
    }

    /// A file name that changes when the image would.
    fn label(&self, package: &Package) -> String {
        let version = package.version.to_string().replace(':', ".");
        match self.source {
            Source::Stock { .. } => format!("{}-{version}", self.name),
            Source::Built { .. } => {
                let hash = build::fingerprint(&self.config());
                format!("{}-{version}-{hash}", self.name)
            }
        }
    }

    fn lock(&self) -> Result<File> {
        paths::lock(&format!("kernel-{}", self.name))
    }
}

fn in_directory(directory: &Path, package: &Package) -> Image {
    Image {
        path: directory.join("Image"),
        version: package.upstream().to_owned(),
    }
}
