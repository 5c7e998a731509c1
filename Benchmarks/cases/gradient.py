"""A ticket's gradient entries computed alone, beside gathering them from the whole product, in the sparse phase: no other program.
The second row's share of the bound is how well the step uses the machine's matrix products."""
import steps
from cases import sparse
from context import note


def run(context):
    data, mask, out, shared = sparse.prepared(context, "gradient")
    figures = {"auto": [], "dense": []}
    for turn in range(context.repeat):
        for gradient, measured in figures.items():
            recorded, peak = sparse.trained(shared, mask, out, gradient)
            measured.append((steps.speed(recorded), peak))
        note(f"gradient, turn {turn + 1}: " + ", ".join(f"{name} {runs[-1][0]:.0f}" for name, runs in figures.items()))
    result = []
    for what, ours, name, theirs, ticket in (
        ("entries alone", "auto", "lota, whole dW", "dense", sparse.DENSITY), ("whole dW", "dense", "lota, entries alone", "auto", 1.0),
    ):
        work = sparse.work_a_token(context, data, ticket)
        result += sparse.compared(what, figures[ours], name, figures[theirs], context.peak_flops / work, work)
    return result
