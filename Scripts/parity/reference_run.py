#!/usr/bin/env python3
"""Compares a run of `lota train` with one of a PyTorch reference of the same recipe, and fails when they differ too far.

The reference's directory holds metrics.jsonl, mask.safetensors (packed bits) and tuned.safetensors (all weights after the
sparse phase), made from the same model and rows, in file order:

  ./lota train --method lota --model MODEL --data ROWS --out RUN --no-shuffle --batch-size 4 --calibration-steps 5 --steps 5
  python Scripts/parity/reference_run.py --model MODEL --run RUN --reference REFERENCE

Limits are what reordering float32 sums alone may do: a few gradients near zero flip sign in RMSprop's first step.
Needs: torch, safetensors.
"""
import argparse
import json
import sys

import torch
from safetensors.torch import load_file

LIMITS = {"loss": 2e-4, "jaccard": 0.998, "near": 0.995, "worst": 3e-4}


def unpacked(bits, count):
    return ((bits.unsqueeze(1) >> torch.arange(8, dtype=torch.uint8)) & 1).flatten()[:count].bool()


def losses(path):
    with open(path) as file:
        return [json.loads(line)["loss"] for line in file]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "run", "reference"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()

    ours, theirs = losses(f"{options.run}/metrics.jsonl"), losses(f"{options.reference}/metrics.jsonl")
    assert len(ours) == len(theirs) > 0, f"{len(ours)} and {len(theirs)} steps"
    loss = max(abs(a - b) / abs(b) for a, b in zip(ours, theirs))

    base = load_file(f"{options.model}/model.safetensors")
    masks = [load_file(f"{path}/mask.safetensors") for path in (options.run, options.reference)]
    tuned = load_file(f"{options.reference}/tuned.safetensors")
    adapter = load_file(f"{options.run}/adapter/adapter_model.safetensors")
    both = either = near = 0
    worst, outside = 0.0, True
    for name, weight in base.items():
        trained = weight.flatten().clone()
        if name + ".indices" in adapter:
            trained[adapter[name + ".indices"].long()] = adapter[name + ".values"]
        if name not in masks[1]:
            outside &= torch.equal(trained, weight.flatten())
            continue
        mine, other = (unpacked(mask[name], weight.numel()) for mask in masks)
        outside &= torch.equal(trained[~mine], weight.flatten()[~mine])
        shared = mine & other
        difference = (trained[shared] - tuned[name].flatten()[shared]).abs()
        both += int(shared.sum())
        either += int((mine | other).sum())
        near += int((difference <= 1e-6).sum())
        worst = max(worst, float(difference.max()) if difference.numel() else 0.0)

    figures = {"loss": loss, "jaccard": both / either, "near": near / both, "worst": worst, "outside unchanged": outside}
    print(json.dumps(figures))
    passed = (
        loss <= LIMITS["loss"] and figures["jaccard"] >= LIMITS["jaccard"] and figures["near"] >= LIMITS["near"]
        and worst <= LIMITS["worst"] and outside
    )
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
