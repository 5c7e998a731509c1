"""The sparse phase on rows of GSM8K's lengths, beside the released recipe and beside PEFT LoRA."""
import shutil

import flops
import rows
import steps
import table
from context import note
from processes import lota, peer

DENSITY = 0.1


def run(context):
    data, mask, out, shared = prepared(context, "sparse")
    ours, recipe, lora, differences = [], [], [], []
    for turn in range(context.repeat):
        recorded, peak = trained(shared, mask, out, "auto")
        ours.append((steps.speed(recorded), peak))
        report, finished = peer("released_recipe", *shared, "--mask", mask)
        differences.append(steps.loss_difference(recorded, report["steps"]))
        recipe.append((steps.speed(report["steps"]), finished.peak_gigabytes))
        report, finished = peer("lora", *shared)
        lora.append((steps.speed(report["steps"]), finished.peak_gigabytes))
        note(
            f"sparse, turn {turn + 1}: lota {ours[-1][0]:.0f}, released recipe {recipe[-1][0]:.0f}, "
            f"PEFT LoRA {lora[-1][0]:.0f} real tokens/s; losses differ by at most {differences[-1]:.1e}"
        )
    work = work_a_token(context, data, DENSITY)
    result = []
    for name, theirs in (("released recipe", recipe), ("PEFT LoRA", lora)):
        result += compared("sparse phase", ours, name, theirs, context.peak_flops / work, work)
    result[0]["largest relative difference of losses"] = max(differences)
    return result


def prepared(context, name):
    """Rows, a random ticket, a folder for a run, and the options that all sides share."""
    count = context.steps + 1
    data, mask, out = (context.path(f"{name}{ending}") for ending in (".jsonl", ".mask", "-run"))
    rows.problems(data, context.model, context.batch_size * count, context.source)
    lota("mask", "random", "--model", context.model, "--out", mask)
    return data, mask, out, ["--model", context.model, "--data", data, "--batch-size", context.batch_size, "--steps", count]


def trained(shared, mask, out, gradient):
    """The steps of a run with a ticket's gradient computed in one of two ways, and its peak memory in GB."""
    finished = lota(
        "train", "--method", "lota", *shared, "--mask", mask, "--out", out, "--no-shuffle", "--ticket-gradient", gradient
    )
    recorded = steps.recorded(out)
    shutil.rmtree(out)
    return recorded, finished.peak_gigabytes


def work_a_token(context, data, ticket):
    """Operations that the counted steps need, by real tokens."""
    measured = rows.lengths(data, context.model)[context.batch_size :]
    work = flops.training_step(context.config, measured, dense=False, ticket=ticket)
    return work / sum(length for length, _ in measured)


def compared(what, ours, name, theirs, bound, work):
    """Rows of (tokens a second, peak GB) of all turns."""
    speeds, peaks = zip(*ours)
    their_speeds, their_peaks = zip(*theirs)
    return [
        table.row(what, "real tokens/s", list(speeds), name, list(their_speeds), "higher", bound, flops_per_token=work),
        table.row(what, "peak GB", list(peaks), name, list(their_peaks), "lower"),
    ]
