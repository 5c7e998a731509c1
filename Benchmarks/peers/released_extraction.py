"""Mask extraction as the released recipe does it: all task-vector magnitudes in one tensor, then `topk`."""
import argparse
import json
import time

import torch
from safetensors.torch import load_file


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True)
    parser.add_argument("--tuned", required=True)
    parser.add_argument("--sparsity", type=float, default=0.9)
    options = parser.parse_args()
    start = time.perf_counter()
    base, tuned = (load_file(f"{path}/model.safetensors") for path in (options.base, options.tuned))
    names = [name for name in base if name.endswith("_proj.weight")]
    flat = torch.cat([(tuned[name] - base[name]).abs().flatten() for name in names])
    k = round((1 - options.sparsity) * flat.numel())
    threshold = torch.topk(flat, k).values[-1]
    masks = {name: (tuned[name] - base[name]).abs() >= threshold for name in names}
    seconds = time.perf_counter() - start
    kept = sum(int(mask.sum()) for mask in masks.values())
    print(json.dumps({"seconds": seconds, "kept": kept}))


if __name__ == "__main__":
    main()
