"""Adapters on a live model: loading one from its files, and switching between two, beside PEFT's LoRA r=64 merge and unmerge."""
import json

import flops
import rows
import table
from context import note
from processes import lota, peer


def run(context):
    data, calibration = context.path("adapters.jsonl"), context.path("adapters")
    rows.problems(data, context.model, 4, context.source)
    adapters = []
    for turn, seed in enumerate((1, 2)):
        tuned = f"{calibration}{turn}"
        lota(
            "calibrate", "--model", context.model, "--data", data, "--steps", 4, "--batch-size", 2, "--seed", seed,
            "--out", tuned,
        )
        adapters.append(f"{calibration}{turn}.adapter")
        lota("adapter", "extract", "--base", context.model, "--tuned", f"{tuned}/model", "--sparsity", 0.9, "--out", adapters[-1])
    options = [part for adapter in adapters for part in ("--adapter", adapter)]
    ours, theirs, peaks = {"load": [], "switch": []}, {"load": [], "switch": []}, []
    for turn in range(context.repeat + 1):
        report = json.loads(lota("bench", "adapter", "--model", context.model, *options, "--json").output)
        if not report["isBaseRestored"]:
            raise ValueError("lota bench adapter did not give the base back")
        figures, _ = peer("lora_switch", "--model", context.model)
        if turn == 0:
            # It warms the file cache.
            continue
        ours["load"] += report["loadAndApplySeconds"]
        ours["switch"] += report["swapSeconds"]
        peaks.append(report["peakMemoryBytes"] / report["modelBytes"])
        theirs["load"] += figures["load_seconds"]
        theirs["switch"] += figures["switch_seconds"]
        note(f"adapters, turn {turn}: switch {report['swapSeconds'][0]:.4f} s, PEFT {figures['switch_seconds'][0]:.3f} s")
    note(f"adapters: peak memory {max(peaks):.3f} of the model with one applied")
    # A switch at density 0.1 touches almost every cache line of the projections: read and written once.
    bound = 2 * flops.scoped_bytes(context.config) / context.read_bytes
    return [
        table.row("load and apply an adapter", "s", ours["load"], "PEFT LoRA r=64", theirs["load"], "lower"),
        table.row("switch of two adapters", "s", ours["switch"], "PEFT LoRA r=64", theirs["switch"], "lower", bound),
    ]
