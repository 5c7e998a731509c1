"""Runs lota and its peers in turns on the same rows and prints both figures and their ratio. Start it with Benchmarks/run."""
import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = os.environ["LOTA_ROOT"]
HERE = os.path.dirname(os.path.abspath(__file__))
BENCHMARKS = ["training", "extraction"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="model directory; default: the quickstart's SmolLM2-135M-Instruct in float32")
    parser.add_argument("--data", help="rows with prompt and completion; default: made up, with GSM8K's spread of lengths")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3, help="measured steps, after one that warms up")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", action="append", choices=BENCHMARKS)
    return parser.parse_args()


def lota(*arguments):
    """Runs lota; returns its standard output and the peak resident size of the process in bytes."""
    command = [os.path.join(ROOT, "lota"), *arguments]
    with tempfile.NamedTemporaryFile("r") as report:
        probe = (
            "import resource,subprocess,sys;"
            "r=subprocess.run(sys.argv[2:]);"
            "open(sys.argv[1],'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss*1024));"
            "sys.exit(r.returncode)"
        )
        result = subprocess.run([sys.executable, "-c", probe, report.name, *command], capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"{' '.join(command)} failed:\n{result.stderr}")
        return result.stdout, int(report.read())


def peer(script, *arguments):
    command = [sys.executable, os.path.join(HERE, script), *arguments]
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{result.stderr}")
    return json.loads(result.stdout.splitlines()[-1])


def made_up_rows(path, count, seed=0):
    """Word problems of GSM8K's length spread (log-normal; 45 to 460 tokens, mean about 190, two thirds of them labels)."""
    rng = random.Random(seed)
    nouns = "apples boxes coins books marbles tickets pencils stamps cookies shells".split()
    names = "Anna Ben Carla David Elena Frank Grace Hugo".split()
    with open(path, "w") as file:
        for _ in range(count):
            words = int(min(300, max(30, rng.lognormvariate(4.75, 0.42))))
            sentences = {"prompt": [], "completion": []}
            for part, share in (("prompt", 0.4), ("completion", 0.6)):
                length = 0
                while length < words * share:
                    a, b = rng.randint(2, 60), rng.randint(2, 60)
                    sentence = f"{rng.choice(names)} has {a} {rng.choice(nouns)} and gets {b} more, so {a}+{b}={a + b}."
                    sentences[part].append(sentence)
                    length += len(sentence.split())
            row = {
                "prompt": "Question: " + " ".join(sentences["prompt"]) + "\nAnswer:",
                "completion": " " + " ".join(sentences["completion"]),
            }
            file.write(json.dumps(row) + "\n")


def training(options, model, data, work):
    mask = os.path.join(work, "random.mask")
    lota("mask", "random", "--model", model, "--out", mask)
    steps = options.steps + 1
    ours, theirs = [], []
    for repeat in range(options.repeat):
        run = os.path.join(work, f"run{repeat}")
        _, peak = lota(
            "train", "--method", "lota", "--model", model, "--data", data, "--mask", mask, "--out", run, "--batch-size",
            str(options.batch_size), "--steps", str(steps), "--no-shuffle",
        )
        with open(os.path.join(run, "metrics.jsonl")) as file:
            ours.append(figures([json.loads(line) for line in file], peak))
        shutil.rmtree(run)
        result = peer(
            "released_recipe.py", "--model", model, "--data", data, "--mask", mask, "--batch-size", str(options.batch_size),
            "--steps", str(steps),
        )
        theirs.append(figures(result["steps"], result["peak_memory_bytes"]))
    worst = max(
        abs(a - b) / abs(b) for mine, peers in zip(ours, theirs) for a, b in zip(mine["losses"], peers["losses"])
    )
    print(f"largest relative difference of a step's loss: {worst:.1e}", file=sys.stderr)
    return [
        row("sparse phase", "real tokens/s", ours, theirs, "speed", better="higher"),
        row("sparse phase", "peak memory, GB", ours, theirs, "memory", better="lower"),
    ]


def figures(steps, peak):
    measured = steps[1:]
    speed = sum(step["tokens"] for step in measured) / sum(step["seconds"] for step in measured)
    return {"speed": speed, "memory": peak / 1e9, "losses": [step["loss"] for step in steps]}


def extraction(options, model, data, work):
    run = os.path.join(work, "calibration")
    lota("calibrate", "--model", model, "--data", data, "--steps", "2", "--batch-size", "2", "--out", run)
    tuned = os.path.join(run, "model")
    ours, theirs = [], []
    for repeat in range(options.repeat + 1):
        out = os.path.join(work, f"extracted{repeat}.mask")
        text, peak = lota("mask", "extract", "--base", model, "--tuned", tuned, "--out", out, "--json")
        ours.append({"speed": json.loads(text)["seconds"], "memory": peak / 1e9})
        result = peer("released_extraction.py", "--base", model, "--tuned", tuned)
        theirs.append({"speed": result["seconds"], "memory": result["peak_memory_bytes"] / 1e9})
    return [
        row("mask extraction", "seconds", ours[1:], theirs[1:], "speed", better="lower"),
        row("mask extraction", "peak memory, GB", ours[1:], theirs[1:], "memory", better="lower"),
    ]


def row(what, unit, ours, theirs, key, better):
    mine = statistics.median(result[key] for result in ours)
    peers = statistics.median(result[key] for result in theirs)
    ratio = mine / peers if better == "higher" else peers / mine
    return {
        "what": what, "unit": unit, "lota": mine, "released recipe": peers, "times better": ratio,
        "lota runs": [result[key] for result in ours], "released recipe runs": [result[key] for result in theirs],
    }


def main():
    options = arguments()
    with tempfile.TemporaryDirectory() as work:
        model = options.model
        if model is None:
            gguf = subprocess.run([os.path.join(ROOT, "Scripts", "fetch-model")], capture_output=True, text=True, check=True)
            model = os.path.join(work, "model")
            lota("import", gguf.stdout.strip(), "--out", model)
        data = options.data
        if data is None:
            data = os.path.join(work, "rows.jsonl")
            made_up_rows(data, options.batch_size * (options.steps + 1))
        rows = []
        for name in options.only or BENCHMARKS:
            rows += globals()[name](options, model, data, work)
    print(f"{'':<18}{'':<18}{'lota':>10}{'released recipe':>18}{'times better':>14}")
    for entry in rows:
        print(
            f"{entry['what']:<18}{entry['unit']:<18}{entry['lota']:>10.3g}{entry['released recipe']:>18.3g}"
            f"{entry['times better']:>14.1f}"
        )
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    settings = {"batch_size": options.batch_size, "steps": options.steps, "repeat": options.repeat}
    with open(os.path.join(HERE, "results.json"), "w") as file:
        json.dump({"machine": machine, "settings": settings, "rows": rows}, file, indent=2)
    print(f"written to {os.path.join(HERE, 'results.json')}", file=sys.stderr)


if __name__ == "__main__":
    main()
