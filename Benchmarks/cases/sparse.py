"""The sparse phase on rows of GSM8K's lengths, beside the released recipe and beside PEFT LoRA."""
import shutil

import flops
import rows
import steps
import table
from context import note
from processes import lota, peer


def run(context):
    count = context.steps + 1
    data, mask, out = context.path("sparse.jsonl"), context.path("random.mask"), context.path("sparse-run")
    rows.problems(data, context.model, context.batch_size * count, context.source)
    lota("mask", "random", "--model", context.model, "--out", mask)
    shared = ["--model", context.model, "--data", data, "--batch-size", context.batch_size, "--steps", count]
    ours, recipe, lora, differences = [], [], [], []
    for turn in range(context.repeat):
        finished = lota("train", "--method", "lota", *shared, "--mask", mask, "--out", out, "--no-shuffle")
        recorded = steps.recorded(out)
        shutil.rmtree(out)
        ours.append((steps.speed(recorded), finished.peak_gigabytes))
        report, finished = peer("released_recipe", *shared, "--mask", mask)
        differences.append(steps.loss_difference(recorded, report["steps"]))
        recipe.append((steps.speed(report["steps"]), finished.peak_gigabytes))
        report, finished = peer("lora", *shared)
        lora.append((steps.speed(report["steps"]), finished.peak_gigabytes))
        note(
            f"sparse, turn {turn + 1}: lota {ours[-1][0]:.0f}, released recipe {recipe[-1][0]:.0f}, "
            f"PEFT LoRA {lora[-1][0]:.0f} real tokens/s; losses differ by at most {differences[-1]:.1e}"
        )
    measured = rows.lengths(data, context.model)[context.batch_size :]
    tokens = sum(length for length, _ in measured)
    work = flops.training_step(context.config, measured, dense=False) / tokens
    result = []
    for name, theirs in (("released recipe", recipe), ("PEFT LoRA", lora)):
        mine, peers = [speed for speed, _ in ours], [speed for speed, _ in theirs]
        result.append(
            table.row(
                "sparse phase", "real tokens/s", mine, name, peers, "higher", context.peak_flops / work,
                flops_per_token=work,
            )
        )
        mine, peers = [memory for _, memory in ours], [memory for _, memory in theirs]
        result.append(table.row("sparse phase", "peak GB", mine, name, peers, "lower"))
    result[0]["largest relative difference of losses"] = max(differences)
    return result
