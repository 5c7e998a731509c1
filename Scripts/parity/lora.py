#!/usr/bin/env python3
"""Compares `lota train --method lora` with PEFT on the same rows, from the same initial matrices, and adapters both ways.

    python Scripts/parity/lora.py --model MODEL --data ROWS.jsonl --work FOLDER [--rank 16] [--steps 12] [--optimizer adamw]

1. lota writes its initial adapter (one step of plain descent at a rate of 1e-30; B is set to zero again), and trains from it.
2. PEFT loads that adapter and trains it by the same recipe: rows in file order, loss summed over a completion's tokens, mean
   over the batch, each tensor's gradient norm at most 1, a constant rate.
3. lota's trained adapter is loaded by PEFT, PEFT's by lota: both programs score the rows with each.
4. PEFT's logits with lota's adapter go to FOLDER/logits.safetensors; this compares lota's own with them:
       LOTA_LORA_PARITY=FOLDER LOTA_SMOLLM2=MODEL ./test --filter LoRAParityTests

Fails when losses differ by more than 1e-3 a label, or log-probabilities of rows by more than 5e-4 a label. Rows hold prompt
and completion. In float32 transformers' own losses lie about 1e-4 a label beside float64's; --dtype float64 lets PEFT compute
in that, to see what lota's float32 does. Needs: torch, transformers, peft, safetensors, and a built lota (--lota, else ./lota).
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

import torch
import torch.nn.functional as F
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

MAKERS = {
    "rmsprop": lambda p, rate: torch.optim.RMSprop(p, lr=rate, alpha=0.99, eps=1e-8),
    "adamw": lambda p, rate: torch.optim.AdamW(p, lr=rate, weight_decay=0.0),
    "sgd": lambda p, rate: torch.optim.SGD(p, lr=rate),
}
LOSS_LIMIT, LOGPROB_LIMIT = 1e-3, 5e-4


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "data", "work"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--lota", default=str(pathlib.Path(__file__).resolve().parents[2] / "lota"))
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32", help="what PEFT computes in")
    parser.add_argument("--optimizer", choices=MAKERS, default="adamw")
    for name, value in (("rank", 16), ("alpha", 32), ("steps", 12), ("batch-size", 4), ("score-rows", 8)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--rate", type=float, default=2e-4)
    return parser.parse_args()


def lota(options, *words):
    environment = {"OMP_WAIT_POLICY": "passive", **os.environ}
    done = subprocess.run([options.lota, *map(str, words)], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"lota {' '.join(map(str, words))}: {done.stderr}")
    return done.stdout


def train(options, name, *words):
    run = options.work / name
    shutil.rmtree(run, ignore_errors=True)
    lota(options, "train", "--method", "lora", "--model", options.model, "--data", options.data, "--out", run, "--no-shuffle",
         "--batch-size", options.batch_size, "--rank", options.rank, "--alpha", options.alpha, *words)
    return run


def batch(tokenizer, rows):
    encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
    pairs = [(encode(row["prompt"]), encode(row["completion"]) + [tokenizer.eos_token_id]) for row in rows]
    width = max(len(p) + len(c) for p, c in pairs)
    ids = torch.zeros(len(pairs), width, dtype=torch.long)
    labels, attend = torch.full_like(ids, -100), torch.zeros_like(ids)
    for i, (p, c) in enumerate(pairs):
        n = len(p) + len(c)
        ids[i, :n], labels[i, len(p):n], attend[i, :n] = torch.tensor(p + c), torch.tensor(c), 1
    return ids, labels, attend


def logprobs(model, ids, labels, attend):
    """Of each row, summed over its labels, and how many these are."""
    logits = model(input_ids=ids, attention_mask=attend, use_cache=False).logits[:, :-1]
    target = labels[:, 1:]
    losses = F.cross_entropy(logits.transpose(1, 2), target, ignore_index=-100, reduction="none")
    return -losses.sum(1), (target != -100).sum(1), logits


def peft_training(options, model, tokenizer, rows):
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = MAKERS[options.optimizer](trained, options.rate)
    losses, token_losses = [], []
    for step in range(options.steps):
        chosen = [rows[(step * options.batch_size + i) % len(rows)] for i in range(options.batch_size)]
        sums, counts, _ = logprobs(model, *batch(tokenizer, chosen))
        loss = -sums.mean()
        loss.backward()
        for parameter in trained:
            torch.nn.utils.clip_grad_norm_([parameter], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        token_losses.append(-sums.sum().item() / counts.sum().item())
    return losses, token_losses


def score_difference(options, adapter, scores):
    """Largest difference of a row's mean log-probability, between lota's scores with `adapter` and the given ones."""
    lines = lota(options, "score", "--model", options.model, "--adapter", adapter, "--data", options.work / "scored.jsonl", "--json")
    ours = [json.loads(line) for line in lines.splitlines()]
    assert [row["count"] for row in ours] == scores[1].tolist()
    return max(abs(row["logprob"] - theirs) / count for row, theirs, count in zip(ours, *map(torch.Tensor.tolist, scores)))


def main():
    options = arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in options.data.read_text().splitlines()]
    scored = rows[:options.score_rows]
    (options.work / "scored.jsonl").write_text("".join(json.dumps(row) + "\n" for row in scored))

    initial = train(options, "initial", "--steps", 1, "--optimizer", "sgd", "--learning-rate", "1e-30") / "adapter"
    run = train(options, "run", "--steps", options.steps, "--optimizer", options.optimizer, "--learning-rate", options.rate)
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]

    tokenizer = AutoTokenizer.from_pretrained(options.model)
    load = lambda: AutoModelForCausalLM.from_pretrained(options.model, dtype=getattr(torch, options.dtype))
    model = PeftModel.from_pretrained(load(), str(initial), is_trainable=True).to(getattr(torch, options.dtype))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                assert parameter.abs().max() < 1e-20, name
                parameter.zero_()
    losses, token_losses = peft_training(options, model, tokenizer, rows)
    shutil.rmtree(options.work / "peft", ignore_errors=True)
    model.save_pretrained(str(options.work / "peft"))

    with torch.no_grad():
        peft_scores = logprobs(model, *batch(tokenizer, scored))[:2]
        model = PeftModel.from_pretrained(load(), str(run / "adapter")).to(getattr(torch, options.dtype))
        ids, labels, attend = batch(tokenizer, scored)
        *our_scores, _ = logprobs(model, ids, labels, attend)
        lengths = attend[:2].sum(1).tolist()
        logits = torch.cat([model(input_ids=ids[i:i + 1, :n]).logits[0] for i, n in enumerate(lengths)])
    tokens = torch.cat([ids[i, :n] for i, n in enumerate(lengths)]).int()
    save_file({"tokens": tokens, "offsets": torch.tensor([0, lengths[0], sum(lengths)], dtype=torch.int32), "logits": logits.float()},
              options.work / "logits.safetensors")

    figures = {
        "losses a label, largest difference": max(abs(r["token_loss"] - b) for r, b in zip(records, token_losses)),
        "losses, largest relative difference": max(abs(r["loss"] - b) / abs(b) for r, b in zip(records, losses)),
        "lota's adapter in PEFT, a label": score_difference(options, run / "adapter", our_scores),
        "PEFT's adapter in lota, a label": score_difference(options, options.work / "peft", peft_scores),
        "losses a label": [f"{r['token_loss']:.5f} {b:.5f}" for r, b in zip(records, token_losses)],
    }
    print(json.dumps(figures, indent=1))
    passed = (len(records) == len(losses) == options.steps and figures["losses a label, largest difference"] <= LOSS_LIMIT
              and figures["lota's adapter in PEFT, a label"] <= LOGPROB_LIMIT
              and figures["PEFT's adapter in lota, a label"] <= LOGPROB_LIMIT)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
