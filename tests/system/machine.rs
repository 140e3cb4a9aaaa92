//! Machines with the program as `/init`, and the prompts on their consoles.

use std::time::Duration;

use anyhow::Result;
use guest_agent::MAPS_FILES;
use rig::initramfs::Initramfs;
use rig::kernels::Kernel;
use rig::program::Build;
use rig::qemu::{Machine, Session};

/// Time limit for a boot.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

/// A machine whose initramfs has nothing but the program. `args` are the program's
/// arguments. The log is named after `name` and the kernel.
pub(crate) fn with_program(
    kernel: &Kernel,
    build: Build,
    name: &str,
    args: &[&str],
) -> Result<Machine> {
    let target = kernel.target;
    let initramfs = Initramfs::with_program_for(target, build)?;
    let initramfs = initramfs.write(&format!("{}-{}", target.name, build.name()))?;
    let mut machine = kernel.machine(&initramfs)?;
    machine.name = format!("system-{name}-{}", kernel.name);
    machine.args = args.iter().map(|&arg| arg.to_owned()).collect();
    Ok(machine)
}

/// Types `key` at each of the four prompts. Returns all text up to the last prompt.
pub(crate) fn answer_prompts(session: &mut Session, key: &str) -> Result<String> {
    let mut text = String::new();
    for file in MAPS_FILES {
        let (before, prompt) = session.expect(&regex::escape(&format!("> {file}")))?;
        text += &before;
        text += &prompt;
        session.send(key)?;
    }
    Ok(text)
}
