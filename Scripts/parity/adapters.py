"""Round trips of adapters on a real model, in float32 and bfloat16, at four sparsities, checked bit by bit with the Python reader.

    python Scripts/parity/adapters.py --lota ./lota --base MODEL --tuned FINE-TUNE [--work FOLDER]

For each type and sparsity: extract an adapter from the fine-tune; apply it with lota and with the Python reader; take it away
again with both. Needs torch, transformers' files are not used.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "integrations" / "python"))
from lota_adapter import Adapter  # noqa: E402

SPARSITIES = [0.5, 0.9, 0.99, 0.999]


def weights(path):
    result = {}
    for file in sorted(pathlib.Path(path).glob("*.safetensors")):
        result |= load_file(file)
    return result


def same(left, right):
    view = {torch.float32: torch.int32, torch.bfloat16: torch.int16}
    return left.keys() == right.keys() and all(
        torch.equal(left[name].view(view[left[name].dtype]), right[name].view(view[right[name].dtype])) for name in left
    )


def converted(source, target, dtype):
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.safetensors*"))
    save_file({name: value.to(dtype) for name, value in weights(source).items()}, target / "model.safetensors", {"format": "pt"})
    return target


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--lota", "--base", "--tuned"):
        parser.add_argument(name, required=True)
    parser.add_argument("--work", help="folder for models; default: a temporary one")
    options = parser.parse_args()

    def lota(*arguments):
        return subprocess.run([options.lota, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True).stdout

    failures = 0
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        folder = pathlib.Path(folder)
        for dtype in (torch.float32, torch.bfloat16):
            kind = str(dtype).removeprefix("torch.")
            base_path = converted(options.base, folder / f"base-{kind}", dtype)
            tuned_path = converted(options.tuned, folder / f"tuned-{kind}", dtype)
            base, tuned = weights(base_path), weights(tuned_path)
            for sparsity in SPARSITIES:
                adapter, applied, back = (folder / f"{kind}-{sparsity}-{part}" for part in ("adapter", "applied", "back"))
                lota("adapter", "extract", "--base", base_path, "--tuned", tuned_path, "--sparsity", sparsity, "--out", adapter)
                lota("adapter", "apply", "--model", base_path, "--adapter", adapter, "--out", applied)
                lota("adapter", "remove", "--model", applied, "--adapter", adapter, "--out", back)
                figures = json.loads(lota("adapter", "inspect", adapter, "--json"))
                reader = Adapter(adapter)
                expected = {name: value.clone() for name, value in base.items()}
                for name in reader.tensor_names:
                    indices = torch.from_numpy(reader.entries(name)[0])
                    expected[name].view(-1)[indices] = tuned[name].view(-1)[indices]
                python = {name: value.clone() for name, value in base.items()}
                reader.apply_(python)
                checks = {
                    "lota applies": same(weights(applied), expected),
                    "python applies": same(python, expected),
                    "lota removes": same(weights(back), base),
                    "python removes": same(reader.remove_(python), base),
                }
                failures += sum(not value for value in checks.values())
                bits = figures["bits"]
                print(
                    f"{kind} {sparsity}: {figures['trained']} weights, {figures['bytes']} bytes, {bits['total']:.2f} bits: index "
                    f"{bits['index']:.3f} (bound {bits['indexEntropy']:.3f}, {bits['index'] / bits['indexEntropy']:.3f} of it), value "
                    f"{bits['value']:.2f} (entropy {bits['valueEntropy']:.2f}), overhead {bits['overhead']:.2f}; "
                    + ", ".join(f"{name}: {'ok' if value else 'FAILED'}" for name, value in checks.items()),
                    flush=True,
                )
                for path in (applied, back):
                    shutil.rmtree(path)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
