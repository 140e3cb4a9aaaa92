//! A trial: a named test of the running program.

use anyhow::Result;
use libtest_mimic::Failed;
use rig::kernels::{self, Kernel};
use rig::target::{self, Target};

/// A named test of the running program.
pub(crate) struct Trial {
    name: String,
    test: Box<dyn FnOnce() -> Result<()> + Send>,
    is_ignored: bool,
}

impl Trial {
    /// A trial without a parameter.
    pub(crate) fn new(
        name: impl Into<String>,
        test: impl FnOnce() -> Result<()> + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            test: Box::new(test),
            is_ignored: false,
        }
    }

    /// A trial in the kernel that has this name in the rig.
    pub(crate) fn on(
        kernel: &'static str,
        name: &str,
        test: impl FnOnce(&'static Kernel) -> Result<()> + Send + 'static,
    ) -> Self {
        let test = move || test(kernels::find(kernel)?);
        Self::new(format!("{name} on {kernel}"), test)
    }

    /// A trial in the default kernel, for behaviour that does not depend on the kernel.
    pub(crate) fn on_default(
        name: &str,
        test: impl FnOnce(&'static Kernel) -> Result<()> + Send + 'static,
    ) -> Self {
        Self::new(name, move || test(kernels::find(kernels::DEFAULT)?))
    }

    /// One trial in the default kernel of each architecture.
    pub(crate) fn on_targets(
        name: &str,
        test: impl Fn(&'static Kernel) -> Result<()> + Send + Copy + 'static,
    ) -> impl Iterator<Item = Self> {
        Self::on_some_targets(name, |_| true, test)
    }

    /// One trial in the default kernel of each architecture whose addresses have 32 bits.
    pub(crate) fn on_32_bits(
        name: &str,
        test: impl Fn(&'static Kernel) -> Result<()> + Send + Copy + 'static,
    ) -> impl Iterator<Item = Self> {
        Self::on_some_targets(name, |target| target.address_bits == 32, test)
    }

    /// One trial in each kernel of the matrix.
    pub(crate) fn on_matrix(
        name: &str,
        test: impl Fn(&'static Kernel) -> Result<()> + Send + Copy + 'static,
    ) -> impl Iterator<Item = Self> {
        kernels::matrix().map(move |kernel| Self::on(kernel.name, name, test))
    }

    /// One trial in each kernel of the matrix that can run shell scripts.
    pub(crate) fn on_matrix_with_shell(
        name: &str,
        test: impl Fn(&'static Kernel) -> Result<()> + Send + Copy + 'static,
    ) -> impl Iterator<Item = Self> {
        // KASAN makes `rich` too slow for hundreds of processes within the deadline.
        let kernels = kernels::matrix()
            .filter(|kernel| !kernel.leaves_out("BINFMT_SCRIPT") && kernel.image != "rich");
        kernels.map(move |kernel| Self::on(kernel.name, name, test))
    }

    fn on_some_targets(
        name: &str,
        is_wanted: fn(&Target) -> bool,
        test: impl Fn(&'static Kernel) -> Result<()> + Send + Copy + 'static,
    ) -> impl Iterator<Item = Self> {
        let targets = target::ALL.into_iter();
        let targets = targets.filter(move |target| is_wanted(target));
        targets.map(move |target| {
            let test = move || test(kernels::find_for(target, kernels::DEFAULT)?);
            Self::new(format!("{name} on {}", target.name), test)
        })
    }

    /// Runs the trial only with `--ignored` or `--include-ignored`.
    pub(crate) fn ignored(self) -> Self {
        Self {
            is_ignored: true,
            ..self
        }
    }

    /// The trial in the form that the test harness takes.
    pub(crate) fn in_module(self, module: &str) -> libtest_mimic::Trial {
        let test = self.test;
        libtest_mimic::Trial::test(format!("{module}::{}", self.name), move || {
            test().map_err(|error| Failed::from(format!("{error:#}")))
        })
        .with_ignored_flag(self.is_ignored)
    }
}
