//! As a child of a shell: beside a second process, on terminals and on pipes.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rig::guest::{self, Kept};
use rig::kernels::Kernel;

use crate::transcript;

const DEADLINE: Duration = Duration::from_secs(120);
const FILES: [&str; 4] = [
    "maps_1_start.txt",
    "maps_2_mmap.txt",
    "maps_3_set_vm_name.txt",
    "maps_4_ummap.txt",
];

/// Walks the stages with the words behind the first, which is a name for what is
/// kept. At each pause another process copies the maps.
const WALK: &str = r#"
mkfifo /tmp/keys
walk() {
    name=$1; shift
    # What an earlier walk has printed must not be taken for a prompt of this one.
    rm -f /tmp/stdout
    mkdir -p /tmp/$name
    vm_anon_name -o /tmp/$name "$@" < /tmp/keys > /tmp/stdout 2> /tmp/stderr &
    pid=$!
    exec 3> /tmp/keys
    prompts=0
    for file in maps_1_start.txt maps_2_mmap.txt maps_3_set_vm_name.txt maps_4_ummap.txt; do
        prompts=$((prompts + 1))
        until [ "$(cat /tmp/stdout 2> /dev/null | grep -c 'Press enter')" -ge $prompts ]; do
            usleep 1000
        done
        cat /proc/$pid/maps > /tmp/copy
        keep $name/copy/$file /tmp/copy
        echo >&3
    done
    wait $pid
    echo $? > /tmp/status
    exec 3>&-
    keep $name/status /tmp/status
    keep $name/stdout /tmp/stdout
    keep $name/stderr /tmp/stderr
    for file in /tmp/$name/*; do keep $name/output/${file##*/} $file; done
}
"#;

/// What the program prints after each step is what GNU diff prints for the copies
/// that another process made, and the files it writes are these copies.
pub fn agrees_with_gnu_diff(kernel: &Kernel) -> Result<()> {
    let page = kernel.pages.bytes();
    let walks = [
        ("plain", String::new()),
        ("shared", "-S".to_owned()),
        ("pages", format!("--size={}", 3 * page - 1)),
        ("large", "-s 4M".to_owned()),
        ("name", "-n ' Go: heap '".to_owned()),
        ("empty", "-n ''".to_owned()),
        ("refused", "--name 'a[b'".to_owned()),
    ];
    let mut script = WALK.to_owned();
    for (name, options) in &walks {
        script += &format!("walk {name} {options}\n");
    }
    let kept = guest::run(kernel, &format!("child-{}", kernel.name), &script, DEADLINE)?;
    for (name, _) in &walks {
        compare(&kept, name).with_context(|| format!("{name} on {}", kernel.name))?;
        judge(&kept, name, kernel).with_context(|| format!("{name} on {}", kernel.name))?;
    }
    Ok(())
}

/// Compares the program's diffs and files with those of other programs.
fn compare(kept: &Kept, name: &str) -> Result<()> {
    for file in FILES {
        let copy = kept.bytes(&format!("{name}/copy/{file}"))?;
        let written = kept.bytes(&format!("{name}/output/{file}"))?;
        ensure!(copy == written, "{file} is not what cat gave");
    }
    let stdout = kept.text(&format!("{name}/stdout"))?;
    let steps: Vec<String> = stdout.split("Press enter").map(indented).collect();
    for (step, pair) in steps[1..].iter().zip(FILES.windows(2)) {
        let copy = |file: &str| kept.bytes(&format!("{name}/copy/{file}"));
        let expected = gnu_diff(copy(pair[0])?, copy(pair[1])?)?;
        ensure!(
            *step == expected,
            "{pair:?}\nprinted:\n{step}GNU diff:\n{expected}"
        );
    }
    ensure!(
        stdout.ends_with("\nThe first and the last maps are the same.\n"),
        "{stdout}"
    );
    Ok(())
}

/// The lines that stand in by two spaces, without these.
fn indented(text: &str) -> String {
    let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn gnu_diff(old: &[u8], new: &[u8]) -> Result<String> {
    let directory = tempfile::tempdir()?;
    let (a, b) = (directory.path().join("a"), directory.path().join("b"));
    fs::write(&a, old)?;
    fs::write(&b, new)?;
    let output = Command::new("diff")
        .arg(a)
        .arg(b)
        .output()
        .context("cannot run diff")?;
    ensure!(
        output.status.code().is_some_and(|code| code < 2),
        "diff failed: {output:?}"
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Checks status, complaint and transcript against what this kernel can do.
fn judge(kept: &Kept, name: &str, kernel: &Kernel) -> Result<()> {
    let status: u8 = kept.text(&format!("{name}/status"))?.trim().parse()?;
    let stderr = kept.text(&format!("{name}/stderr"))?;
    let (expected, reason) = match (kernel.names, kernel.name, name) {
        (false, "debian-5.10", _) => (4, "is older than 5.17, the first to name anonymous memory"),
        (false, ..) => (4, "was built without CONFIG_ANON_VMA_NAME"),
        (true, "6.1", "shared") => (4, "EBADF (9): shared mappings can be named since 6.2"),
        (true, _, "refused") => (1, "EINVAL (22): no name may have a '['"),
        _ => (0, ""),
    };
    ensure!(
        status == expected,
        "status {status}, not {expected}\n{stderr}"
    );
    match reason {
        "" => ensure!(stderr.is_empty(), "{stderr}"),
        reason => ensure!(stderr.trim_end().ends_with(reason), "{stderr}"),
    }
    let stdout = kept.text(&format!("{name}/stdout"))?;
    let bare: String = bare(stdout);
    if status == 0 {
        let given = match name {
            "name" => " Go: heap ",
            "empty" => "",
            _ => "/secret/mem/area",
        };
        let facts = transcript::check(&bare, given);
        let page = kernel.pages.bytes() as u64;
        let size = match name {
            "pages" => 3 * page,
            "large" => 4 << 20,
            _ => page,
        };
        ensure!(facts.size == size, "{facts:?}");
    } else {
        transcript::check_unnamed(&bare);
    }
    Ok(())
}

/// The transcript without what the program adds to it unless told `-q`.
fn bare(stdout: &str) -> String {
    let mut text = String::new();
    for line in stdout.split_inclusive('\n') {
        if !line.starts_with("  ") && line != "The maps did not change.\n" {
            text += line;
        }
    }
    let text = text.replace("txt\n\n\nPress enter to exit", "txt\n\nPress enter to exit");
    text.replace(
        "txt\n\nThe first and the last maps are the same.\n",
        "txt\n",
    )
}

/// Whoever ends the prompts' lines - a terminal that echoes, or the program where
/// none does - the transcript is the seed's.
pub fn ends_every_prompt_line(kernel: &Kernel) -> Result<()> {
    let script = r#"
run() {
    name=$1; shift
    "$@" > /tmp/out 2>&1
    keep $name /tmp/out
}
keys() { for key in 1 2 3 4; do printf "$1"; done; }
all() { vm_anon_name -q "$@" 2>&1; }
run newlines sh -c "printf '\n\n\n\n' | vm_anon_name -q"
run returns sh -c "printf '\r\r\r\r' | vm_anon_name -q"
run both sh -c "printf '\r\n\r\n\r\n\r\n' | vm_anon_name -q"
run words sh -c "printf 'a\nb c\n\nd\n' | vm_anon_name -q"
run few sh -c "printf '\n' | vm_anon_name -q"
run partial sh -c "printf '\nx' | vm_anon_name -q"
run none sh -c "vm_anon_name -q < /dev/null"
run yes sh -c "vm_anon_name -q -y"
run clustered sh -c "vm_anon_name -qy < /dev/null"
run slow sh -c "(for i in 1 2 3 4; do sleep 0.1; echo; done) | vm_anon_name -q"
"#;
    let kept = guest::run(kernel, "prompts", script, DEADLINE)?;
    for name in [
        "newlines",
        "returns",
        "both",
        "words",
        "few",
        "partial",
        "none",
        "yes",
        "clustered",
        "slow",
    ] {
        let text = kept.text(name)?;
        transcript::check(text, "/secret/mem/area");
    }
    terminal(kernel, "", "\r")?; // The line discipline makes it a newline.
    terminal(kernel, "", "\n")?;
    terminal(kernel, "stty -echo\n", "\r")?;
    terminal(kernel, "stty raw -echo opost onlcr\n", "\r")?;
    terminal(kernel, "stty raw -echo opost onlcr\n", "\n")
}

/// Walks the stages on the console as `setting` sets it, with `key` for Enter.
fn terminal(kernel: &Kernel, setting: &str, key: &str) -> Result<()> {
    let script = format!("{setting}vm_anon_name -q\nstatus=$?\nstty sane\necho status $status\n");
    let mut machine = kernel.machine(&guest::initramfs(&script)?.write("terminal")?)?;
    machine.name = "stages-terminal".to_owned();
    let mut session = machine.boot(DEADLINE)?;
    let mut text = String::new();
    for file in FILES {
        let (before, prompt) = session.expect(&file.replace('.', r"\."))?;
        text += &before;
        text += &prompt;
        session.send(key)?;
    }
    let (rest, _) = session.expect("status 0\r*\n")?;
    session.finish()?.expect_power_off()?;
    // A carriage return that is echoed as it came leaves no trace on a line.
    let text = (text + &rest).replace('\r', "");
    transcript::check(&text, "/secret/mem/area");
    Ok(())
}

/// A word that cannot be used is named, with what would be right, and nothing runs.
pub fn explains_usage(kernel: &Kernel) -> Result<()> {
    let cases = [
        (
            "unknown",
            "--no-such",
            "'--no-such': unknown word, try --help",
        ),
        ("plain", "stagse", "'stagse': unknown word, try --help"),
        ("value", "-n", "'-n': it needs a value"),
        (
            "zero",
            "-s 0",
            "'0': give a size above 0, as 4096, 64K, 2M or 1G",
        ),
        (
            "letters",
            "-s 4KB",
            "'4KB': give a size above 0, as 4096, 64K, 2M or 1G",
        ),
        (
            "huge",
            "-s 99999999999G",
            "'99999999999G': give a size above 0",
        ),
        ("flag", "--quiet=1", "'--quiet=1': it takes no value"),
        ("then", "--then halt", "'--then': this is for PID 1 alone"),
    ];
    let mut script = "try() { name=$1; shift; vm_anon_name \"$@\" > /tmp/out 2>&1 < /dev/null\n\
                      echo \"status $?\" >> /tmp/out; keep $name /tmp/out; }\n"
        .to_owned();
    for (name, words, _) in cases {
        script += &format!("try {name} {words}\n");
    }
    script += "try help --help\ntry version -V\ntry large -s 1000000G -q\n";
    let kept = guest::run(kernel, "usage", &script, DEADLINE)?;
    for (name, _, said) in cases {
        let text = kept.text(name)?;
        ensure!(
            text.contains(&format!("vm_anon_name: {said}")),
            "{name}: {text}"
        );
        ensure!(
            text.ends_with("status 2\n") && !text.contains("Press"),
            "{name}: {text}"
        );
    }
    let help = kept.text("help")?;
    ensure!(
        help.contains("--output DIR") && help.ends_with("status 0\n"),
        "{help}"
    );
    let version = kept.text("version")?;
    ensure!(
        version.starts_with("vm_anon_name 0.") && version.ends_with("status 0\n"),
        "{version}"
    );
    let large = kept.text("large")?;
    ensure!(large.contains("mmap: ENOMEM (12)"), "{large}");
    ensure!(large.ends_with("status 1\n"), "{large}");
    Ok(())
}

/// Files that are there stay whole until a new one is, and no part of one is left.
pub fn writes_whole_files_or_none(kernel: &Kernel) -> Result<()> {
    let script = r#"
try() {
    name=$1; shift
    "$@" > /tmp/out 2>&1 < /dev/null
    echo "status $?" >> /tmp/out
    keep $name /tmp/out
}
mkdir /full /read /good
mount -t tmpfs -o size=16k,nr_inodes=16 tmpfs /full
echo old > /full/maps_1_start.txt
dd if=/dev/zero of=/full/filler bs=1k 2> /dev/null
mount -t tmpfs tmpfs /read
echo old > /read/maps_1_start.txt
mount -o remount,ro /read
echo old > /good/maps_1_start.txt
try missing vm_anon_name -q -o /nowhere
try file vm_anon_name -q -o /init
try full vm_anon_name -q -o /full
try read vm_anon_name -q -o /read
try good vm_anon_name -q -o /good
ls -A /full /read /good > /tmp/list
keep list /tmp/list
keep full/old /full/maps_1_start.txt
keep read/old /read/maps_1_start.txt
keep good/new /good/maps_1_start.txt
"#;
    let kept = guest::run(kernel, "output", script, DEADLINE)?;
    for (name, said) in [
        (
            "missing",
            "vm_anon_name: /nowhere: ENOENT (2): no such file",
        ),
        ("file", "vm_anon_name: /init: ENOTDIR (20): not a directory"),
        (
            "full",
            "vm_anon_name: maps_1_start.txt: ENOSPC (28): no space left",
        ),
        (
            "read",
            "vm_anon_name: maps_1_start.txt: EROFS (30): read-only",
        ),
    ] {
        let text = kept.text(name)?;
        ensure!(
            text.contains(said) && text.ends_with("status 1\n"),
            "{name}: {text}"
        );
        ensure!(
            text.contains("Press enter to exit"),
            "{name} did not go on: {text}"
        );
    }
    ensure!(kept.text("good")?.ends_with("status 0\n"));
    ensure!(kept.text("full/old")? == "old\n" && kept.text("read/old")? == "old\n");
    ensure!(kept.text("good/new")?.contains("[stack]"));
    let list = kept.text("list")?;
    let names: Vec<&str> = list.split_whitespace().collect();
    let expected = [
        &["/full:", "filler", "maps_1_start.txt", "/good:"][..],
        &FILES,
        &["/read:", "maps_1_start.txt"],
    ];
    ensure!(names == expected.concat(), "{list}");
    Ok(())
}
