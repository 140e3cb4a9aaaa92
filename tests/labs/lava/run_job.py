"""Runs a LAVA job with the dispatcher on this machine, without a server.

    run_job.py [--parse-only] DEVICE_TYPES DEVICE JOB OUTPUT

Does what a server does before it sends a job to a dispatcher: checks the job against LAVA's
schema, and renders the device dictionary DEVICE, which extends a template of the directory
DEVICE_TYPES, with the context of the job. Then the dispatcher parses the job for this device,
and runs it.

OUTPUT/parsed.json has the rendered device and the names of the dispatcher's actions,
OUTPUT/finished.json the results and the lines of the console.
"""

import json
import sys
from pathlib import Path

from jinja2 import FileSystemLoader
from lava_common import constants, schemas
from lava_common.jinja import create_device_templates_env
from lava_common.log import YAMLLogger
from lava_common.schemas import device as device_schema
from lava_common.yaml import yaml_safe_dump, yaml_safe_load

# Instead of /var/lib/lava. Modules of the dispatcher copy the value when they are imported.
constants.DISPATCHER_DOWNLOAD_DIR = str(Path(sys.argv[-1]) / "downloads")
from lava_dispatcher import runner
from lava_dispatcher.device import DeviceDict
from lava_dispatcher.parser import JobParser
from lava_dispatcher.utils import filesystem

DISPATCHER = yaml_safe_dump({"dispatcher_ip": "127.0.0.1"})


def render(device_types: str, device: Path, job: Path, output: Path) -> Path:
    """Validates the job, and writes the valid configuration of the device for it."""
    definition = yaml_safe_load(job.read_text())
    schemas.validate(definition)
    environment = create_device_templates_env(FileSystemLoader(device_types))
    template = environment.from_string(device.read_text())
    configuration = yaml_safe_load(template.render(definition.get("context", {})))
    device_schema.validate(configuration)
    rendered = output / "device.yaml"
    rendered.write_text(yaml_safe_dump(configuration))
    return rendered


def actions(pipeline: list) -> list[str]:
    """Names of all actions of a described pipeline."""
    names = []
    for action in pipeline:
        names += [action["name"], *actions(action.get("pipeline", []))]
    return names


def parse(device: Path, job: Path, output: Path) -> None:
    """Writes the rendered device and the names of the actions."""
    # The parser makes a directory for the job in the TFTP server's directory. This machine
    # need not have such a server.
    filesystem.tftpd_dir = lambda: str(output)
    configuration = DeviceDict.from_path(device)
    parsed = JobParser().parse(
        job.read_text(),
        configuration,
        "1",
        dispatcher_config=DISPATCHER,
        env_dut=None,
        logger=YAMLLogger(),
    )
    names = actions(parsed.describe()["pipeline"])
    summary = {"device": configuration, "actions": names}
    (output / "parsed.json").write_text(json.dumps(summary))


def run(device: Path, job: Path, output: Path) -> int:
    """Runs the job, and writes its results and the lines of the console."""
    dispatcher = output / "dispatcher.yaml"
    dispatcher.write_text(DISPATCHER)
    sys.argv = ["lava-run", "--skip-sudo-warning", "--job-id", "1"]
    sys.argv += ["--device", str(device), "--dispatcher", str(dispatcher)]
    sys.argv += ["--output-dir", str(output), str(job)]
    status = runner.main()
    log = yaml_safe_load((output / "logs.yaml").read_text())
    summary = {
        "results": [line["msg"] for line in log if line["lvl"] == "results"],
        "console": [line["msg"] for line in log if line["lvl"] == "target"],
    }
    (output / "finished.json").write_text(json.dumps(summary, default=str))
    return status


def main() -> int:
    arguments = sys.argv[1:]
    only_parse = arguments[0] == "--parse-only"
    device_types, *paths = arguments[only_parse:]
    device, job, output = map(Path, paths)
    rendered = render(device_types, device, job, output)
    if only_parse:
        parse(rendered, job, output)
        return 0
    return run(rendered, job, output)


if __name__ == "__main__":
    sys.exit(main())
