//! What could differ between architectures, in the default kernel of each: how PID 1 ends the
//! machine, signals, and sizes that no address can hold.
//!
//! The stages, `probe` and `check` run on these kernels, too, as on every kernel of the matrix.

use anyhow::{Result, ensure};
use rig::guest;
use rig::kernels::Kernel;
use rig::program::Build;
use rig::qemu::Ending;

use crate::machine::{TIMEOUT, with_program};
use crate::messages::{SAME_MAPS, powers_off_with};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    trials.extend(Trial::on_targets("the end of the machine", ends));
    trials.extend(Trial::on_targets("in a shell", in_a_shell));
    trials.extend(Trial::on_32_bits(
        "sizes beyond 32 bits",
        size_beyond_32_bits,
    ));
    trials.push(Trial::on(
        "arm-6.12",
        "no floating-point unit",
        no_floating_point_unit,
    ));
    trials
}

/// PID 1 does with the machine what `--then` says.
fn ends(kernel: &'static Kernel) -> Result<()> {
    for (word, ending) in [("reboot", Ending::Restarted), ("halt", Ending::Halted)] {
        let args = ["-y", "-q", "--then", word];
        let boot = with_program(kernel, Build::Full, &format!("ends-{word}"), &args)?;
        let boot = boot.run(TIMEOUT)?;
        ensure!(
            boot.ending == ending,
            "{word}: {}\n{}",
            boot.ending,
            boot.text()
        );
    }
    Ok(())
}

/// A script, and what it prints: a text, and the status at the end.
struct Row {
    script: &'static str,
    text: &'static str,
    status: u8,
}

/// Each runs in a shell as PID 1.
const ROWS: [Row; 5] = [
    Row {
        script: "vm_anon_name -q -y -s 1000000G",
        text: "vm_anon_name: mmap: ENOMEM (12)",
        status: 1,
    },
    Row {
        script: "vm_anon_name -y -s 64M",
        text: SAME_MAPS,
        status: 0,
    },
    Row {
        script: "vm_anon_name --nonsense",
        text: "'--nonsense': unknown word",
        status: 2,
    },
    // A handler ends the first process of a container.
    Row {
        script: "signal TERM",
        text: "",
        status: 143,
    },
    Row {
        script: "signal INT",
        text: "",
        status: 130,
    },
];

/// Sends a signal to the program at its first pause, where it is PID 1 of a container.
const FUNCTIONS: &str = r#"
mkfifo /tmp/input
signal() {
    rm -f /tmp/output
    unshare -mpf --mount-proc vm_anon_name < /tmp/input > /tmp/output 2>&1 & unshare=$!
    exec 4> /tmp/input
    until grep -q 'enter to mmap' /tmp/output; do usleep 10000; done
    usleep 200000
    kill -$1 $(pidof vm_anon_name | tr ' ' '\n' | sort -n | head -n 1)
    wait $unshare; status=$?
    exec 4>&-
    return $status
}
"#;

fn in_a_shell(kernel: &'static Kernel) -> Result<()> {
    let mut script = FUNCTIONS.to_owned();
    for (number, row) in ROWS.iter().enumerate() {
        let run = format!("{{ {}; echo status $?; }} > /tmp/out 2>&1", row.script);
        script += &format!("{run}\nkeep {number} /tmp/out\n");
    }
    let name = format!("system-architectures-{}", kernel.name);
    let kept = guest::run(kernel, &name, &script, TIMEOUT)?;
    for (number, row) in ROWS.iter().enumerate() {
        let output = kept.text(&number.to_string())?;
        let Row {
            script,
            text,
            status,
        } = row;
        let is_right = output.contains(text) && output.ends_with(&format!("status {status}\n"));
        ensure!(is_right, "{script}\n{output}");
    }
    Ok(())
}

/// A size that needs more than 32 bits in whole pages is refused, and not truncated to 32 bits.
fn size_beyond_32_bits(kernel: &'static Kernel) -> Result<()> {
    for size in ["4G", "8G", "4294967295"] {
        let machine = with_program(kernel, Build::Full, "size", &["-q", "-y", "-s", size])?;
        let boot = machine.run(TIMEOUT)?;
        boot.expect_power_off()?;
        let text = boot.text();
        ensure!(
            text.contains("vm_anon_name: mmap: ENOMEM (12)"),
            "{size}\n{text}"
        );
        ensure!(text.contains(&powers_off_with(1)), "{size}\n{text}");
    }
    Ok(())
}

/// `check` passes on a processor that has neither NEON nor VFP.
fn no_floating_point_unit(kernel: &'static Kernel) -> Result<()> {
    let mut machine = with_program(kernel, Build::Full, "no-floating-point-unit", &["check"])?;
    machine.cpu.push_str(",neon=off,vfp=off");
    let boot = machine.run(TIMEOUT)?;
    boot.expect_power_off()?;
    let text = boot.text();
    ensure!(text.contains(" fail:0 "), "{text}");
    ensure!(text.contains(&powers_off_with(0)), "{text}");
    Ok(())
}
