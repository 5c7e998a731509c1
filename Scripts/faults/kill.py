#!/usr/bin/env python3
"""Kills a training run at random moments, goes on with it, and compares what it leaves with an uninterrupted run's.

    Scripts/faults/kill.py --lota .build/release/lota --trials 100
    Scripts/faults/kill.py --lota .build/release/lota --trials 5 --model DIR --data rows.jsonl -- --batch-size 8 --steps 6

Without --model a tiny one from the tests is trained. Every trial kills the process (SIGKILL) once: in a tenth of the trials at a moment
of its start, in a tenth at one of its end, else a random moment after a random step of the whole run; a third of the trials kill
it again while it goes on. Then it runs to its end, and every file of the adapter, the mask and the losses must be the same, byte for
byte.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "Tests/AdaptationTests/Goldens/training"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lota", default=str(ROOT / ".build/release/lota"))
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", help="model directory; a tiny one by default")
    parser.add_argument("--data", help="training rows")
    parser.add_argument("options", nargs="*", help="options of lota train, after --")
    given = parser.parse_args()
    if not given.model:
        given.model, given.data = str(TINY / "model"), str(TINY / "rows.jsonl")
        if not given.options:
            given.options = "--batch-size 4 --steps 60 --calibration-steps 60 --iterate 0.8,0.9 --learning-rate 1e-3".split()
    return given


def command(given, run):
    return [given.lota, "train", "--model", given.model, "--data", given.data, "--out", str(run), *given.options,
            "--save-every", "1", "--resume"]


def artefacts(run):
    """What must be the same: bytes by name, and the losses without the time that they took."""
    found = {}
    for path in sorted(run.rglob("*")):
        if path.is_file() and path.name not in ("metrics.jsonl", "report.html"):
            found[str(path.relative_to(run))] = path.read_bytes()
    losses = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found["losses"] = [(row["phase"], row.get("iteration"), row["step"], row["loss"]) for row in losses]
    return found


def finish(given, run):
    done = subprocess.run(command(given, run), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{run} does not go on: {done.stderr.strip()}")


def moment(run):
    """Where the run was when it was killed: the part of its newest checkpoint, and whether a file was half written."""
    checkpoints = sorted(path.name for path in (run / "checkpoints").glob("*.safetensors"))
    part = checkpoints[-1].split("-")[1] if checkpoints else "before the first checkpoint"
    if (run / "adapter").exists():
        part = "after the adapter"
    return part, any(".partial-" in path.name for path in run.rglob("*"))


def kill(given, run, after_steps, delay):
    """Starts the run, kills it some seconds after so many steps; true where it was still alive."""
    process = subprocess.Popen(command(given, run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    metrics = run / "metrics.jsonl"
    while process.poll() is None and (metrics.read_bytes().count(b"\n") if metrics.exists() else 0) < after_steps:
        time.sleep(0.001)
    time.sleep(delay)
    alive = process.poll() is None
    if alive:
        process.send_signal(signal.SIGKILL)
    process.wait()
    return alive


def draw(moments, steps, length):
    """After how many steps, and how much later, to kill."""
    where = moments.random()
    if where < 0.1:
        return 0, moments.uniform(0, 0.3 * length)
    if where < 0.2:
        return steps, moments.uniform(0, 0.1 * length)
    return moments.randint(1, steps), moments.uniform(0, 2 * length / steps)


def main():
    given = arguments()
    moments = random.Random(given.seed)
    # Threads that sleep while they wait: a machine with other work decides no result.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    with tempfile.TemporaryDirectory(prefix="lota-kill-") as folder:
        folder = Path(folder)
        start = time.monotonic()
        finish(given, folder / "whole")
        length = time.monotonic() - start
        expected = artefacts(folder / "whole")
        steps = len(expected["losses"])
        print(f"uninterrupted: {length:.2f} s, {steps} steps", flush=True)
        parts, torn, kills, same = Counter(), 0, 0, 0
        for trial in range(given.trials):
            run = folder / f"trial-{trial}"
            for _ in range(2 if trial % 3 == 2 else 1):
                # A run that has ended before the moment comes is begun anew with another one.
                while not kill(given, run, *draw(moments, steps, length)):
                    if run.exists():
                        shutil.rmtree(run)
                kills += 1
                part, half = moment(run) if run.exists() else ("before the directory", False)
                parts[part] += 1
                torn += half
            finish(given, run)
            found = artefacts(run)
            different = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
            if different:
                print(f"trial {trial}: {', '.join(sorted(different))} differ", flush=True)
            else:
                same += 1
            shutil.rmtree(run)
            if (trial + 1) % 10 == 0:
                print(f"{trial + 1} trials, {same} the same", flush=True)
    where = ", ".join(f"{part} {count}" for part, count in parts.most_common())
    print(f"{same} of {given.trials} the same after {kills} kills ({where}; {torn} with a file half written)")
    sys.exit(0 if same == given.trials else 1)


if __name__ == "__main__":
    main()
