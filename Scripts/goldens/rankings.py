#!/usr/bin/env python3
"""Reference values for the ways to find a ticket: Tests/AdaptationTests/Goldens/rankings.

    python Scripts/goldens/rankings.py [OUT]

Needs what training.py needs, and the model and rows that it wrote, which stay as they are.

goldens.safetensors, in float32, batches of 4 rows in file order, 5 calibration steps, 5 steps of training:
    <ranking>.scores [n]            gradient, snip, squared-gradient: of all projections in canonical order, without a step
    <ranking>.<quota>.mask          at sparsity 0.9, global or per-tensor; also of `update`
    scope.losses, .mask, .values    update ranked over projections, embeddings and norms, and trained
    iterated.losses, .mask, .values calibration, a ticket of 0.5 trained, the ticket of 0.9 of what it changed most trained
  masks as training.py packs them; the order of a wider scope is projections, then the others by name
"""

import pathlib
import sys

OUT = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else None

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import training  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

import json  # noqa: E402

OUT = OUT or training.ROOT / "Tests/AdaptationTests/Goldens/rankings"
STEPS = 5


def rows():
    return [json.loads(line) for line in (training.OUT / "rows.jsonl").read_text().splitlines()]


def gradients(reference, step):
    parameters = dict(reference.model.named_parameters())
    for parameter in parameters.values():
        parameter.requires_grad_(True)
        parameter.grad = None
    reference.backward(step, "sequence-sum")
    return {name: parameters[name].grad.clone() for name in reference.scoped}


def scores(reference):
    reference.reset()
    steps = [gradients(reference, step) for step in range(STEPS)]
    total = {name: sum(step[name] for step in steps) for name in reference.scoped}
    return {
        "gradient": {name: value.abs() for name, value in total.items()},
        "snip": {name: (reference.base[name] * value).abs() for name, value in total.items()},
        "squared-gradient": {name: sum(step[name].square() for step in steps) for name in reference.scoped},
    }


def updates(reference, names):
    return {name: (p.detach() - reference.base[name]).abs() for name, p in reference.model.named_parameters()
            if name in names}


def global_mask(magnitudes, names, sparsity):
    flat = torch.cat([magnitudes[name].flatten() for name in names])
    kept = torch.zeros(flat.numel(), dtype=torch.bool)
    kept[torch.sort(flat, descending=True, stable=True).indices[:round((1 - sparsity) * flat.numel())]] = True
    return kept


def tensor_masks(magnitudes, names, sparsity):
    return torch.cat([global_mask(magnitudes, [name], sparsity) for name in names])


def split(kept, names, like):
    masks, at = {}, 0
    for name in names:
        masks[name] = kept[at:at + like[name].numel()].view_as(like[name])
        at += like[name].numel()
    return masks


def values(reference, masks, names):
    parameters = dict(reference.model.named_parameters())
    for name, parameter in parameters.items():
        frozen = ~masks[name] if name in masks else torch.ones_like(parameter, dtype=torch.bool)
        assert torch.equal(parameter[frozen], reference.base[name][frozen]), name
    return torch.cat([parameters[name].detach()[masks[name]] for name in names])


def main():
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    reference = training.Reference(rows())
    names, settings = reference.scoped, training.DEFAULTS
    goldens, found = {}, scores(reference)
    goldens |= {f"{key}.scores": torch.cat([value[name].flatten() for name in names]) for key, value in found.items()}

    reference.reset()
    calibration = reference.train(settings, STEPS)
    found["update"] = updates(reference, names)
    for key, value in found.items():
        goldens[f"{key}.global.mask"] = training.pack(global_mask(value, names, 0.9))
        goldens[f"{key}.per-tensor.mask"] = training.pack(tensor_masks(value, names, 0.9))

    wide = names + sorted(name for name in reference.base if "embed" in name or "norm" in name)
    kept = global_mask(updates(reference, wide), wide, 0.9)
    masks = split(kept, wide, reference.base)
    reference.reset()
    losses = calibration + reference.train(settings, STEPS, masks)
    goldens |= {f"scope.{key}": value for key, value in training.columns(losses).items()}
    goldens |= {"scope.mask": training.pack(kept), "scope.values": values(reference, masks, wide)}

    masks = split(global_mask(found["update"], names, 0.5), names, reference.base)
    reference.reset()
    losses = calibration + reference.train(settings, STEPS, masks)
    kept = global_mask(updates(reference, names), names, 0.9)
    masks = split(kept, names, reference.base)
    reference.reset()
    losses += reference.train(settings, STEPS, masks)
    goldens |= {f"iterated.{key}": value for key, value in training.columns(losses).items()}
    goldens |= {"iterated.mask": training.pack(kept), "iterated.values": values(reference, masks, names)}

    for key, value in sorted(goldens.items()):
        print(key, tuple(value.shape))
    save_file({key: value.contiguous() for key, value in goldens.items()}, OUT / "goldens.safetensors",
              metadata={"seed": str(training.SEED)})
    (OUT / "README.md").write_text(
        "Reference values for the ways to find a ticket, written by `Scripts/goldens/rankings.py` (its head says what is "
        f"inside) over\nthe model and rows of ../training, with torch {torch.__version__}, transformers "
        f"{training.transformers.__version__}.\n")


if __name__ == "__main__":
    main()
