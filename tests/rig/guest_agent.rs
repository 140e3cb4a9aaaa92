//! Puts the program to the test inside a guest, where thousands of starts take a
//! boot: builds the helper, hands it tasks, and reads its answers.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use guest_agent::{Answer, MARK, PROGRAM, TASKS, Task};

use crate::host;
use crate::initramfs::Initramfs;
use crate::kernels::Kernel;
use crate::paths;
use crate::program::{self, Build};

const HELPER: &str = "guest-agent";
const FEATURES: &[&str] = &["--features", "helper"];
/// Links against a libc, which the program's own linker does not.
const LINKER: &str = "aarch64-linux-gnu-gcc";

/// How long a guest may take for all its tasks.
const DEADLINE: Duration = Duration::from_secs(1200);

/// The guest's clock counts its instructions, 4 ns each, and jumps ahead when it
/// waits. So the half minute that the program grants a child passes at once, and
/// what the guest takes for a hang is none that a busy host makes.
const CLOCK: [&str; 2] = ["-icount", "shift=2,sleep=off"];

/// Boots `kernel` with the helper, and returns its answers to `tasks`, in order.
/// `name` is that of the log.
pub fn perform(kernel: &Kernel, name: &str, tasks: &[Task]) -> Result<Vec<Answer>> {
    let initramfs = initramfs(tasks)?.write(name)?;
    let mut machine = kernel.machine(&initramfs)?;
    machine.name = name.to_owned();
    machine.extra_qemu.extend(CLOCK.map(str::to_owned));
    let console = machine.run(DEADLINE)?;
    let answers = answers(&console.text());
    let answers = answers.with_context(|| format!("see {}", console.log.display()))?;
    console.expect_power_off()?;
    ensure!(
        answers.len() == tasks.len(),
        "{} answers to {} tasks, see {}",
        answers.len(),
        tasks.len(),
        console.log.display()
    );
    Ok(answers)
}

fn answers(text: &str) -> Result<Vec<Answer>> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(MARK));
    let mut answers = Vec::new();
    for line in lines {
        match serde_json::from_str(line)? {
            Answer::Trouble(words) => bail!("the helper in the guest failed: {words}"),
            answer => answers.push(answer),
        }
    }
    Ok(answers)
}

fn initramfs(tasks: &[Task]) -> Result<Initramfs> {
    let mut lines = String::new();
    for task in tasks {
        lines.push_str(&serde_json::to_string(task)?);
        lines.push('\n');
    }
    let read =
        |path: PathBuf| fs::read(&path).with_context(|| format!("cannot read {}", path.display()));
    Ok(Initramfs::new()
        .file("/init", 0o755, read(helper()?)?)
        .file(PROGRAM, 0o755, read(program::build(Build::Full)?)?)
        .file(TASKS, 0o644, lines))
}

/// Builds the helper and returns the executable; a second call returns at once.
pub fn helper() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.clone().map_err(|error| anyhow!(error))
}

/// Runs clippy over the helper; a warning is an error.
pub fn lint() -> Result<()> {
    program::lint_package(HELPER, FEATURES)
}

fn build() -> Result<PathBuf> {
    host::CROSS_LIBC.ensure()?;
    let mut cargo = program::cross_cargo("build")?;
    cargo.args(["--target", program::TARGET]);
    cargo
        .args(["--package", HELPER, "--release"])
        .args(FEATURES);
    cargo.env(program::LINKER_VARIABLE, LINKER);
    cargo.env("RUSTFLAGS", "-Ctarget-feature=+crt-static");
    // Other flags in the same directory would have the program built anew each time.
    cargo.env("CARGO_TARGET_DIR", paths::target().join("rig/guest-agent"));
    program::artifact(cargo, HELPER)
}
