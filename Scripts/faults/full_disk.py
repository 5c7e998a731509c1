#!/usr/bin/env python3
"""Runs commands on file systems that are too small for what they write, at growing sizes, until they fit.

    sudo Scripts/faults/full_disk.py --lota .build/release/lota

Needs Linux and the right to mount a tmpfs. Each command's output directory is a tmpfs of 4 KiB, 8 KiB and so on. As long as it is too
small the command must end with 1 and one line that says so, and whatever it left must be refused by the commands that would read it, or
be the same, byte for byte, as what the command leaves where there is room. A training run must then go on with --resume, once
there is room, to the same result.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "Tests/AdaptationTests/Goldens/training"
PAGE = 4096
TRAIN = ("train --batch-size 4 --steps 4 --calibration-steps 4 --iterate 0.8,0.9 --learning-rate 1e-3 --save-every 1 "
         "--validate-every 2").split()


def run(*command, **more):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)


class SmallDisk:
    """A tmpfs of some pages."""

    def __init__(self, path, pages):
        self.path = path
        path.mkdir(exist_ok=True)
        # One page more holds the root directory's own entry.
        done = run("mount", "-t", "tmpfs", "-o", f"size={pages * PAGE}", "tmpfs", path)
        if done.returncode != 0:
            sys.exit(f"cannot mount a tmpfs: {done.stderr.strip()}")

    def grow(self):
        run("mount", "-o", "remount,size=64M", self.path, check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        run("umount", self.path, check=True)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def timeless(found):
    """Without what tells the time."""
    return {name: data for name, data in found.items() if name not in ("metrics.jsonl", "report.html", "validation.jsonl")}


class Trial:
    """A command that writes to OUT, and what reads it."""

    def __init__(self, lota, name, arguments, readers, resumes=False, earlier=None):
        """earlier: options of a shorter run, whose best is this one's at first."""
        self.lota, self.name, self.arguments, self.readers, self.resumes = lota, name, arguments, readers, resumes
        self.earlier, self.bests = earlier, []

    def command(self, out):
        return [self.lota, *(str(out) if part == "OUT" else part for part in self.arguments)]

    def check(self, folder):
        whole = folder / f"{self.name}-whole"
        done = run(*self.command(whole))
        if done.returncode != 0:
            sys.exit(f"{self.name} does not run at all: {done.stderr}")
        expected = timeless(files(whole))
        self.bests = [{name: data for name, data in expected.items() if "-best/" in name}]
        if self.earlier:
            shorter = folder / f"{self.name}-shorter"
            run(*self.command(shorter), *self.earlier, check=True)
            self.bests.append({name: data for name, data in files(shorter).items() if "-best/" in name})
        faults, refused, pages = [], 0, 0
        while True:
            pages += 1 if pages < 64 else 8
            with SmallDisk(folder / "disk", pages) as disk:
                out = disk.path / "out"
                done = run(*self.command(out))
                if done.returncode == 0:
                    if timeless(files(out)) != expected:
                        faults.append(f"{pages} pages: fits, and is not the same")
                    break
                refused += 1
                faults += [f"{pages} pages: {text}" for text in self.after_failure(done, out, expected, disk)]
        print(f"{self.name}: too small {refused} times, fits in {pages * PAGE >> 10} KiB; {len(faults)} faults", flush=True)
        for fault in faults:
            print("  " + fault, flush=True)
        return faults

    def after_failure(self, done, out, expected, disk):
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        if done.returncode != 1 or len(errors) != 1 or "No space left" not in errors[0]:
            yield f"ended with {done.returncode}: {done.stderr.strip()[-300:]}"
        left = timeless(files(out)) if out.exists() else {}
        for name, data in left.items():
            # What a process that ended by itself leaves has a name of its own only when it is complete.
            if ".partial-" in name:
                yield f"left {name} behind"
            elif not name.startswith("checkpoints/") and "-best/" not in name and data != expected.get(name):
                yield f"left another {name}"
        best = {name: data for name, data in left.items() if "-best/" in name}
        if best and best not in self.bests:
            yield f"left another {', '.join(best)}"
        for path, reader in self.readers:
            if not (out / path).exists():
                continue
            accepted = run(self.lota, *(str(out / path) if part == "IT" else part for part in reader)).returncode == 0
            # A best one is looked at above.
            same = path.endswith("-best") or all(
                left.get(name) == data for name, data in expected.items() if name.startswith(path))
            if accepted and not same:
                yield f"{' '.join(reader)} accepts a half-written {path}"
        if self.resumes:
            disk.grow()
            again = run(*self.command(out), "--resume")
            if again.returncode != 0:
                yield f"does not go on: {again.stderr.strip()[-300:]}"
            elif timeless(files(out)) != expected:
                yield "goes on to another result"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lota", default=str(ROOT / ".build/release/lota"))
    lota = parser.parse_args().lota
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    model, rows = str(TINY / "model"), str(TINY / "rows.jsonl")
    inputs = ["--model", model, "--data", rows, "--out", "OUT"]
    adapter_readers = [
        ("adapter", ["adapter", "verify", "--model", model, "--adapter", "IT"]),
        ("adapter-best", ["adapter", "verify", "--model", model, "--adapter", "IT"]),
        ("mask.safetensors", ["mask", "inspect", "IT"]), ("mask-1.safetensors", ["mask", "inspect", "IT"]),
    ]
    model_readers = [(name, ["score", "--model", "IT", "--data", rows, "--json"]) for name in ("", "model", "model-best")]
    with tempfile.TemporaryDirectory(prefix="lota-disk-") as folder:
        folder = Path(folder)
        done = run(lota, "train", "--model", model, "--data", rows, "--out", folder / "a", "--steps", "3", "--calibration-steps", "2")
        if done.returncode != 0:
            sys.exit(done.stderr)
        adapter = str(folder / "a/adapter")
        trials = [
            Trial(lota, "lota", [*TRAIN, *inputs, "--validation", rows], adapter_readers, resumes=True,
                  earlier=["--steps", "2"]),
            Trial(lota, "fft", "train --method fft --batch-size 4 --steps 3 --save-every 1 --validate-every 2".split()
                  + [*inputs, "--validation", rows], model_readers, resumes=True,
                  earlier=["--steps", "2"]),
            Trial(lota, "lora", "train --method lora --batch-size 4 --steps 3 --save-every 1".split() + inputs,
                  [("adapter", ["score", "--model", model, "--adapter", "IT", "--data", rows, "--json"])], resumes=True),
            Trial(lota, "apply", ["adapter", "apply", "--model", model, "--adapter", adapter, "--out", "OUT"], model_readers),
        ]
        faults = [fault for trial in trials for fault in trial.check(folder)]
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
