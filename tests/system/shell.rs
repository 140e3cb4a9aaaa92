//! Shell scripts in a guest: several in one boot, each with its output and exit status.

use std::fmt;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use rig::guest::{self, Kept};
use rig::guest_agent;
use rig::initramfs::Initramfs;
use rig::kernels;

/// What a script printed, and its exit status.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: i32,
}

/// A shell function that runs its standard input in a new shell and mount namespace, and keeps
/// the output under a name.
const RUN: &str = r#"
run() {
    cat > /tmp/script
    unshare -m sh /tmp/script > /tmp/stdout 2> /tmp/stderr < /dev/null
    echo $? > /tmp/status
    for file in stdout stderr status; do keep $1.$file /tmp/$file; done
}
"#;

/// An archive with a shell, the program, and the tool `with`; `script` is `/init`.
pub(crate) fn initramfs(script: &str) -> Result<Initramfs> {
    let agent = fs::read(guest_agent::agent()?).context("the guest agent")?;
    Ok(guest::initramfs(script)?.file("/bin/with", 0o755, agent))
}

/// Boots `kernel`, does what `preparation` says, and runs the scripts one after the other.
pub(crate) fn run_all<'a>(
    kernel: &str,
    name: &str,
    preparation: &str,
    scripts: impl IntoIterator<Item = &'a str>,
    deadline: Duration,
) -> Result<Vec<Output>> {
    let mut init = format!("{preparation}\n{RUN}");
    let mut count = 0;
    for script in scripts {
        init.push_str(&format!("run {count} <<'END'\n{script}\nEND\n"));
        count += 1;
    }
    let initramfs = initramfs(&init)?.write(name)?;
    let mut machine = kernels::find(kernel)?.machine(&initramfs)?;
    machine.name = name.to_owned();
    let boot = machine.run(deadline)?;
    boot.expect_power_off()?;
    let kept = Kept::of(boot.text())?;
    (0..count).map(|number| Output::of(&kept, number)).collect()
}

impl Output {
    fn of(kept: &Kept, number: usize) -> Result<Self> {
        let file = |name: &str| {
            let bytes = kept.bytes(&format!("{number}.{name}"))?;
            anyhow::Ok(String::from_utf8_lossy(bytes).into_owned())
        };
        Ok(Self {
            stdout: file("stdout")?,
            stderr: file("stderr")?,
            status: file("status")?.trim().parse()?,
        })
    }
}

/// The last lines of each output, for messages.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = |text: &str| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(30)..].join("\n")
        };
        let (stdout, stderr) = (tail(&self.stdout), tail(&self.stderr));
        write!(
            f,
            "status {}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---",
            self.status
        )
    }
}
