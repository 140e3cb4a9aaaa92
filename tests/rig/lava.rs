//! LAVA, which board labs run: job files for it, and its dispatcher on this machine.
//!
//! A job file is made from two templates in `tests/labs/lava`: that of a test extends that of
//! a device. The dispatcher comes from Debian's packages, which are unpacked
//! and not installed, and from Python packages in the cache. It runs a job as in a lab, but
//! without a server.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use minijinja::Environment;
use minijinja::value::Serde;
use serde_json::{Value, json};

use crate::debian;
use crate::paths;
use crate::python;
use crate::qemu::{Machine, Serial};
use crate::tool;

const TEMPLATES: [(&str, &str); 5] = [
    (QEMU, include_str!("../labs/lava/qemu.yaml.jinja2")),
    (
        RASPBERRY_PI_4,
        include_str!("../labs/lava/raspberry-pi-4.yaml.jinja2"),
    ),
    ("probe", include_str!("../labs/lava/probe.yaml.jinja2")),
    ("check", include_str!("../labs/lava/check.yaml.jinja2")),
    ("stages", include_str!("../labs/lava/stages.yaml.jinja2")),
];
const QEMU: &str = "qemu";
const RASPBERRY_PI_4: &str = "raspberry-pi-4";

const REQUIREMENTS: &str = include_str!("../labs/lava/requirements.txt");

/// Path of the script that calls the dispatcher.
const SCRIPT: &str = "tests/labs/lava/run_job.py";

/// A device dictionary in the form in which a lab has it, with the commands that drive the
/// power switch and the serial line of a board.
const BOARD: &str = "\
{% extends 'bcm2711-rpi-4-b.jinja2' %}
{% set connection_command = 'telnet lab 7001' %}
{% set hard_reset_command = 'pduclient --daemon lab --hostname pdu --port 1 --command reboot' %}
{% set power_on_command = 'pduclient --daemon lab --hostname pdu --port 1 --command on' %}
{% set power_off_command = 'pduclient --daemon lab --hostname pdu --port 1 --command off' %}
";

/// What a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// `probe`
    Probe,
    /// `check`
    Check,
    /// The stages, with a dialogue.
    Stages,
}

impl Test {
    /// All tests.
    pub const ALL: [Self; 3] = [Test::Probe, Test::Check, Test::Stages];

    /// Name of the template, and of the suite of the results.
    pub fn name(self) -> &'static str {
        match self {
            Test::Probe => "probe",
            Test::Check => "check",
            Test::Stages => "stages",
        }
    }
}

/// A device that runs jobs.
#[derive(Clone, Debug)]
pub struct Device {
    /// What a lab knows of the device, as a template.
    dictionary: String,
    /// What a job says of it, as variables of the templates.
    machine: Value,
}

impl Device {
    /// A QEMU machine; `name` is that of its kernel or board.
    pub fn qemu(name: &str, machine: &Machine) -> Self {
        // With LAVA's -nographic, a PC's firmware would use the serial line, and clear the screen
        // before the first line of the program. graphics=on prevents that.
        let board = format!("{},graphics=on", machine.board);
        let mut options = vec!["-machine", &board, "-cpu", &machine.cpu];
        options.extend(["-accel", &machine.accelerator, "-no-reboot"]);
        options.extend(machine.extra_qemu.iter().map(String::as_str));
        if machine.serial == [Serial::SecondOnboard] {
            options.extend(["-serial", "null", "-serial", "mon:stdio"]);
        }
        Self {
            dictionary: "{% extends 'qemu.jinja2' %}\n".to_owned(),
            machine: json!({
                "frame": QEMU,
                "name": name,
                "arch": machine.target.name,
                "memory_mib": machine.memory_mib,
                "options": options,
                "console": machine.consoles.join(" console="),
                "parameters": machine.append,
            }),
        }
    }

    /// A Raspberry Pi 4. `dtb` is the address of its device tree.
    pub fn raspberry_pi_4(dtb: &str) -> Self {
        Self {
            dictionary: BOARD.to_owned(),
            machine: json!({"frame": RASPBERRY_PI_4, "dtb": dtb}),
        }
    }
}

/// Addresses of the files that a job boots.
#[derive(Clone, Debug)]
pub struct Files {
    /// The kernel.
    pub kernel: String,
    /// The initramfs.
    pub ramdisk: String,
}

impl Files {
    /// The files that the machine boots, on this host.
    pub fn of(machine: &Machine) -> Self {
        let address = |path: &Path| format!("file://{}", path.display());
        Self {
            kernel: address(&machine.kernel),
            ramdisk: address(&machine.initramfs),
        }
    }
}

/// The text of a job file. The job for `check` expects exactly these cases.
pub fn job(test: Test, device: &Device, files: &Files, cases: &[String]) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.add_filter("case_id", |name: &str| case_id(name));
    for (name, text) in TEMPLATES {
        environment.add_template(name, text)?;
    }
    let variables = minijinja::Value::from(Serde(json!({
        "test": test.name(),
        "machine": device.machine,
        "kernel": files.kernel,
        "ramdisk": files.ramdisk,
        "cases": cases,
    })));
    let text = environment.get_template(test.name())?.render(variables)?;
    Ok(format!("{}\n", text.trim()))
}

/// The name that LAVA gives to the results of a case.
pub fn case_id(name: &str) -> String {
    let is_kept = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = name.split(|character| !is_kept(character));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("_")
}

/// LAVA's dispatcher.
#[derive(Debug)]
pub struct Dispatcher {
    /// Python with the packages that the dispatcher imports.
    python: PathBuf,
    /// Value of PYTHONPATH.
    modules: OsString,
    /// Templates of device dictionaries.
    device_types: PathBuf,
}

/// A job as the dispatcher has parsed it.
#[derive(Debug)]
pub struct Parsed {
    /// Configuration of the device.
    pub device: Value,
    /// Names of the actions in their order.
    pub actions: Vec<String>,
}

/// A job that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Results of the tests.
    pub results: Vec<TestResult>,
    /// Lines of the console.
    pub console: String,
    /// Why the job itself failed. Failed cases are no such reason.
    pub error: Option<String>,
    /// Directory with the job file and the logs.
    pub directory: PathBuf,
}

/// A result that LAVA has recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// Name of the suite, which is that of the test.
    pub suite: String,
    /// Name of the case; see [`case_id`].
    pub case: String,
    /// `pass`, `fail`, `skip` or `unknown`.
    pub result: String,
}

impl Dispatcher {
    /// Opens the dispatcher; fetches the packages that are missing.
    pub fn open() -> Result<Self> {
        let modules = ["lava-common", "lava-dispatcher"].map(|package| {
            let unpacked = debian::unpack(package)?;
            anyhow::Ok(unpacked.join("usr/lib/python3/dist-packages"))
        });
        let [common, dispatcher] = modules;
        let server = debian::unpack("lava-server")?;
        Ok(Self {
            python: python::with_packages("lava", REQUIREMENTS)?,
            modules: env::join_paths([common?, dispatcher?])?,
            device_types: server.join("usr/share/lava-server/device-types"),
        })
    }

    /// Checks the job against LAVA's schema, and parses it for the device. `name` is that of
    /// the directory for its files.
    pub fn parse(&self, device: &Device, job: &str, name: &str) -> Result<Parsed> {
        let directory = self.call(&["--parse-only"], device, job, name)?;
        let mut parsed = read_json(&directory, "parsed.json")?;
        Ok(Parsed {
            device: parsed["device"].take(),
            actions: serde_json::from_value(parsed["actions"].take())?,
        })
    }

    /// Runs the job on the device.
    pub fn run(&self, device: &Device, job: &str, name: &str) -> Result<Finished> {
        let directory = self.call(&[], device, job, name)?;
        let finished = read_json(&directory, "finished.json")?;
        let (mut results, mut error) = (Vec::new(), None);
        for result in elements(&finished["results"]) {
            let field = |name: &str| result[name].as_str().unwrap_or_default();
            let (suite, case) = (field("definition"), field("case"));
            match (suite, case, field("result")) {
                ("lava", "job", "pass") => {}
                ("lava", "job", _) => error = Some(field("error_msg").to_owned()),
                // LAVA's own actions.
                ("lava", ..) => {}
                (suite, case, result) => results.push(TestResult {
                    suite: without_number(suite).to_owned(),
                    case: case.to_owned(),
                    result: result.to_owned(),
                }),
            }
        }
        let console = elements(&finished["console"]).filter_map(Value::as_str);
        let console = console.flat_map(|line| [line, "\n"]).collect();
        Ok(Finished {
            results,
            console,
            error,
            directory,
        })
    }

    /// The content of a YAML file.
    pub fn read_yaml(&self, path: &Path) -> Result<Value> {
        let mut python = Command::new(&self.python);
        let script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
        let text = tool::output(python.args(["-c", script]).arg(path))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Calls the script; returns the directory with what it wrote.
    fn call(&self, options: &[&str], device: &Device, job: &str, name: &str) -> Result<PathBuf> {
        let directory = paths::emptied(paths::scratch("lava")?.join(name))?;
        let [dictionary, definition, log] =
            ["device.jinja2", "job.yaml", "dispatcher.log"].map(|name| directory.join(name));
        paths::write(&dictionary, &device.dictionary)?;
        paths::write(&definition, job)?;
        let output = File::create(&log)?;
        // The dispatcher must not outlive the rig; see `qemu::session`.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]).arg(&self.python);
        command.arg(paths::workspace().join(SCRIPT)).args(options);
        command.args([&self.device_types, &dictionary, &definition, &directory]);
        command.env("PYTHONPATH", &self.modules);
        command.stdin(Stdio::null()).stderr(output.try_clone()?);
        let status = command.stdout(output).status();
        let status = status.with_context(|| format!("cannot run {}", tool::show(&command)))?;
        // If the job fails, the script fails too, but it has written the results.
        let is_finished = directory.join("finished.json").exists();
        ensure!(
            status.success() || is_finished,
            "LAVA does not run the job, {status}, see {}\n{}",
            log.display(),
            tool::tail(&fs::read_to_string(&log).unwrap_or_default())
        );
        Ok(directory)
    }
}

/// The name of a suite without the number that LAVA puts before that of a dialogue.
fn without_number(suite: &str) -> &str {
    match suite.split_once('_') {
        Some((number, name)) if number.parse::<usize>().is_ok() => name,
        _ => suite,
    }
}

fn read_json(directory: &Path, name: &str) -> Result<Value> {
    let path = directory.join(name);
    let text = fs::read_to_string(&path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

fn elements(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

impl Finished {
    /// The results of the test. Fails if the job failed or has results of another test.
    pub fn results_of(&self, test: Test) -> Result<&[TestResult]> {
        let log = self.directory.display();
        if let Some(error) = &self.error {
            let last = tool::tail(&self.console);
            bail!("the job failed: {error}, see {log}\n{last}");
        }
        let other = self.results.iter().find(|it| it.suite != test.name());
        ensure!(
            other.is_none(),
            "a result that is not of {}: {other:?}",
            test.name()
        );
        Ok(&self.results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cases_as_lava_does() {
        assert_eq!(case_id("name-is-shown"), "name_is_shown");
        assert_eq!(case_id("not-before-6.2"), "not_before_6_2");
    }

    #[test]
    fn removes_the_number_of_a_dialogue() {
        assert_eq!(without_number("0_stages"), "stages");
        assert_eq!(without_number("check"), "check");
        assert_eq!(without_number("my_check"), "my_check");
    }
}
