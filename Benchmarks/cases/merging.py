"""TIES of two fine-tunes beside mergekit; two adapters merged into one; a checkpoint of 3 GB within a fixed memory."""
import json
import os
import shutil
import struct

import rows
import table
from context import note
from processes import lota, peer

DENSITY = 0.1
# 40 matrices of 4096 x 9216 in bfloat16.
WIDE, LONG, COUNT = 4096, 9216, 40


def run(context):
    data = context.path("merging.jsonl")
    rows.problems(data, context.model, 4, context.source)
    tuned, adapters = [], []
    for seed in (1, 2):
        folder = context.path(f"merging{seed}")
        lota(
            "calibrate", "--model", context.model, "--data", data, "--steps", 4, "--batch-size", 2, "--seed", seed,
            "--out", folder,
        )
        tuned.append(f"{folder}/model")
        adapters.append(f"{folder}.adapter")
        lota(
            "adapter", "extract", "--base", context.model, "--tuned", tuned[-1], "--sparsity", 0.9, "--out", adapters[-1]
        )
    models = [part for model in tuned for part in ("--input", model)]
    tickets = [part for adapter in adapters for part in ("--input", adapter)]
    ours, theirs, sparse = [], [], []
    for turn in range(context.repeat + 1):
        out = context.path(f"merged{turn}")
        finished = lota(
            "merge", "--method", "ties", "--base", context.model, *models, "--density", DENSITY, "--out", out, "--json"
        )
        report = json.loads(finished.output)
        ours.append((report["model"]["seconds"], finished.peak_gigabytes, finished.seconds))
        shutil.rmtree(out)
        peers = [part for model in tuned for part in ("--model", model)]
        figures, finished = peer("mergekit_ties", "--base", context.model, *peers, "--density", DENSITY)
        theirs.append((figures["seconds"], finished.peak_gigabytes))
        merged = context.path(f"merged{turn}.adapter")
        report = json.loads(
            lota("merge", "--method", "ties", "--base", context.model, *tickets, "--adapter-out", merged, "--json").output
        )
        sparse.append(report["adapterSeconds"])
        note(
            f"merging, turn {turn}: lota {ours[-1][0]:.2f} s ({ours[-1][2]:.2f} s until the disk has it), "
            f"mergekit {theirs[-1][0]:.1f} s; two adapters {sparse[-1]:.2f} s"
        )
    # The first turn warms the cache.
    ours, theirs, sparse = ours[1:], theirs[1:], sparse[1:]
    note(f"two adapters at 0.9 into one: {sorted(sparse)[len(sparse) // 2]:.2f} s")
    large(context)
    return [
        table.row(
            "TIES of two models", unit, [side[index] for side in ours], "mergekit", [side[index] for side in theirs],
            "lower",
        )
        for index, unit in enumerate(("s", "peak GB"))
    ]


def large(context):
    """Peak memory for a checkpoint far larger than what may be in memory; values do not matter, and repeat."""
    paths = [context.path(name) for name in ("large-base", "large-tuned")]
    for number, path in enumerate(paths):
        write_checkpoint(path, number)
    out = context.path("large-merged")
    finished = lota("merge", "--method", "ties", "--base", paths[0], "--input", paths[1], "--density", DENSITY, "--out", out)
    note(f"TIES over 3 GB in bfloat16: {finished.seconds:.0f} s, peak {finished.peak_bytes / 1e6:.0f} MB")
    for path in [*paths, out]:
        shutil.rmtree(path)


def write_checkpoint(path, number):
    os.makedirs(path)
    size = 2 * WIDE * LONG
    header = {
        f"model.layers.{layer}.mlp.down_proj.weight": {
            "dtype": "BF16", "shape": [WIDE, LONG], "data_offsets": [layer * size, (layer + 1) * size],
        }
        for layer in range(COUNT)
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    # bfloat16 of 1 to 2, different in its low bits.
    block = b"".join(struct.pack("<H", 0x3F80 + (7 * n * (number + 1)) % 128) for n in range(1 << 16))
    with open(os.path.join(path, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _ in range(COUNT * size // len(block)):
            file.write(block)
