"""Mask extraction from two checkpoints in a warm cache, beside the released recipe."""
import json

import flops
import rows
import table
from context import note
from processes import lota, peer


def run(context):
    data, calibration = context.path("calibration.jsonl"), context.path("calibration")
    rows.problems(data, context.model, 4, context.source)
    lota("calibrate", "--model", context.model, "--data", data, "--steps", 16, "--batch-size", 2, "--out", calibration)
    tuned = context.path("calibration/model")
    ours, theirs = [], []
    for turn in range(context.repeat + 1):
        mask = context.path(f"extracted{turn}.mask")
        finished = lota("mask", "extract", "--base", context.model, "--tuned", tuned, "--out", mask, "--json")
        ours.append((json.loads(finished.output)["seconds"], finished.peak_gigabytes))
        report, finished = peer("released_extraction", "--base", context.model, "--tuned", tuned)
        theirs.append((report["seconds"], finished.peak_gigabytes))
        note(f"extraction, turn {turn}: lota {ours[-1][0]:.3f} s, released recipe {theirs[-1][0]:.3f} s")
    # The first turn warms the cache.
    ours, theirs = ours[1:], theirs[1:]
    bound = 2 * flops.scoped_bytes(context.config) / context.read_bytes
    return [
        table.row(
            "mask extraction", unit, [side[index] for side in ours], "released recipe",
            [side[index] for side in theirs], "lower", bound if index == 0 else None,
        )
        for index, unit in enumerate(("s", "peak GB"))
    ]
