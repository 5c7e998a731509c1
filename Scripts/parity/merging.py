"""Compare `lota merge` with mergekit's float32 output, tensor by tensor.

    python Scripts/parity/merging.py --lota .build/release/lota [--base DIR --model DIR --model DIR [--model DIR]]

Without models it makes small ones up. Needs mergekit 0.1.5. Every weight must agree within 1e-6. Where trimming has to choose between entries of equal magnitude, mergekit
takes what an unstable sort gives it, and lota the first: such weights are counted apart, and must be ties.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file

TOLERANCE = 1e-6


def tensors(directory):
    index = os.path.join(directory, "model.safetensors.index.json")
    if os.path.exists(index):
        names = json.load(open(index))["weight_map"]
    else:
        with safe_open(os.path.join(directory, "model.safetensors"), "pt") as file:
            names = {name: "model.safetensors" for name in file.keys()}
    return {name: os.path.join(directory, file) for name, file in names.items()}


def tensor(files, name):
    with safe_open(files[name], "pt") as file:
        return file.get_tensor(name).float()


def recipes(models):
    def entry(model, **parameters):
        return {"model": model, "parameters": parameters} if parameters else {"model": model}

    weights = [1.0, 0.6, -0.3]
    both = models[:2]
    yield "linear", {"merge_method": "linear", "models": [entry(m, weight=w) for m, w in zip(models, weights)]}
    yield "linear, not normalised", {
        "merge_method": "linear", "models": [entry(m, weight=0.5) for m in both], "parameters": {"normalize": False}}
    yield "task arithmetic", {
        "merge_method": "task_arithmetic", "models": [entry(m, weight=w) for m, w in zip(models, weights)]}
    yield "task arithmetic, normalised, gradient, lambda", {
        "merge_method": "task_arithmetic", "parameters": {"normalize": True, "lambda": 0.7},
        "models": [entry(both[0], weight=[0.2, 1.0, 0.4]),
                   entry(both[1], weight=[{"filter": "mlp", "value": 0.9}, {"value": [1, 0]}])]}
    for density in (0.1, 0.5, 1.0):
        for normalize in (True, False):
            yield f"ties {density} {'normalised' if normalize else 'summed'}", {
                "merge_method": "ties", "parameters": {"normalize": normalize},
                "models": [entry(m, weight=w, density=density) for m, w in zip(models, [1.0, 0.6, 0.8])]}
    yield "breadcrumbs", {
        "merge_method": "breadcrumbs", "models": [entry(m, weight=0.7, density=0.6, gamma=0.02) for m in both]}
    yield "breadcrumbs_ties", {
        "merge_method": "breadcrumbs_ties", "models": [entry(m, weight=0.7, density=0.6, gamma=0.02) for m in both]}
    yield "slerp", {"merge_method": "slerp", "models": [entry(both[0])], "parameters": {"t": [0, 0.5, 0.3, 1]}}


def small_models(folder):
    """A Llama of two layers with random weights, and three fine-tunes of it."""
    width, inner, vocabulary = 64, 160, 300
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": width, "intermediate_size": inner,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": vocabulary,
        "tie_word_embeddings": True, "torch_dtype": "float32", "rms_norm_eps": 1e-5, "max_position_embeddings": 64,
    }
    shapes = {"model.embed_tokens.weight": (vocabulary, width), "model.norm.weight": (width,)}
    for layer in range(3):
        part = f"model.layers.{layer}."
        shapes |= {
            part + "input_layernorm.weight": (width,), part + "post_attention_layernorm.weight": (width,),
            part + "self_attn.q_proj.weight": (width, width), part + "self_attn.k_proj.weight": (width // 2, width),
            part + "self_attn.v_proj.weight": (width // 2, width), part + "self_attn.o_proj.weight": (width, width),
            part + "mlp.gate_proj.weight": (inner, width), part + "mlp.up_proj.weight": (inner, width),
            part + "mlp.down_proj.weight": (width, inner),
        }
    torch.manual_seed(7)
    base = {name: torch.randn(shape) for name, shape in shapes.items()}
    paths = []
    for number in range(4):
        tensors = base if number == 0 else {k: v + 0.02 * torch.randn_like(v) ** 3 for k, v in base.items()}
        paths.append(os.path.join(folder, f"model{number}"))
        os.makedirs(paths[-1])
        save_file(tensors, os.path.join(paths[-1], "model.safetensors"), metadata={"format": "pt"})
        with open(os.path.join(paths[-1], "config.json"), "w") as file:
            json.dump(config, file)
    return paths[0], paths[1:]


def describe(recipe, base):
    recipe = dict(recipe, dtype="float32")
    if recipe["merge_method"] != "linear":
        recipe["base_model"] = base
    return recipe


def compare(ours, theirs, base, recipe):
    """Largest difference outside ties, weights that differ at ties, and others."""
    mine, other, old = tensors(ours), tensors(theirs), tensors(base)
    if mine.keys() != other.keys():
        raise SystemExit(f"tensors differ: {sorted(mine.keys() ^ other.keys())[:5]}")
    worst, ties, wrong = 0.0, 0, 0
    sources = [(tensors(m["model"]), m.get("parameters", {})) for m in recipe["models"]]
    for name in mine:
        a, b = tensor(mine, name), tensor(other, name)
        difference = (a - b).abs()
        bad = difference > TOLERANCE
        if bad.any():
            excused = torch.zeros_like(bad)
            reference = tensor(old, name)
            for files, parameters in sources:
                density = parameters.get("density", 1.0)
                if density >= 1:
                    continue
                delta = (tensor(files, name) - reference).abs()
                order = delta.flatten().sort(descending=True).values
                kept = max(1, int(density * order.numel()))
                outliers = int(parameters.get("gamma", 0) * order.numel())
                dropped = max(0, order.numel() - kept - outliers)
                for last in {order.numel() - dropped, order.numel() - dropped - kept} if "gamma" in parameters else {kept}:
                    if 0 < last < order.numel():
                        excused |= delta == order[last - 1]
            ties += int((bad & excused).sum())
            wrong += int((bad & ~excused).sum())
            difference = difference[~(bad & excused)]
        worst = max(worst, float(difference.max()) if difference.numel() else 0.0)
    return worst, ties, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lota", required=True)
    parser.add_argument("--base", help="model directory, float32")
    parser.add_argument("--model", action="append", default=[], help="fine-tune of it; at least two")
    parser.add_argument("--only", help="cases whose name begins so")
    arguments = parser.parse_args()
    if arguments.base is None or len(arguments.model) < 2:
        with tempfile.TemporaryDirectory() as folder:
            sys.exit(run(arguments, *small_models(folder)))
    sys.exit(run(arguments, arguments.base, arguments.model))


def run(arguments, base, models):
    """1 when a case failed."""
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    failures = 0
    for name, recipe in recipes(models):
        if arguments.only and not name.startswith(arguments.only):
            continue
        recipe = describe(recipe, base)
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "recipe.yaml")
            with open(path, "w") as file:
                yaml.safe_dump(recipe, file)
            theirs, ours = os.path.join(directory, "theirs"), os.path.join(directory, "ours")
            run_merge(
                MergeConfiguration.model_validate(recipe), theirs,
                options=MergeOptions(copy_tokenizer=False, write_model_card=False))
            subprocess.run([arguments.lota, "merge", path, "--out", ours], check=True, capture_output=True)
            worst, ties, wrong = compare(ours, theirs, base, recipe)
        failures += wrong > 0
        print(f"{'ok  ' if wrong == 0 else 'FAIL'} {name}: at most {worst:.2e} apart, {ties} at ties, {wrong} wrong", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    main()
