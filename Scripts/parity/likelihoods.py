#!/usr/bin/env python3
"""Compares the likelihoods of choices that `lota eval` measures with those of transformers, on the same token ids.

    PYTHON Scripts/parity/likelihoods.py --model DIR --task arc_easy=ARC-Easy-test.json [--task ...] [--limit 200] [--lota ./lota]

Transformers runs each prompt with each choice by itself, in float32, without a cache. Log-probabilities may differ by 1e-3; the
choice preferred by each rule (sum, per token, per byte) must be the same.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = {"likelihood": lambda c: c["logprob"], "likelihood_per_token": lambda c: c["logprob"] / c["count"],
         "likelihood_per_byte": lambda c: c["logprob"] / c["bytes"]}


def samples_of(options, task, folder):
    path = f"{folder}/samples.jsonl"
    pathlib.Path(path).unlink(missing_ok=True)
    command = [options.lota, "eval", "--model", options.model, "--task", task, "--method", "likelihood", "--limit", str(options.limit),
               "--samples", path]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [json.loads(line) for line in pathlib.Path(path).read_text().split("\n") if line]


def texts_of(name):
    """The recipe's choices, read without YAML."""
    text = (ROOT / f"Sources/Evaluation/Resources/tasks/{name}.yaml").read_text().splitlines()
    pairs = [line.split('"') for line in text if line.strip().startswith("- { label:")]
    return {parts[1]: parts[3] for parts in pairs}


def reference(model, tokenizer, prompt, texts):
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    found = []
    for label, text in texts.items():
        after = tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            logits = model(torch.tensor([before + after])).logits[0, len(before) - 1 : -1].double()
        scores = torch.log_softmax(logits, -1)[range(len(after)), after]
        found.append({"label": label, "logprob": scores.sum().item(), "count": len(after), "bytes": len(text.encode())})
    return found


def check(options, model, tokenizer, task, folder):
    name = task.split("=")[0]
    samples, worst, wrong = samples_of(options, task, folder), 0.0, {rule: 0 for rule in RULES}
    right = dict(wrong)
    for sample in samples:
        theirs = reference(model, tokenizer, sample["prompt"], texts_of(name))
        assert [c["label"] for c in theirs] == [c["label"] for c in sample["choices"]]
        worst = max([worst] + [abs(a["logprob"] - b["logprob"]) for a, b in zip(sample["choices"], theirs)])
        for rule, value in RULES.items():
            chosen = max(theirs, key=value)["label"]
            wrong[rule] += sample["details"][rule]["prediction"] != chosen
            right[rule] += sample["scores"][rule]
    print(f"{name}: {len(samples)} rows, largest difference {worst:.1e}; other choices {wrong}; right {right}")
    return bool(samples) and worst <= 1e-3 and not any(wrong.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lota", default=str(ROOT / "lota"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--task", action="append", required=True)
    parser.add_argument("--limit", type=int, default=200)
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    with tempfile.TemporaryDirectory() as folder:
        good = [check(options, model, tokenizer, task, folder) for task in options.task]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
