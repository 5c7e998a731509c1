"""Golden adapter: one that the Python tests' encoder wrote from docs/adapter-format.md alone, for the Swift reader.

Run: python Scripts/goldens/adapters.py
Writes Tests/TicketsTests/Goldens/adapter/ (deterministic; seed 7): "base.safetensors", "tuned.safetensors", and the directory
"adapter" between them. Needs numpy. Tensors of all three types; long streams (several blocks) and short ones, both codings,
changes of sign, arbitrary bit patterns in the base (NaN and infinity among them).
"""

import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "integrations/python"))
import test_lota_adapter as encoder  # noqa: E402

TARGET = ROOT / "Tests/TicketsTests/Goldens/adapter"
TENSORS = [
    ("model.layers.0.self_attn.q_proj.weight", "F32", (72, 60), 0.3),
    ("model.layers.0.mlp.up_proj.weight", "BF16", (96, 100), 0.5),
    ("model.layers.2.mlp.down_proj.weight", "F16", (50, 60), 0.02),
    ("model.layers.10.mlp.down_proj.weight", "F32", (7, 5), 1.0),
    ("model.embed_tokens.weight", "BF16", (30, 20), 0.001),
]


def save(path, tensors):
    described = {name: (dtype, array.shape, array.tobytes()) for name, (dtype, array) in tensors.items()}
    path.write_bytes(encoder.safetensors_bytes(described, {"format": "pt"}))


def main():
    rng = np.random.default_rng(7)
    made, base, tuned = encoder.Made(), {}, {}
    for name, dtype, shape, density in TENSORS:
        made.add(name, dtype, *encoder.random_tensor(rng, dtype, shape, density))
        base[name], tuned[name] = (dtype, made.base[name]), (dtype, made.trained[name])
    TARGET.mkdir(parents=True, exist_ok=True)
    save(TARGET / "base.safetensors", base)
    save(TARGET / "tuned.safetensors", tuned)
    made.write(TARGET / "adapter")
    for name, stream in made.streams.items():
        print(name, len(stream), "bytes,", ("Rice", "rANS")[stream[0]])


if __name__ == "__main__":
    main()
