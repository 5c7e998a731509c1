#!/usr/bin/env python3
"""Greedy answers of a model must not depend on the batch size: the same token ids in batches of 1, 5 and 16.

    python3 Scripts/parity/generation.py --model DIR --data ROWS.jsonl [--lota ./lota] [--prompts 64] [--tokens 64]

ROWS.jsonl holds rows with `prompt` and `completion`. Other batch sizes: --batch-size, repeated. Prints the time of each.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def answers(options, size, folder):
    recipe, samples = f"{folder}/generation.yaml", f"{folder}/batch{size}.jsonl"
    pathlib.Path(recipe).write_text('name: generation\nprompt: "{prompt}"\n')
    command = [options.lota, "eval", "--model", options.model, "--task", f"{recipe}={options.data}", "--json", "--limit", options.prompts,
               "--max-tokens", options.tokens, "--batch-size", size, "--samples", samples]
    result = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True)
    work = json.loads(result.stdout)["work"]
    rows = [json.loads(line) for line in pathlib.Path(samples).read_text().split("\n") if line]
    print(f"batch {size}: {work['generatedTokens']} tokens in {work['seconds']:.1f} s, {work['generatedTokens'] / work['seconds']:.1f} a second")
    return [row["tokens"] for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lota", default=str(ROOT / "lota"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--batch-size", type=int, action="append")
    options = parser.parse_args()
    good, first = True, None
    with tempfile.TemporaryDirectory() as folder:
        for size in options.batch_size or [1, 5, 16]:
            found = answers(options, size, folder)
            first = first or found
            same = sum(one == other for one, other in zip(first, found))
            good = good and same == len(first) == len(found)
            print(f"batch {size}: {same} of {len(first)} answers as in the first batch size")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
