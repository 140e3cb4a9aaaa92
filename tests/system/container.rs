//! PID 1 of a container: it exits with its status, ends on signals, and changes nothing of the
//! host.
//!
//! Here, a container is a PID namespace, and the host is the shell of the guest, which has its
//! own mounts in each script.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use rig::kernels;
use rig::report::KtapReport;

use crate::shell::{self, Output};
use crate::trial::Trial;

const DEADLINE: Duration = Duration::from_secs(900);

/// Command lines and the exit status of each, first with `/proc`, then without.
const COMMANDS: &[(&str, [i32; 2])] = &[
    ("probe", [0, 8]),
    ("check name-is-shown", [0, 8]),
    ("check no-such-case", [2, 2]),
    ("-y", [0, 1]),
    ("-q -y", [0, 0]),
    ("-y -n [", [1, 1]),
    ("--nonsense", [2, 2]),
    ("--help", [0, 0]),
];

/// A description of each container, and the command that starts it.
const CONTAINERS: &[(&str, &str)] = &[
    ("all capabilities", "unshare -mpf --mount-proc"),
    ("the host's mounts", "unshare -pf"),
    ("no CAP_SYS_BOOT", "unshare -mpf --mount-proc with drop=22"),
    ("no CAP_SYS_ADMIN", "unshare -mpf --mount-proc with drop=21"),
    (
        "neither CAP_SYS_ADMIN nor CAP_SYS_BOOT",
        "unshare -mpf --mount-proc with drop=21 drop=22",
    ),
    ("another user", "unshare -mpf --mount-proc with user=1000"),
    (
        "the host's mounts, neither CAP_SYS_ADMIN nor CAP_SYS_BOOT",
        "unshare -pf with drop=21 drop=22",
    ),
    (
        "no /proc",
        "unshare -mpf sh -c 'umount -l /proc; exec \"$@\"' sh",
    ),
    (
        "no /proc, neither CAP_SYS_ADMIN nor CAP_SYS_BOOT",
        "unshare -mpf sh -c 'umount -l /proc; exec with drop=21 drop=22 \"$@\"' sh",
    ),
    (
        "no /proc, and a root directory where another user cannot make it",
        "sh -c 'mkdir -p /tmp/root/bin; cp /bin/vm_anon_name /bin/with /tmp/root/bin
            exec unshare -mpf chroot /tmp/root with user=1000 \"$@\"' sh",
    ),
];

/// Starts `$container COMMAND` in the background and waits for a text in its output.
const FUNCTIONS: &str = r#"
start() {
    mkfifo /tmp/input.$$; rm -f /tmp/output
    $container vm_anon_name $1 < /tmp/input.$$ > /tmp/output 2>&1 & unshare=$!
    exec 3> /tmp/input.$$; rm /tmp/input.$$
    until grep -q "$2" /tmp/output; do sleep 0.1; done
    sleep 0.3
    program=$(pidof vm_anon_name | tr ' ' '\n' | sort -n | head -n 1)
}
# The status of the container, or 137 if it does not end.
finish() {
    (sleep 10; kill -9 $program $unshare) 2> /dev/null & killer=$!
    wait $unshare; status=$?
    kill $killer
    return $status
}
limit() { cat /proc/sys/vm/max_map_count; }
"#;

/// Scripts, and the check of their output.
type Row = (&'static str, &'static str, fn(&Output) -> Result<()>);

const ROWS: &[Row] = &[
    (
        "SIGTERM at a pause",
        "container='unshare -mpf --mount-proc'; start '' 'enter to mmap'; kill -TERM $program; finish",
        |output| status(output, 143),
    ),
    (
        "SIGINT at a pause",
        "container='unshare -mpf --mount-proc'; start '' 'enter to mmap'; kill -INT $program; finish",
        |output| status(output, 130),
    ),
    (
        "SIGTERM at a pause, no capabilities",
        "container='unshare -mpf --mount-proc with drop=21 drop=22'
        start '' 'enter to mmap'; kill -TERM $program; finish",
        |output| status(output, 143),
    ),
    (
        "SIGTERM in the middle of check",
        "container='unshare -mpf --mount-proc'; start check '^ok 20 '; kill -TERM $program; finish
        status=$?; ! pidof vm_anon_name && exit $status",
        |output| status(output, 143),
    ),
    (
        "the host's limit on mappings during check and after",
        "touch /tmp/watched
        while [ -e /tmp/watched ]; do limit; done > /tmp/seen & reader=$!
        unshare -mpf --mount-proc vm_anon_name check
        status=$?; rm /tmp/watched; wait $reader
        [ $(wc -l < /tmp/seen) -gt 20 ] || echo only $(wc -l < /tmp/seen) looks >&2
        limit >> /tmp/seen; sort -u /tmp/seen >&2; exit $status",
        |output| report(output, "65530\n"),
    ),
    (
        "the host's limit after SIGKILL in the middle of check",
        "container='unshare -mpf --mount-proc'; start check '^ok 20 '; kill -KILL $program; finish; limit",
        |output| printed(output, "65530\n"),
    ),
    (
        "two containers at once",
        "unshare -mpf --mount-proc vm_anon_name check > /tmp/first & first=$!
        unshare -mpf --mount-proc vm_anon_name check; second=$?
        wait $first; status=$?; limit >&2
        [ $status = 0 ] || second=$status
        grep '^# Totals' /tmp/first >&2
        exit $second",
        |output| {
            let totals = output
                .stdout
                .lines()
                .find(|line| line.starts_with("# Totals: "));
            let totals = totals.context("no totals")?;
            report(output, &format!("65530\n{totals}\n"))
        },
    ),
    (
        "mounts of the host",
        "mounts=$(cat /proc/mounts); unshare -pf vm_anon_name probe > /dev/null
        [ -d /proc/self ] && [ \"$mounts\" = \"$(cat /proc/mounts)\" ] && echo the same",
        |output| printed(output, "the same\n"),
    ),
    (
        "mounts of the host without /proc",
        "umount -l /proc; unshare -pf vm_anon_name check --list > /dev/null; ls /proc; echo listed",
        |output| printed(output, "listed\n"),
    ),
];

pub(crate) fn trials() -> Vec<Trial> {
    let pairs = CONTAINERS
        .iter()
        .flat_map(|container| COMMANDS.iter().map(move |it| (container, it)));
    let commands = pairs
        .enumerate()
        .map(|(number, ((container, _), (line, expected)))| {
            Trial::new(format!("{container}: {line}"), move || {
                let output = output(number)?;
                let has_no_proc = container.starts_with("no /proc");
                status(output, expected[usize::from(has_no_proc)])?;
                let said = format!("{}{}", output.stdout, output.stderr);
                ensure!(
                    !said.contains("vm_anon_name: status "),
                    "a status line, as from a machine's PID 1\n{output}"
                );
                ensure!(
                    !said.contains("mount of /proc"),
                    "a message about mounting /proc\n{output}"
                );
                Ok(())
            })
        });
    let rows = ROWS.iter().enumerate().map(|(number, (name, _, judge))| {
        let number = CONTAINERS.len() * COMMANDS.len() + number;
        Trial::new(*name, move || judge(output(number)?))
    });
    commands.chain(rows).collect()
}

fn status(output: &Output, expected: i32) -> Result<()> {
    ensure!(output.status == expected, "not {expected}\n{output}");
    Ok(())
}

fn printed(output: &Output, expected: &str) -> Result<()> {
    ensure!(output.stdout == expected, "not {expected:?}\n{output}");
    Ok(())
}

/// Fails unless standard output has a report without failures, and standard error this text.
fn report(output: &Output, stderr: &str) -> Result<()> {
    status(output, 0)?;
    ensure!(output.stderr == stderr, "not {stderr:?}\n{output}");
    let report = KtapReport::read(&output.stdout)?;
    ensure!(report.failed().count() == 0, "{output}");
    Ok(())
}

/// The output of a script. One boot runs all of the scripts.
fn output(number: usize) -> Result<&'static Output> {
    static OUTPUTS: OnceLock<Result<Vec<Output>, String>> = OnceLock::new();
    let outputs = OUTPUTS.get_or_init(|| {
        let mut scripts = Vec::new();
        for (_, container) in CONTAINERS {
            for (line, _) in COMMANDS {
                scripts.push(format!(
                    "timeout -s KILL 10 {container} vm_anon_name {line}"
                ));
            }
        }
        scripts.extend(
            ROWS.iter()
                .map(|(_, script, _)| format!("{FUNCTIONS}{script}")),
        );
        let scripts = scripts.iter().map(String::as_str);
        let outputs = shell::run_all(kernels::DEFAULT, "system-container", "", scripts, DEADLINE);
        outputs.map_err(|error| format!("{error:#}"))
    });
    let outputs = outputs.as_ref().map_err(|error| anyhow!("{error}"))?;
    outputs.get(number).context("no output")
}
