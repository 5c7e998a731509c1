"""Greedy generation of one sequence, and of many in batches, beside transformers."""
import json

import flops
import rows
import table
from context import note
from processes import lota, peer

PROMPT = "Once upon a time there was a village by the sea. Every morning the people of the village"
RECIPE = 'name: generation\nprompt: "{prompt}"\n'
BATCH = 16


def run(context):
    return one(context) + many(context)


def one(context):
    ours, theirs, agree = [], [], []
    shared = ["--model", context.model, "--prompt", PROMPT]
    for turn in range(context.repeat):
        finished = lota("generate", *shared, "--max-tokens", context.new_tokens, "--temperature", 0, "--json")
        report = json.loads(finished.output)
        tokens = report["tokens"]
        ours.append((len(tokens) / report["seconds"], finished.peak_gigabytes))
        report, finished = peer("generation", *shared, "--new-tokens", len(tokens))
        theirs.append((len(report["tokens"]) / report["seconds"], finished.peak_gigabytes))
        agree.append(sum(a == b for a, b in zip(tokens, report["tokens"])))
        note(
            f"generation, turn {turn + 1}: lota {ours[-1][0]:.1f}, transformers {theirs[-1][0]:.1f} tokens/s; "
            f"{agree[-1]} of {len(tokens)} tokens the same"
        )
    return figures(context, "generation, batch 1", ours, theirs, 1, new_tokens=len(tokens), same_tokens=min(agree))


def many(context):
    """Twice as many rows as a batch holds, with their own ends: transformers pads each batch and waits for its longest."""
    ours, theirs = [], []
    recipe, data = context.path("generation.yaml"), context.path("generation.jsonl")
    with open(recipe, "w") as file:
        file.write(RECIPE)
    rows.problems(data, context.model, 2 * BATCH, context.source)
    shared = ["--model", context.model, "--batch-size", BATCH]
    for turn in range(context.repeat):
        finished = lota("eval", *shared, "--task", f"{recipe}={data}", "--max-tokens", context.new_tokens, "--json")
        work = json.loads(finished.output)["work"]
        ours.append((work["generatedTokens"] / work["seconds"], finished.peak_gigabytes))
        report, finished = peer("generation", *shared, "--data", data, "--new-tokens", context.new_tokens)
        theirs.append((report["count"] / report["seconds"], finished.peak_gigabytes))
        note(
            f"generation in batches, turn {turn + 1}: lota {ours[-1][0]:.1f} ({work['generatedTokens']} tokens), "
            f"transformers {theirs[-1][0]:.1f} ({report['count']} tokens) new tokens/s"
        )
    return figures(context, f"generation, batch {BATCH}", ours, theirs, BATCH, rows=2 * BATCH)


def figures(context, what, ours, theirs, batch, **details):
    """The bound is memory's: every weight is read once for a token of each sequence of the batch."""
    bound = batch * context.read_bytes / flops.weight_bytes_per_token(context.config)
    speeds = [[speed for speed, _ in side] for side in (ours, theirs)]
    peaks = [[memory for _, memory in side] for side in (ours, theirs)]
    return [
        table.row(what, "new tokens/s", speeds[0], "transformers", speeds[1], "higher", bound, **details),
        table.row(what, "peak GB", peaks[0], "transformers", peaks[1], "lower"),
    ]
