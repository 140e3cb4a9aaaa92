//! Board labs: LAVA jobs, run by LAVA's dispatcher, and the test definition for KernelCI.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use rig::boards::{self, Board};
use rig::fleet::{self, Fleet, Place};
use rig::kernels::{self, Kernel};
use rig::lava::{self, Device, Dispatcher, Files, Test};
use rig::report::{KtapReport, Outcome};
use rig::{conformance, guest, paths};
use serde_json::{Value, json};

use crate::{browser, trial};

/// The longest time for a boot.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Two kernels that differ, one that cannot name memory, and one of another architecture.
const FEW: [&str; 4] = ["6.1", "6.12", "debian-6.1", "x86_64-6.12"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("labs::LAVA jobs and page for four kernels", || {
            let kernels: Result<Vec<_>> = FEW.into_iter().map(kernels::find).collect();
            whole_fleet(&kernels?)
        }),
        trial("labs::LAVA jobs and page for all kernels", || {
            whole_fleet(&kernels::matrix().collect::<Vec<_>>())
        })
        .with_ignored_flag(true),
        trial("labs::LAVA jobs for a board", || {
            boards_pass(|board| board.is_quick)
        }),
        trial("labs::LAVA jobs for all boards", || boards_pass(|_| true)).with_ignored_flag(true),
        trial("labs::LAVA job that expects another case", another_case),
        trial("labs::LAVA jobs for a Raspberry Pi 4", raspberry_pi_4),
        trial("labs::LAVA jobs for another lab", another_lab),
        trial("labs::KernelCI test definition", test_definition),
    ]
}

/// All jobs end as expected. The JUnit file has each result, and the page shows in a browser
/// where the kernels differ.
fn whole_fleet(kernels: &[&'static Kernel]) -> Result<()> {
    let places: Vec<Place> = kernels.iter().copied().map(Place::Kernel).collect();
    let fleet = Fleet::run(&places)?;
    let directory = paths::emptied(paths::scratch("fleet")?)?;
    fleet.write(&directory)?;
    for run in fleet.runs() {
        ensure!(run.is_ok(), "{run}");
    }
    let reports = fleet.runs().filter_map(|run| run.report.as_ref());
    let results: usize = reports.map(|report| report.cases.len()).sum();
    let junit = fs::read_to_string(directory.join("junit.xml"))?;
    // Each kernel has one more test case, for the run itself.
    let written = junit.matches("<testcase ").count();
    ensure!(written == results + kernels.len(), "{written} test cases");
    let page = browser::evaluate(&directory.join("index.html"), FACTS)?;
    check_page(kernels, &fleet, &page)
}

/// All jobs end as expected on the boards that are `chosen`.
fn boards_pass(chosen: fn(&Board) -> bool) -> Result<()> {
    let boards = boards::ALL.iter().filter(|board| chosen(board));
    let places: Vec<Place> = boards.map(Place::Board).collect();
    for run in Fleet::run(&places)?.runs() {
        ensure!(run.is_ok(), "{run}");
    }
    Ok(())
}

/// What a reader of the page sees.
const FACTS: &str = "
    const isVisible = row => row.getClientRects().length > 0;
    const rows = [...document.querySelectorAll('#cases tbody tr')];
    const name = row => row.cells[0].textContent;
    const words = cells => [...cells].map(cell => cell.textContent);
    const back = word => {
        const cell = document.querySelector(`#cases td.${word}:not(.lacking)`);
        return cell && getComputedStyle(cell).backgroundColor;
    };
    const first = rows.filter(isVisible).map(name);
    const colours = ['pass', 'skip'].map(back);
    document.getElementById('every').click();
    return {
        title: document.title,
        columns: words(document.querySelectorAll('#cases thead th')),
        first, colours,
        all: rows.filter(isVisible).length,
        reasons: rows.filter(row => row.cells[row.cells.length - 1].innerText != '').map(name),
        kernels: [...document.querySelectorAll('#kernels tbody tr')].map(row => words(row.cells)),
        isTooWide: document.documentElement.scrollWidth > innerWidth,
    };
";

fn check_page(kernels: &[&'static Kernel], fleet: &Fleet, page: &Value) -> Result<()> {
    let title = format!("vm_anon_name on {} kernels", kernels.len());
    ensure!(page["title"] == title.as_str(), "{page:#}");
    let names = kernels.iter().map(|kernel| kernel.name);
    let columns: Vec<&str> = ["Case"]
        .into_iter()
        .chain(names)
        .chain(["Reason"])
        .collect();
    ensure!(page["columns"] == json!(columns), "{page:#}");
    // Before the click, a row is visible if a kernel that can name memory does not pass the case.
    let runs: Vec<_> = kernels.iter().zip(fleet.runs()).collect();
    let first = runs.iter().find_map(|(_, run)| run.report.as_ref());
    let cases = &first.context("no report")?.cases;
    let deviates = |name: &str| {
        let with_names = runs.iter().filter(|(kernel, _)| kernel.names);
        let mut results = with_names.filter_map(|(_, run)| run.report.as_ref()?.case(name));
        results.any(|case| case.outcome != Outcome::Passed)
    };
    let names = cases.iter().map(|case| case.name.as_str());
    let expected: Vec<&str> = names.filter(|name| deviates(name)).collect();
    ensure!(!expected.is_empty(), "the kernels do not differ");
    ensure!(page["first"] == json!(expected), "{page:#}");
    ensure!(page["reasons"] == json!(expected), "{page:#}");
    ensure!(page["all"] == cases.len(), "{page:#}");
    let colours = &page["colours"];
    ensure!(colours[0].is_string(), "{page:#}");
    ensure!(
        colours[1].is_string() && colours[0] != colours[1],
        "{page:#}"
    );
    ensure!(page["isTooWide"] == false, "{page:#}");
    let rows = page["kernels"].as_array().context("no table of kernels")?;
    ensure!(rows.len() == runs.len(), "{page:#}");
    for ((kernel, run), row) in runs.iter().zip(rows) {
        let verdict = match kernel.names {
            true => "supported ",
            false => "built-without ",
        };
        let passed = run
            .report
            .as_ref()
            .map(|report| report.passed().to_string());
        ensure!(row[0] == kernel.name && row[4] == "as expected", "{page:#}");
        ensure!(row[5].as_str() == passed.as_deref(), "{page:#}");
        let text = row[9].as_str().unwrap_or_default();
        let is_older = text.starts_with("too-old ") && !kernel.names;
        ensure!(text.starts_with(verdict) || is_older, "{page:#}");
    }
    Ok(())
}

/// The dispatcher exits with success whatever the cases say. A case that the job expects and
/// the program does not have is a failure in the results.
fn another_case() -> Result<()> {
    let kernel = kernels::find(kernels::DEFAULT)?;
    let initramfs = conformance::initramfs(kernel.target, "labs-another-case")?;
    let machine = kernel.machine(&initramfs)?;
    let device = Device::qemu(kernel.name, &machine);
    let mut cases = fleet::cases(kernel)?;
    cases.push("no-such-case".to_owned());
    let job = lava::job(Test::Check, &device, &Files::of(&machine), &cases)?;
    let finished = Dispatcher::open()?.run(&device, &job, "another-case")?;
    let results = finished.results_of(Test::Check)?;
    let failed = results.iter().filter(|result| result.result == "fail");
    let failed: Vec<&str> = failed.map(|result| result.case.as_str()).collect();
    ensure!(failed == ["no_such_case"], "{failed:?}");
    ensure!(results.len() == cases.len(), "{} results", results.len());
    Ok(())
}

/// The jobs fit LAVA's schema and the device, and the program understands the command line
/// that U-Boot would pass.
fn raspberry_pi_4() -> Result<()> {
    let dispatcher = Dispatcher::open()?;
    let device = Device::raspberry_pi_4("https://lab/bcm2711-rpi-4-b.dtb");
    let files = Files {
        kernel: "https://lab/Image".to_owned(),
        ramdisk: "https://lab/vm_anon_name-aarch64.cpio".to_owned(),
    };
    let cases = ["name-is-shown".to_owned()];
    for (test, action) in [
        (Test::Probe, "lava-test-monitor"),
        (Test::Check, "lava-test-monitor"),
        (Test::Stages, "lava-test-interactive"),
    ] {
        let job = lava::job(test, &device, &files, &cases)?;
        let parsed = dispatcher.parse(&device, &job, &format!("pi-{}", test.name()))?;
        for action in ["tftp-deploy", "uboot-commands", "reset-device", action] {
            let has = parsed.actions.iter().any(|it| it == action);
            ensure!(has, "no action {action} in {:?}", parsed.actions);
        }
        if test != Test::Stages {
            boots_with(&boot_arguments(&parsed.device)?, test)?;
        }
    }
    Ok(())
}

/// The command line of the kernel in the commands for U-Boot.
fn boot_arguments(device: &Value) -> Result<String> {
    let commands = &device["actions"]["boot"]["methods"]["u-boot"]["ramdisk"]["commands"];
    let commands = commands.as_array().into_iter().flatten();
    let mut commands = commands.filter_map(Value::as_str);
    let quoted = commands.find_map(|command| command.strip_prefix("setenv bootargs "));
    let quoted = quoted.with_context(|| format!("no bootargs in {device:#}"))?;
    Ok(quoted.trim_matches('\'').to_owned())
}

fn boots_with(arguments: &str, test: Test) -> Result<()> {
    let kernel = kernels::find(kernels::DEFAULT)?;
    let name = format!("labs-pi-{}", test.name());
    let initramfs = conformance::initramfs(kernel.target, &name)?;
    let mut machine = kernel.machine(&initramfs)?;
    machine.name = name;
    // This machine has another serial line.
    let is_serial = |word: &&str| word.starts_with("console=") || word.starts_with("earlycon=");
    let words = arguments.split(' ').filter(|word| !is_serial(word));
    machine.append = words.collect::<Vec<_>>().join(" ");
    let boot = machine.run(TIMEOUT)?;
    boot.expect_power_off()?;
    let (text, result) = (boot.text(), "# vm_anon_name: ");
    ensure!(boot.status() == Some(0) && text.contains(result), "{text}");
    Ok(())
}

/// The jobs fetch their files from the lab's address, and are valid.
fn another_lab() -> Result<()> {
    let kernel = kernels::find(kernels::DEFAULT)?;
    let directory = paths::emptied(paths::scratch("labs-jobs")?)?;
    fleet::write_jobs(&[kernel], "https://lab/files", &directory)?;
    let initramfs = conformance::initramfs(kernel.target, "labs-another-lab")?;
    let device = Device::qemu(kernel.name, &kernel.machine(&initramfs)?);
    let dispatcher = Dispatcher::open()?;
    for test in Test::ALL {
        let name = format!("{}-{}", kernel.name, test.name());
        let job = fs::read_to_string(directory.join(format!("{name}.yaml")))?;
        for address in [
            "https://lab/files/6.12/Image",
            "https://lab/files/vm_anon_name-aarch64.cpio",
        ] {
            ensure!(job.contains(&format!("url: {address}\n")), "{job}");
        }
        let parsed = dispatcher.parse(&device, &job, &format!("another-lab-{name}"))?;
        let command = &parsed.device["actions"]["boot"]["methods"]["qemu"]["parameters"];
        ensure!(command["command"] == "qemu-system-aarch64", "{command:#}");
    }
    Ok(())
}

/// Replaces send-to-lava.sh of Linaro's test-definitions, which reports each line to LAVA.
const SEND: &str = "#!/bin/sh
while read name result; do echo \"sent: $name: $result\"; done < \"$1\"
";

/// The steps of the definition report each case and the whole run: on a kernel that can name
/// memory, on one that cannot, and without /proc, where no case can run.
fn test_definition() -> Result<()> {
    let directory = paths::workspace().join("tests/labs/kernelci");
    let definition = Dispatcher::open()?.read_yaml(&directory.join("vm_anon_name.yaml"))?;
    let steps = definition["run"]["steps"].as_array().into_iter().flatten();
    let steps: Vec<&str> = steps.filter_map(Value::as_str).collect();
    let script = fs::read_to_string(directory.join("vm_anon_name.sh"))?;
    for (kernel, preparation, whole) in [
        (kernels::DEFAULT, "", "pass"),
        ("debian-6.1", "", "skip"),
        (kernels::DEFAULT, "umount /proc", "fail"),
    ] {
        let commands = format!(
            "export PROGRAM=/bin/vm_anon_name\n{preparation}\ncd /test\n{}\n",
            steps.join("\n")
        );
        let name = format!("labs-kernelci-{kernel}-{whole}");
        let initramfs = guest::initramfs(&commands)?
            .directory("/test", 0o755)
            .directory("/test/automated", 0o755)
            .directory("/test/automated/linux", 0o755)
            .directory("/test/automated/linux/vm_anon_name", 0o755)
            .file(
                "/test/automated/linux/vm_anon_name/vm_anon_name.sh",
                0o755,
                script.clone(),
            )
            .directory("/test/automated/utils", 0o755)
            .file("/test/automated/utils/send-to-lava.sh", 0o755, SEND)
            .write(&name)?;
        let mut machine = kernels::find(kernel)?.machine(&initramfs)?;
        machine.name = name;
        let boot = machine.run(TIMEOUT)?;
        boot.expect_power_off()?;
        let text = boot.text();
        let sent: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("sent: "))
            .collect();
        let mut expected = match whole {
            "fail" => Vec::new(),
            _ => outcomes(&KtapReport::read(&text)?),
        };
        expected.push(format!("vm_anon_name: {whole}"));
        ensure!(sent == expected, "{sent:?}\nnot {expected:?}\n{text}");
    }
    Ok(())
}

fn outcomes(report: &KtapReport) -> Vec<String> {
    let word = |outcome: &Outcome| match outcome {
        Outcome::Passed => "pass",
        Outcome::Failed => "fail",
        Outcome::Skipped(_) => "skip",
    };
    let cases = report.cases.iter();
    cases
        .map(|case| format!("{}: {}", case.name, word(&case.outcome)))
        .collect()
}
