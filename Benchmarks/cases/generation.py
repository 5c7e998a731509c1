"""Greedy generation of one sequence, beside transformers."""
import json

import flops
import table
from context import note
from processes import lota, peer

PROMPT = "Once upon a time there was a village by the sea. Every morning the people of the village"


def run(context):
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
    bound = context.read_bytes / flops.weight_bytes_per_token(context.config)
    speeds = [[speed for speed, _ in side] for side in (ours, theirs)]
    peaks = [[memory for _, memory in side] for side in (ours, theirs)]
    return [
        table.row(
            "generation, batch 1", "new tokens/s", speeds[0], "transformers", speeds[1], "higher", bound,
            new_tokens=len(tokens), same_tokens=min(agree),
        ),
        table.row("generation, batch 1", "peak GB", peaks[0], "transformers", peaks[1], "lower"),
    ]
