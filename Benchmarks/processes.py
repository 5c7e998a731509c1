"""Runs lota and the peers, each in a process of its own, and measures time and memory of the whole process."""
import dataclasses
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)


class Failure(Exception):
    """A process that did not end well; the text says which and why."""


@dataclasses.dataclass
class Finished:
    output: str
    seconds: float
    peak_bytes: int

    @property
    def peak_gigabytes(self):
        return self.peak_bytes / 1e9


def lota(*arguments):
    return measured([os.path.join(ROOT, "lota"), *map(str, arguments)], os.environ)


def peer(name, *arguments):
    """Runs peers/NAME.py; returns the JSON object that it prints last, and the finished process."""
    # How lota's threads wait is lota's choice; the peers run as PyTorch comes.
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    environment["HF_HUB_OFFLINE"] = "1"
    script = os.path.join(HERE, "peers", f"{name}.py")
    finished = measured([sys.executable, script, *map(str, arguments)], environment)
    return json.loads(finished.output.splitlines()[-1]), finished


def measured(command, environment):
    with tempfile.NamedTemporaryFile("r") as report:
        probe = [sys.executable, os.path.join(HERE, "probe.py"), report.name, *command]
        result = subprocess.run(probe, capture_output=True, text=True, env=environment)
        figures = report.read()
    if result.returncode != 0:
        reason = "\n".join(result.stderr.strip().splitlines()[-15:]) or "no message"
        if result.returncode == 128 + 9:
            reason = f"killed, most likely for want of memory; a smaller --batch-size needs less\n{reason}"
        raise Failure(f"{' '.join(command)}\n{reason}")
    return Finished(result.stdout, **json.loads(figures))
