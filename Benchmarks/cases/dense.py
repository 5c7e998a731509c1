"""A full fine-tuning step on rows of 256 tokens without padding, beside transformers."""
import shutil

import flops
import rows
import steps
import table
from context import note
from processes import lota, peer

TOKENS = 256


def run(context):
    count, batch = context.steps + 1, context.dense_rows
    data, out = context.path("dense.jsonl"), context.path("dense-run")
    rows.texts(data, context.model, batch * count, TOKENS)
    shared = ["--model", context.model, "--data", data, "--batch-size", batch, "--steps", count]
    # The peer's objective, and no clipping on either side.
    same = ["--loss", "token-mean", "--max-grad-norm", 0, "--optimizer", "rmsprop", "--no-shuffle"]
    ours, theirs, differences = [], [], []
    for turn in range(context.repeat):
        finished = lota("train", "--method", "fft", *shared, *same, "--out", out)
        recorded = steps.recorded(out)
        shutil.rmtree(out)
        ours.append((steps.speed(recorded), finished.peak_gigabytes))
        report, finished = peer("full_finetuning", *shared)
        differences.append(steps.loss_difference(recorded, report["steps"]))
        theirs.append((steps.speed(report["steps"]), finished.peak_gigabytes))
        note(
            f"dense, turn {turn + 1}: lota {ours[-1][0]:.0f}, transformers {theirs[-1][0]:.0f} tokens/s; "
            f"losses differ by at most {differences[-1]:.1e}"
        )
    measured = rows.lengths(data, context.model)[batch:]
    work = flops.training_step(context.config, measured, dense=True) / (TOKENS * len(measured))
    what = f"dense step, {batch} x {TOKENS}"
    speeds = [[speed for speed, _ in side] for side in (ours, theirs)]
    peaks = [[memory for _, memory in side] for side in (ours, theirs)]
    bound = context.peak_flops / work
    return [
        table.row(
            what, "tokens/s", speeds[0], "transformers", speeds[1], "higher", bound, flops_per_token=work,
            **{"largest relative difference of losses": max(differences)},
        ),
        table.row(what, "peak GB", peaks[0], "transformers", peaks[1], "lower"),
    ]
