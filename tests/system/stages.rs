//! The four stages, on every kernel of the matrix.
//!
//! They run as PID 1, with and without a terminal, and as the child of a shell, where another
//! process copies the maps at each pause, and GNU diff compares the copies.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use guest_agent::{MAPS_FILES, PROMPT};
use regex::Regex;
use rig::conformance::is_older;
use rig::guest::{self, Kept};
use rig::kernels::Kernel;
use rig::picture;
use rig::program::Build;

use crate::machine::{TIMEOUT, answer_prompts, with_program};
use crate::messages::{SAME_MAPS, powers_off_with, unknown_word, unsupported};
use crate::transcript;
use crate::trial::Trial;

const DEFAULT_NAME: &str = "/secret/mem/area";

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    trials.extend(Trial::on_matrix("transcript on a terminal", transcript));
    trials.extend(Trial::on_matrix("changes of the maps", changes));
    trials.extend(Trial::on_matrix_with_shell(
        "diffs and files in a shell",
        shell,
    ));
    trials.push(Trial::on_default("whole maps", whole_maps));
    trials.push(Trial::new("the drawing in README.md", drawing));
    trials.extend(Trial::on_targets("minimal build", minimal_build));
    trials.push(Trial::on_default("input from pipes", pipes));
    trials.push(Trial::on_default("input from terminals", terminals));
    trials.push(Trial::on_default("usage errors", usage_errors));
    trials
}

/// With `-q`, on a terminal that echoes Enter, the console shows the reference transcript.
fn transcript(kernel: &'static Kernel) -> Result<()> {
    let machine = with_program(kernel, Build::Full, "transcript", &["-q"])?;
    let mut session = machine.boot(TIMEOUT)?;
    let text = answer_prompts(&mut session, "\r")?;
    let status = if kernel.names { 0 } else { 4 };
    let end = format!("\r*\n{}", powers_off_with(status));
    let (rest, _) = session.expect(&end)?;
    session.finish()?.expect_power_off()?;
    let text = text + &rest;
    if kernel.names {
        let numbers = transcript::check(&text, DEFAULT_NAME)?;
        let is_right = numbers.pid == 1 && numbers.size == kernel.pages.bytes() as u64;
        ensure!(is_right, "{numbers:?}");
        return Ok(());
    }
    let message = Regex::new(r"(?m)^vm_anon_name: prctl.*\n")?;
    let found = message.find(&text).context("no message")?.as_str();
    let reason = unsupported(kernel)?;
    ensure!(
        found.contains("EINVAL (22)") && found.contains(reason),
        "{found}"
    );
    transcript::check_unnamed(&message.replace(&text, ""))
}

/// The new page extends the VMA above it, naming splits that VMA, unmapping removes the
/// named part, and the last maps equal the first. The pictures show that.
fn changes(kernel: &'static Kernel) -> Result<()> {
    let machine = with_program(kernel, Build::Full, "changes", &["-y"])?;
    let boot = machine.run(TIMEOUT)?;
    boot.expect_power_off()?;
    let text = boot.text();
    ensure!(text.contains(SAME_MAPS), "{text}");
    let (_, changes) = text.split_once(PROMPT).context("no prompt")?;
    check_changes(&indented_lines(changes), kernel)
        .and_then(|()| check_pictures(&text, kernel))
        .with_context(|| text.clone())
}

/// A line at each stage, and all of them at the end.
fn check_pictures(text: &str, kernel: &Kernel) -> Result<()> {
    let (name, munmap) = match kernel.names {
        true => (
            " 3 name   | # | .   .   .   .   .   . |  1 + 6 pages: split\n",
            " 4 munmap     | .   .   .   .   .   . |  6 pages: gone\n",
        ),
        false => (
            " 3 name   | .   .   .   .   .   .   . |  7 pages\n",
            " 4 munmap     | .   .   .   .   .   . |  6 pages: shrunk\n",
        ),
    };
    let picture = [
        " 1 start      | .   .   .   .   .   . |  6 pages\n",
        " 2 mmap   | .   .   .   .   .   .   . |  7 pages: grown\n",
        name,
        munmap,
    ];
    for line in picture {
        ensure!(text.matches(line).count() == 2, "not twice: {line}");
    }
    let all = format!("\n{}{SAME_MAPS}", picture.concat());
    ensure!(text.contains(&all), "not at the end: {all}");
    Ok(())
}

/// The drawing is that of a real run.
fn drawing() -> Result<()> {
    let path = picture::path();
    let drawn = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    ensure!(
        drawn == picture::draw()?,
        "{} is not up to date; `cargo xtask picture` draws it anew",
        path.display()
    );
    Ok(())
}

/// With `-m`, each stage shows the whole maps, with marks on the lines that changed. Without
/// the marks, they are the maps files.
fn whole_maps(kernel: &'static Kernel) -> Result<()> {
    let script =
        "mkdir /tmp/out; vm_anon_name -ymo /tmp/out > /tmp/stdout && keep stdout /tmp/stdout
                  for file in /tmp/out/*; do keep ${file##*/} $file; done";
    let kept = guest::run(kernel, "system-whole-maps", script, TIMEOUT)?;
    let stdout = kept.text("stdout")?;
    let marks = [
        String::new(),
        "><".to_owned(),
        "<>>".to_owned(),
        "<".to_owned(),
    ];
    ensure!(stdout.matches(PROMPT).count() == marks.len(), "{stdout}");
    for ((step, file), expected) in stdout.split(PROMPT).zip(MAPS_FILES).zip(marks) {
        let lines = step.lines().filter(|line| {
            line.starts_with("  ") || line.starts_with("> ") || line.starts_with("< ")
        });
        let lines: Vec<&str> = lines.collect();
        let found = lines.iter().filter_map(|line| line.chars().next());
        let found: String = found.filter(|mark| *mark != ' ').collect();
        ensure!(found == expected, "{file}: {found}\n{step}");
        let current = lines.iter().filter(|line| !line.starts_with('<'));
        let maps: String = current.flat_map(|line| [&line[2..], "\n"]).collect();
        ensure!(maps == kept.text(file)?, "{file}\n{step}");
    }
    Ok(())
}

fn check_changes(changes: &str, kernel: &Kernel) -> Result<()> {
    let addresses = "([0-9a-f]+)-([0-9a-f]+)";
    let unnamed = format!("{addresses} rw-p 00000000 00:00 0 ");
    // A 32-bit kernel pads the fields to a smaller column.
    let named = format!(r"{unnamed} {{9,}}\[anon:{DEFAULT_NAME}\]");
    let mapped = format!(r"(\d+)c(\d+)\n< {unnamed}\n---\n> {unnamed}\n");
    let split = format!(r"(\d+)c(\d+),(\d+)\n< {unnamed}\n---\n> {named}\n> {unnamed}\n");
    let removed = format!(r"(\d+)d(\d+)\n< {named}\n");
    let pattern = match kernel.names {
        true => format!("^{mapped}{split}{removed}$"),
        // Without a name, unmapping reverts the first change.
        false => format!("^{mapped}{mapped}$"),
    };
    let groups = Regex::new(&pattern)?.captures(changes);
    let groups = groups.with_context(|| format!("the diffs do not match {pattern}"))?;
    let line = |group: usize| groups[group].parse::<u64>();
    let address = |group: usize| u64::from_str_radix(&groups[group], 16);
    let range = |group: usize| Ok::<_, anyhow::Error>((address(group)?, address(group + 1)?));

    let page = kernel.pages.bytes() as u64;
    let at = line(1)?;
    let neighbour = range(3)?;
    let extended = (neighbour.0 - page, neighbour.1);
    ensure!(line(2)? == at, "the change is not in one line");
    ensure!(range(5)? == extended, "not extended by a page");
    ensure!(neighbour.1 - neighbour.0 == 6 * page, "not six pages");
    if kernel.names {
        let page = (extended.0, neighbour.0);
        ensure!(
            (line(7)?, line(8)?, line(9)?) == (at, at, at + 1),
            "not one line in two"
        );
        ensure!(range(10)? == extended, "another VMA is split");
        ensure!(
            (range(12)?, range(14)?) == (page, neighbour),
            "not split after the page"
        );
        ensure!(
            (line(16)?, line(17)?) == (at, at - 1),
            "another line is removed"
        );
        ensure!(range(18)? == page, "another VMA is removed");
    }
    Ok(())
}

/// The minimal build prints the same transcript, and powers off.
fn minimal_build(kernel: &'static Kernel) -> Result<()> {
    let machine = with_program(kernel, Build::Minimal, "minimal", &[])?;
    let mut session = machine.boot(TIMEOUT)?;
    let text = answer_prompts(&mut session, "\r")?;
    let (rest, _) = session.expect(r"\[ *[0-9.]*\] reboot|reboot:")?;
    session.finish()?.expect_power_off()?;
    let numbers = transcript::check(&(text + &rest), DEFAULT_NAME)?;
    ensure!(numbers.size == kernel.pages.bytes() as u64, "{numbers:?}");
    Ok(())
}

/// A shell function that runs the stages. The first word names the files that it keeps, the
/// others are options. At each pause another process copies the maps.
const STAGES: &str = r#"
mkfifo /tmp/keys
stages() {
    name=$1; shift
    # The prompts of an earlier run must not count.
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

/// A run of the stages in a shell.
struct ShellRun {
    /// The prefix of the names of its files.
    name: &'static str,
    options: String,
    /// The name that it gives to the mapping.
    given: &'static str,
    /// The size of the mapping.
    size: usize,
}

/// The diffs are those of GNU diff for the copies that another process made, and the maps
/// files equal these copies.
fn shell(kernel: &'static Kernel) -> Result<()> {
    let page = kernel.pages.bytes();
    let run = |name, options: &str, given, size| ShellRun {
        name,
        options: options.to_owned(),
        given,
        size,
    };
    let runs = [
        run("plain", "", DEFAULT_NAME, page),
        run("shared", "-S", DEFAULT_NAME, page),
        run(
            "pages",
            &format!("--size={}", 3 * page - 1),
            DEFAULT_NAME,
            3 * page,
        ),
        run("large", "-s 4M", DEFAULT_NAME, 4 << 20),
        run("name", "-n ' Go: heap '", " Go: heap ", page),
        run("empty", "-n ''", "", page),
        run("refused", "--name 'a[b'", "", page),
    ];
    let mut script = STAGES.to_owned();
    for run in &runs {
        script += &format!("stages {} {}\n", run.name, run.options);
    }
    let log = format!("system-shell-{}", kernel.name);
    let kept = guest::run(kernel, &log, &script, TIMEOUT)?;
    for run in &runs {
        check_diffs(&kept, run.name)
            .and_then(|()| check_result(&kept, run, kernel))
            .with_context(|| run.name)?;
    }
    Ok(())
}

fn check_diffs(kept: &Kept, name: &str) -> Result<()> {
    for file in MAPS_FILES {
        let copy = kept.bytes(&format!("{name}/copy/{file}"))?;
        let written = kept.bytes(&format!("{name}/output/{file}"))?;
        ensure!(copy == written, "{file} is not the output of cat");
    }
    let stdout = kept.text(&format!("{name}/stdout"))?;
    let steps: Vec<String> = stdout.split(PROMPT).map(indented_lines).collect();
    let first = kept.text(&format!("{name}/copy/{}", MAPS_FILES[0]))?;
    ensure!(steps[0] == first, "not the whole maps\n{}", steps[0]);
    for (step, files) in steps[1..].iter().zip(MAPS_FILES.windows(2)) {
        let copy = |file: &str| kept.bytes(&format!("{name}/copy/{file}"));
        let expected = gnu_diff(copy(files[0])?, copy(files[1])?)?;
        ensure!(*step == expected, "{files:?}\n{step}GNU diff:\n{expected}");
    }
    ensure!(stdout.ends_with(SAME_MAPS), "{stdout}");
    Ok(())
}

/// The lines that are indented by two spaces, without the indentation.
fn indented_lines(text: &str) -> String {
    let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn gnu_diff(old: &[u8], new: &[u8]) -> Result<String> {
    let directory = tempfile::tempdir()?;
    let (a, b) = (directory.path().join("a"), directory.path().join("b"));
    fs::write(&a, old)?;
    fs::write(&b, new)?;
    let output = Command::new("diff").arg(a).arg(b).output();
    let output = output.context("cannot run diff")?;
    let is_success = output.status.code().is_some_and(|code| code < 2);
    ensure!(is_success, "diff failed: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Checks the exit status, the message and the transcript for this kernel.
fn check_result(kept: &Kept, run: &ShellRun, kernel: &Kernel) -> Result<()> {
    let name = run.name;
    let (expected, reason) = match name {
        _ if !kernel.names => (4, unsupported(kernel)?),
        "shared" if is_older(&kernel.version()?, (6, 2)) => {
            (4, "EBADF (9): shared memory can be named since Linux 6.2")
        }
        "refused" => (1, "EINVAL (22): a name cannot contain '['"),
        _ => (0, ""),
    };
    let status: u8 = kept.text(&format!("{name}/status"))?.trim().parse()?;
    let stderr = kept.text(&format!("{name}/stderr"))?;
    ensure!(
        status == expected,
        "exit status {status}, not {expected}\n{stderr}"
    );
    match reason {
        "" => ensure!(stderr.is_empty(), "{stderr}"),
        reason => ensure!(stderr.trim_end().ends_with(reason), "{stderr}"),
    }
    let transcript = as_quiet(kept.text(&format!("{name}/stdout"))?);
    if status != 0 {
        return transcript::check_unnamed(&transcript);
    }
    let numbers = transcript::check(&transcript, run.given)?;
    ensure!(numbers.size == run.size as u64, "{numbers:?}");
    Ok(())
}

/// The output of `-q`, made from the output without it.
fn as_quiet(stdout: &str) -> String {
    let is_transcript =
        |line: &&str| !line.starts_with(' ') && *line != "The maps did not change.\n";
    let text: String = stdout.split_inclusive('\n').filter(is_transcript).collect();
    let last_prompt = format!("{PROMPT}exit");
    text.replace(
        &format!("txt\n\n\n{last_prompt}"),
        &format!("txt\n\n{last_prompt}"),
    )
    .replace(&format!("txt\n\n{SAME_MAPS}"), "txt\n")
}

/// The transcript is the same with each kind of input: lines that end with a newline, a
/// carriage return or both, and input that ends early.
fn pipes(kernel: &'static Kernel) -> Result<()> {
    let inputs = [
        ("newlines", r"printf '\n\n\n\n' | vm_anon_name -q"),
        ("returns", r"printf '\r\r\r\r' | vm_anon_name -q"),
        ("both", r"printf '\r\n\r\n\r\n\r\n' | vm_anon_name -q"),
        ("words", r"printf 'a\nb c\n\nd\n' | vm_anon_name -q"),
        ("few", r"printf '\n' | vm_anon_name -q"),
        ("partial", r"printf '\nx' | vm_anon_name -q"),
        ("none", "vm_anon_name -q < /dev/null"),
        ("yes", "vm_anon_name -q -y"),
        ("clustered", "vm_anon_name -qy < /dev/null"),
        (
            "slow",
            "(for i in 1 2 3 4; do sleep 0.1; echo; done) | vm_anon_name -q",
        ),
    ];
    let mut script = String::new();
    for (name, command) in inputs {
        script += &format!("{{ {command}; }} > /tmp/out 2>&1\nkeep {name} /tmp/out\n");
    }
    let kept = guest::run(kernel, "system-pipes", &script, TIMEOUT)?;
    for (name, _) in inputs {
        transcript::check(kept.text(name)?, DEFAULT_NAME).with_context(|| name)?;
    }
    Ok(())
}

/// The transcript is the same on each kind of terminal: one that echoes and translates Enter,
/// and one that does not.
fn terminals(kernel: &'static Kernel) -> Result<()> {
    const RAW: &str = "stty raw -echo opost onlcr";
    for (setting, key) in [
        ("", "\r"),
        ("", "\n"),
        ("stty -echo", "\r"),
        (RAW, "\r"),
        (RAW, "\n"),
    ] {
        terminal(kernel, setting, key).with_context(|| format!("{setting:?}, {key:?}"))?;
    }
    Ok(())
}

fn terminal(kernel: &Kernel, setting: &str, key: &str) -> Result<()> {
    let script = format!("{setting}\nvm_anon_name -q\nstatus=$?\nstty sane\necho status $status\n");
    let mut machine = kernel.machine(&guest::initramfs(&script)?.write("system-terminal")?)?;
    machine.name = "system-terminal".to_owned();
    let mut session = machine.boot(TIMEOUT)?;
    let text = answer_prompts(&mut session, key)?;
    let (rest, _) = session.expect("status 0\r*\n")?;
    session.finish()?.expect_power_off()?;
    // A terminal shows nothing for a carriage return that it echoes.
    let text = (text + &rest).replace('\r', "");
    transcript::check(&text, DEFAULT_NAME)?;
    Ok(())
}

/// A usage error names the word and the mistake, and no stage runs.
fn usage_errors(kernel: &'static Kernel) -> Result<()> {
    const SIZE: &str = "give a size above 0, such as 64K, 2M or 1G";
    let message = |word: &str, text: &str| format!("vm_anon_name: '{word}': {text}");
    let errors = [
        ("--no-such", unknown_word("--no-such")),
        ("stagse", unknown_word("stagse")),
        ("-n", message("-n", "it needs a value")),
        ("-s 0", message("0", SIZE)),
        ("-s 4KB", message("4KB", SIZE)),
        ("-s 99999999999G", message("99999999999G", SIZE)),
        ("--quiet=1", message("--quiet=1", "it takes no value")),
        ("--then halt", message("--then", "this is for PID 1 alone")),
        (
            "-s probe",
            message("probe", "a command, where a value is needed"),
        ),
        ("probe check", message("check", "a second command")),
        (
            "probe -s 4",
            message("--size", "it has no effect with this command"),
        ),
    ];
    let mut script = "try() { name=$1; shift; vm_anon_name \"$@\" > /tmp/out 2>&1 < /dev/null\n\
                      echo \"status $?\" >> /tmp/out; keep $name /tmp/out; }\n"
        .to_owned();
    for (index, (words, _)) in errors.iter().enumerate() {
        script += &format!("try {index} {words}\n");
    }
    script += "try help --help\ntry version -V\ntry large -s 1000000G -q\n";
    let kept = guest::run(kernel, "system-usage", &script, TIMEOUT)?;
    for (index, (words, expected)) in errors.iter().enumerate() {
        let text = kept.text(&index.to_string())?;
        ensure!(text.contains(expected), "{words}: {text}");
        ensure!(text.ends_with("status 2\n"), "{words}: {text}");
        ensure!(!text.contains("Press"), "{words}: {text}");
    }
    for (name, expected, status) in [
        ("help", "--output DIR", "status 0\n"),
        ("version", "vm_anon_name ", "status 0\n"),
        ("large", "mmap: ENOMEM (12)", "status 1\n"),
    ] {
        let text = kept.text(name)?;
        ensure!(
            text.contains(expected) && text.ends_with(status),
            "{name}: {text}"
        );
    }
    ensure!(kept.text("version")?.starts_with("vm_anon_name 0."));
    Ok(())
}
