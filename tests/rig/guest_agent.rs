//! The agent in the guest, which runs the program thousands of times in one boot under
//! prepared conditions. This module builds it, gives it tasks and reads its answers.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use guest_agent::{ANSWER_PREFIX, Answer, Campaign, PROGRAM, Run, RunResult, TASKS, Task};

use crate::host_packages;
use crate::initramfs::Initramfs;
use crate::kernels::Kernel;
use crate::paths;
use crate::program::{self, Build};
use crate::target::{self, Target};

const PACKAGE: &str = "guest-agent";
const FEATURES: &[&str] = &["--features", "agent"];
/// Architecture of the agent.
static TARGET: &Target = target::DEFAULT;

/// Time limit for all tasks of a boot.
const TIMEOUT: Duration = Duration::from_secs(1200);

/// The guest's clock counts instructions, 4 ns each, and jumps ahead while the guest is idle.
/// So timeouts in the guest pass at once, and do not depend on the load of the host.
const CLOCK: [&str; 2] = ["-icount", "shift=2,sleep=off"];

/// Runs the program once for each of `runs`, in one boot. The log is called `name`.
pub fn run_each(
    kernel: &Kernel,
    name: &str,
    runs: impl IntoIterator<Item = Run>,
) -> Result<Vec<RunResult>> {
    let tasks: Vec<Task> = runs.into_iter().map(Task::Run).collect();
    let answers = perform(kernel, name, &tasks)?;
    let results = answers.into_iter().map(|answer| match answer {
        Answer::Run(result) => Ok(result),
        answer => bail!("not the result of a run: {answer:?}"),
    });
    results.collect()
}

/// Runs the program `times` times. Returns the different results, and the number of runs
/// with each.
pub fn repeat(kernel: &Kernel, name: &str, run: Run, times: u32) -> Result<Vec<(RunResult, u32)>> {
    match perform_one(kernel, name, Task::Repeat(run, times))? {
        Answer::Repeat(results) => Ok(results),
        answer => bail!("not the results of a repeated run: {answer:?}"),
    }
}

/// Runs the program once for each fault of each system call that it makes.
pub fn inject_faults(kernel: &Kernel, name: &str, run: Run) -> Result<Campaign> {
    match perform_one(kernel, name, Task::InjectFaults(run))? {
        Answer::InjectFaults(campaign) => Ok(campaign),
        answer => bail!("not the results of faults: {answer:?}"),
    }
}

fn perform_one(kernel: &Kernel, name: &str, task: Task) -> Result<Answer> {
    let mut answers = perform(kernel, name, &[task])?;
    answers.pop().context("no answer")
}

/// Boots `kernel` with the agent as `/init`, and returns one answer per task, in order.
fn perform(kernel: &Kernel, name: &str, tasks: &[Task]) -> Result<Vec<Answer>> {
    let initramfs = initramfs(tasks)?.write(name)?;
    let mut machine = kernel.machine(&initramfs)?;
    machine.name = name.to_owned();
    machine.extra_qemu.extend(CLOCK.map(str::to_owned));
    let boot = machine.run(TIMEOUT)?;
    let log = boot.log.display();
    let answers = answers(&boot.text()).with_context(|| format!("see {log}"))?;
    boot.expect_power_off()?;
    let (count, expected) = (answers.len(), tasks.len());
    ensure!(
        count == expected,
        "{count} answers to {expected} tasks, see {log}"
    );
    Ok(answers)
}

fn answers(text: &str) -> Result<Vec<Answer>> {
    let mut answers = Vec::new();
    for line in text.lines() {
        let Some(json) = line.strip_prefix(ANSWER_PREFIX) else {
            continue;
        };
        match serde_json::from_str(json)? {
            Answer::AgentFailed(message) => bail!("the agent in the guest failed: {message}"),
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
        .file("/init", 0o755, read(agent()?)?)
        .file(PROGRAM, 0o755, read(program::build(Build::Full)?)?)
        .file(TASKS, 0o644, lines))
}

/// Builds the agent, the first time that it is called, and returns the executable.
pub fn agent() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.clone().map_err(|error| anyhow!(error))
}

/// Runs clippy over the agent. A warning is an error.
pub fn lint() -> Result<()> {
    program::lint_package(TARGET, PACKAGE, FEATURES)
}

fn build() -> Result<PathBuf> {
    host_packages::CROSS_LIBC.ensure()?;
    let mut cargo = program::cross_cargo(TARGET, "build")?;
    cargo.args(["--target", TARGET.triple]);
    cargo
        .args(["--package", PACKAGE, "--release"])
        .args(FEATURES);
    // The agent is linked with a libc, which needs a C compiler as the linker.
    cargo.env(TARGET.linker_variable(), format!("{}-gcc", TARGET.gnu));
    cargo.env("RUSTFLAGS", "-Ctarget-feature=+crt-static");
    // In the program's own target directory, these flags would cause a rebuild of the program.
    cargo.env("CARGO_TARGET_DIR", paths::target().join("rig/guest-agent"));
    program::artifact(cargo, PACKAGE)
}
