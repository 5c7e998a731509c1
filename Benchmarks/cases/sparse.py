"""The sparse phase on rows of GSM8K's lengths, beside the released recipe and beside PEFT LoRA; and once more with the weights'
gradients as whole products, which a ticket's entries are gathered from."""
import shutil

import flops
import rows
import steps
import table
from context import note
from processes import lota, peer

DENSITY = 0.1


def run(context):
    count = context.steps + 1
    data, mask, out = context.path("sparse.jsonl"), context.path("random.mask"), context.path("sparse-run")
    rows.problems(data, context.model, context.batch_size * count, context.source)
    lota("mask", "random", "--model", context.model, "--out", mask)
    shared = ["--model", context.model, "--data", data, "--batch-size", context.batch_size, "--steps", count]
    ours, whole, recipe, lora, differences = [], [], [], [], []
    for turn in range(context.repeat):
        for figures, gradient in ((whole, "dense"), (ours, "auto")):
            finished = lota(
                "train", "--method", "lota", *shared, "--mask", mask, "--out", out, "--no-shuffle", "--ticket-gradient", gradient
            )
            recorded = steps.recorded(out)
            shutil.rmtree(out)
            figures.append((steps.speed(recorded), finished.peak_gigabytes))
        report, finished = peer("released_recipe", *shared, "--mask", mask)
        differences.append(steps.loss_difference(recorded, report["steps"]))
        recipe.append((steps.speed(report["steps"]), finished.peak_gigabytes))
        report, finished = peer("lora", *shared)
        lora.append((steps.speed(report["steps"]), finished.peak_gigabytes))
        note(
            f"sparse, turn {turn + 1}: lota {ours[-1][0]:.0f} ({whole[-1][0]:.0f} with whole gradients), released recipe {recipe[-1][0]:.0f}, "
            f"PEFT LoRA {lora[-1][0]:.0f} real tokens/s; losses differ by at most {differences[-1]:.1e}"
        )
    measured = rows.lengths(data, context.model)[context.batch_size :]
    tokens = sum(length for length, _ in measured)
    result = []
    for what, figures, name, theirs, ticket in (
        ("sparse phase", ours, "released recipe", recipe, DENSITY), ("sparse phase", ours, "PEFT LoRA", lora, DENSITY),
        ("... whole dW", whole, "released recipe", recipe, 1.0),
    ):
        work = flops.training_step(context.config, measured, dense=False, ticket=ticket) / tokens
        mine, peers = [speed for speed, _ in figures], [speed for speed, _ in theirs]
        result.append(
            table.row(
                what, "real tokens/s", mine, name, peers, "higher", context.peak_flops / work, flops_per_token=work,
            )
        )
        mine, peers = [memory for _, memory in figures], [memory for _, memory in theirs]
        result.append(table.row(what, "peak GB", mine, name, peers, "lower"))
    result[0]["largest relative difference of losses"] = max(differences)
    return result
