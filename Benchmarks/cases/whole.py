"""Lottery Ticket Adaptation from start to finish (an epoch of calibration, extraction, three epochs of adaptation)
beside three epochs of PEFT LoRA on the same rows."""
import shutil

import flops
import rows
import steps
import table
from context import note
from processes import lota, peer

EPOCHS = 3
SPARSITY = 0.9


def run(context):
    data, out = context.path("whole.jsonl"), context.path("whole-run")
    batches = max(1, context.rows // context.batch_size)
    rows.problems(data, context.model, batches * context.batch_size, context.source)
    shared = ["--model", context.model, "--data", data, "--batch-size", context.batch_size]
    epochs = ["--calibration-fraction", 1, "--epochs", EPOCHS, "--sparsity", SPARSITY]
    ours, theirs = [], []
    for turn in range(context.repeat):
        finished = lota("train", "--method", "lota", *shared, *epochs, "--no-shuffle", "--out", out)
        ours.append((finished.seconds, steps.seconds(steps.recorded(out)), finished.peak_gigabytes))
        shutil.rmtree(out)
        report, finished = peer("lora", *shared, "--steps", EPOCHS * batches, "--out", context.path("lora"))
        theirs.append((finished.seconds, steps.seconds(report["steps"]), finished.peak_gigabytes))
        note(f"whole, turn {turn + 1}: lota {ours[-1][0]:.0f} s, PEFT LoRA {theirs[-1][0]:.0f} s")
    lengths = rows.lengths(data, context.model)
    work = flops.training_step(context.config, lengths, dense=True)
    work += EPOCHS * flops.training_step(context.config, lengths, dense=False, ticket=1 - SPARSITY)
    bound = work / context.peak_flops
    what = f"LoTA whole, {len(lengths)} rows"
    return [
        table.row(
            what, unit, [side[index] for side in ours], "PEFT LoRA", [side[index] for side in theirs], "lower",
            bound if index < 2 else None,
        )
        for index, unit in enumerate(("s, whole process", "s, steps alone", "peak GB"))
    ]
