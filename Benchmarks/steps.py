"""Training steps as both sides record them: which count, how fast they were, whether the losses agree."""
import json
import os

from processes import Failure

# Before the first update both sides compute the same function of the same weights.
LARGEST_LOSS_DIFFERENCE = 1e-4


def recorded(run):
    """The steps of a run directory of lota."""
    with open(os.path.join(run, "metrics.jsonl")) as file:
        return [json.loads(line) for line in file]


def speed(steps):
    """Tokens a second of all steps after the first, which warms up."""
    return sum(step["tokens"] for step in steps[1:]) / seconds(steps[1:])


def seconds(steps):
    return sum(step["seconds"] for step in steps)


def loss_difference(ours, theirs):
    """The largest relative difference of a step's loss; fails when the first step or the tokens differ."""
    if [step["tokens"] for step in ours] != [step["tokens"] for step in theirs]:
        raise Failure("lota and the peer did not train on the same rows: a step's tokens differ")
    differences = [abs(a["loss"] - b["loss"]) / abs(b["loss"]) for a, b in zip(ours, theirs)]
    if differences[0] > LARGEST_LOSS_DIFFERENCE:
        raise Failure(f"the losses of the first step differ: {ours[0]['loss']} and {theirs[0]['loss']}")
    return max(differences)
