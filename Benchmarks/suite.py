"""Runs lota and its peers in turns on the same input in one run on this machine, and prints both figures, their ratio
and the machine's bound. Start it with Benchmarks/run."""
import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile

import flops
import table
from context import Context, note
from processes import HERE, ROOT, Failure, lota, peer

CASES = ["sparse", "gradient", "dense", "whole", "extraction", "generation", "adapters", "merging"]
QUICK = {"batch_size": 2, "steps": 1, "repeat": 1, "rows": 2, "dense_rows": 2, "new_tokens": 16}
DEFAULTS = {"batch_size": 16, "steps": 3, "repeat": 3, "rows": 64, "dense_rows": 8, "new_tokens": 128}


def arguments():
    parser = argparse.ArgumentParser(prog="Benchmarks/run", description=__doc__)
    cases = f"may be repeated: {', '.join(CASES)}"
    parser.add_argument("--only", action="append", choices=CASES, metavar="CASE", help=cases)
    parser.add_argument("--quick", action="store_true", help="smallest settings, one turn: does everything run?")
    parser.add_argument("--model", help="model directory; default: the quickstart's SmolLM2-135M-Instruct in float32")
    parser.add_argument("--data", help="rows with prompt and completion; default: made up, with GSM8K's lengths")
    parser.add_argument("--batch-size", type=int, help="rows a step in sparse and whole (16)")
    parser.add_argument("--steps", type=int, help="measured steps of sparse and dense, after one that warms up (3)")
    parser.add_argument("--repeat", type=int, help="turns; medians count (3)")
    parser.add_argument("--rows", type=int, help="rows of whole (64)")
    parser.add_argument("--dense-rows", type=int, help="rows a step in dense (8)")
    parser.add_argument("--new-tokens", type=int, help="tokens to generate (128)")
    parser.add_argument("--out", default=os.path.join(HERE, "results.json"), help="file for all figures, as JSON")
    options = parser.parse_args()
    for name, value in (QUICK if options.quick else DEFAULTS).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
        elif getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is {getattr(options, name)}: use 1 or more")
    return options


def default_model(work):
    fetch = os.path.join(ROOT, "Scripts", "fetch-model")
    fetched = subprocess.run([fetch], stdout=subprocess.PIPE, text=True, check=True)
    model = os.path.join(work, "model")
    lota("import", fetched.stdout.strip(), "--out", model)
    return model


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def measured_machine(quick):
    figures, _ = peer("machine", "--seconds", 0.05 if quick else 0.2)
    note(f"GEMM peak {figures['gemm_gflops']:.0f} GFLOP/s ({figures['gemm_best']})")
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")}
    versions |= {"lota": lota("--version").output.strip(), "python": platform.python_version()}
    return figures | {"processor": processor(), "cores": os.cpu_count(), "versions": versions}


def run_cases(options, work):
    """Rows of all cases that ran, and the names of those that failed."""
    model = options.model or default_model(work)
    config = flops.configuration(model)
    machine = measured_machine(options.quick)
    context = Context(
        model=model, config=config, source=options.data, work=work, machine=machine,
        **{name: getattr(options, name) for name in DEFAULTS},
    )
    rows, failed = [], []
    for name in options.only or CASES:
        try:
            rows += [{"case": name} | row for row in importlib.import_module(f"cases.{name}").run(context)]
        except (Failure, ValueError) as failure:
            note(f"{name} failed: {failure}")
            failed.append(name)
    return machine, rows, failed


def main():
    options = arguments()
    with tempfile.TemporaryDirectory() as work:
        try:
            machine, rows, failed = run_cases(options, work)
        except (Failure, OSError, subprocess.CalledProcessError) as failure:
            sys.exit(f"Benchmarks/run: {failure}")
    settings = {name: getattr(options, name) for name in DEFAULTS}
    with open(options.out, "w") as file:
        json.dump({"machine": machine, "settings": settings, "rows": rows, "failed": failed}, file, indent=2)
    print(
        f"{machine['processor']}, {machine['cores']} cores: matrix products {machine['gemm_gflops']:.0f} GFLOP/s, "
        f"memory read at {machine['read_gigabytes_per_second']:.0f} GB/s, "
        f"copied at {machine['copy_gigabytes_per_second']:.0f} GB/s; float32"
    )
    print(table.render(rows))
    note(f"written to {options.out}")
    if failed:
        sys.exit(f"Benchmarks/run: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
