"""Goldens of ticket selection: masks that PyTorch's stable sort gives for small random checkpoints.

Run: python Scripts/goldens/tickets.py
Writes Tests/TicketsTests/Goldens/{float32,bfloat16,float16}/ (deterministic; seed 20). Needs torch and safetensors.

Each folder holds "base.safetensors" and "tuned.safetensors" (15 projection weights and two others, in an order that is
not the canonical one), and "mask-SPARSITY.safetensors" as the reference implementation writes masks: U8 tensors of packed
bits, least significant first, with metadata "shapes" (JSON) and "kept" only.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file

TARGET = pathlib.Path(__file__).parents[2] / "Tests/TicketsTests/Goldens"
PROJECTIONS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
               "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
# Layer 10 comes before layer 2 in order of names, not in canonical order.
SCOPED = [f"model.layers.{layer}.{projection}.weight" for layer in (2, 10) for projection in PROJECTIONS]
SCOPED.append("model.layers.11.self_attn.q_proj.weight")
SPARSITIES = [0.0, 0.1, 0.5, 0.9, 0.99]


def pack(mask):
    bits = torch.nn.functional.pad(mask.flatten().to(torch.uint8), (0, -mask.numel() % 8)).view(-1, 8)
    return (bits << torch.arange(8, dtype=torch.uint8)).sum(1).to(torch.uint8)


def main():
    generator = torch.Generator().manual_seed(20)
    random = lambda *shape: torch.randn(*shape, generator=generator)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        folder = TARGET / str(dtype).removeprefix("torch.")
        folder.mkdir(parents=True, exist_ok=True)
        base, tuned = {}, {}
        for position, name in enumerate(SCOPED + ["model.norm.weight", "lm_head.weight"]):
            shape = (5 + position, 13) if position % 3 else (64, 3)
            base[name] = (random(*shape) * 0.05).to(dtype)
            # Coarse steps give ties; a quarter of the weights do not move.
            step = (random(*shape) * 8).round() / 1024 * (torch.rand(*shape, generator=generator) < 0.75)
            tuned[name] = (base[name].float() + step).to(dtype)
        flat = torch.cat([(tuned[name].float() - base[name].float()).abs().flatten() for name in SCOPED])
        for sparsity in SPARSITIES:
            keep = round((1 - sparsity) * flat.numel())
            kept = torch.zeros(flat.numel(), dtype=torch.bool)
            kept[torch.sort(flat, descending=True, stable=True).indices[:keep]] = True
            masks, at = {}, 0
            for name in SCOPED:
                masks[name] = kept[at:at + base[name].numel()].view_as(base[name])
                at += base[name].numel()
            save_file({name: pack(mask) for name, mask in masks.items()}, folder / f"mask-{sparsity}.safetensors",
                      metadata={"shapes": json.dumps({name: list(mask.shape) for name, mask in masks.items()}),
                                "kept": str(keep)})
        save_file(base, folder / "base.safetensors")
        save_file(tuned, folder / "tuned.safetensors")
        print(folder.name, flat.numel(), "weights,", int((flat == 0).sum()), "unchanged")


main()
