#!/usr/bin/env python3
"""Reference merges by mergekit: Tests/MergingTests/Goldens.

    python Scripts/goldens/merging.py [OUT]

Needs mergekit 0.1.5, as Scripts/parity/merging.py does. Everything is float32 and seeded.

base, model1, model2, model3    a Llama of two layers with random weights (seed 7), and three fine-tunes of it
NAME.yaml                       the recipe of a merge, with paths relative to this folder
merged.safetensors              its result: `NAME/TENSOR`
statistics.safetensors          of model1's task vector in `TENSOR` (metadata), over 2000 draws of DARE (density 0.4) and DELLA (density 0.4,
                                epsilon 0.2), each scaled to the tensor's sum of magnitudes as mergekit does by default:
    METHOD.kept [rows, columns] how often an entry stays
    METHOD.mean [rows, columns] the mean of what becomes of it
checksums.json                  SHA-256 of the files above

No entries are of equal magnitude where trimming has to choose: mergekit takes what an unstable sort gives it.
"""
import hashlib
import importlib.metadata
import json
import pathlib
import shutil
import sys
import tempfile

# A script beside this one is called tokenizers, as a library that mergekit needs.
sys.path = [path for path in sys.path if pathlib.Path(path or ".").resolve() != pathlib.Path(__file__).resolve().parent]

import torch  # noqa: E402
import yaml  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Tests/MergingTests/Goldens"
WIDTH, INNER, VOCABULARY, LAYERS = 12, 16, 20, 2
DRAWS = 2000
TENSOR = "model.layers.1.mlp.down_proj.weight"


def models():
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": WIDTH, "intermediate_size": INNER,
        "num_hidden_layers": LAYERS, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": VOCABULARY,
        "tie_word_embeddings": True, "torch_dtype": "float32", "rms_norm_eps": 1e-5, "max_position_embeddings": 64,
    }
    shapes = {"model.embed_tokens.weight": (VOCABULARY, WIDTH), "model.norm.weight": (WIDTH,)}
    for layer in range(LAYERS):
        part = f"model.layers.{layer}."
        shapes |= {
            part + "input_layernorm.weight": (WIDTH,), part + "post_attention_layernorm.weight": (WIDTH,),
            part + "self_attn.q_proj.weight": (WIDTH, WIDTH), part + "self_attn.k_proj.weight": (WIDTH // 2, WIDTH),
            part + "self_attn.v_proj.weight": (WIDTH // 2, WIDTH), part + "self_attn.o_proj.weight": (WIDTH, WIDTH),
            part + "mlp.gate_proj.weight": (INNER, WIDTH), part + "mlp.up_proj.weight": (INNER, WIDTH),
            part + "mlp.down_proj.weight": (WIDTH, INNER),
        }
    torch.manual_seed(7)
    base = {name: torch.randn(shape) for name, shape in shapes.items()}
    for number, name in enumerate(["base", "model1", "model2", "model3"]):
        tensors = base if number == 0 else {k: v + 0.05 * torch.randn_like(v) ** 3 for k, v in base.items()}
        for key, value in tensors.items():
            sizes = (value - base[key]).abs().flatten().sort(descending=True).values
            for kept in (max(1, int(share * sizes.numel())) for share in (0.02, 0.05, 0.07, 0.1, 0.5)):
                if number > 0 and sizes[kept - 1] == sizes[kept]:
                    raise SystemExit(f"{name} {key}: two changes of one size where trimming chooses; take another seed")
        (OUT / name).mkdir()
        save_file(tensors, OUT / name / "model.safetensors", metadata={"format": "pt"})
        (OUT / name / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def recipes():
    def entries(count, **parameters):
        return [{"model": f"model{number + 1}", "parameters": {k: v[number] for k, v in parameters.items()}}
                for number in range(count)]

    yield "linear", {"merge_method": "linear", "models": entries(3, weight=[1.0, 0.6, -0.3])}
    yield "linear-sum", {
        "merge_method": "linear", "models": entries(2, weight=[0.5, 0.7]), "parameters": {"normalize": False}}
    yield "task-arithmetic", {"merge_method": "task_arithmetic", "models": entries(3, weight=[1.0, 0.6, -0.3])}
    yield "task-arithmetic-gradient", {
        "merge_method": "task_arithmetic", "parameters": {"normalize": True, "lambda": 0.7},
        "models": entries(2, weight=[[0.2, 1.0], [{"filter": "mlp", "value": 0.9}, {"value": [1, 0.1]}]])}
    for density in (0.1, 0.5, 1.0):
        for normalize in (True, False):
            yield f"ties-{density}{'' if normalize else '-sum'}", {
                "merge_method": "ties", "parameters": {"normalize": normalize},
                "models": entries(3, weight=[1.0, 0.6, 0.8], density=[density] * 3)}
    yield "slerp", {"merge_method": "slerp", "models": [{"model": "model1"}], "parameters": {"t": [0.2, 0.7]}}
    yield "breadcrumbs", {
        "merge_method": "breadcrumbs", "models": entries(2, weight=[0.7, 0.7], density=[0.05, 0.05], gamma=[0.02, 0.02])}


def merged():
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    results = {}
    for name, recipe in recipes():
        if recipe["merge_method"] != "linear":
            recipe["base_model"] = "base"
        recipe["dtype"] = "float32"
        (OUT / f"{name}.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
        placed = json.loads(json.dumps(recipe))
        for entry in placed["models"]:
            entry["model"] = str(OUT / entry["model"])
        if "base_model" in placed:
            placed["base_model"] = str(OUT / "base")
        with tempfile.TemporaryDirectory() as folder:
            run_merge(
                MergeConfiguration.model_validate(placed), folder,
                options=MergeOptions(copy_tokenizer=False, write_model_card=False))
            for file in pathlib.Path(folder).glob("*.safetensors"):
                results |= {f"{name}/{key}": value for key, value in load_file(file).items()}
    save_file(results, OUT / "merged.safetensors", metadata={"mergekit": importlib.metadata.version("mergekit")})


def statistics():
    from mergekit.sparsify import RescaleNorm, SparsificationMethod, sparsify

    delta = load_file(OUT / "model1/model.safetensors")[TENSOR] - load_file(OUT / "base/model.safetensors")[TENSOR]
    results = {}
    for name, method in [("dare_linear", SparsificationMethod.random), ("della_linear", SparsificationMethod.della_magprune)]:
        torch.manual_seed(11)
        kept, total = torch.zeros_like(delta, dtype=torch.float64), torch.zeros_like(delta, dtype=torch.float64)
        for _ in range(DRAWS):
            sparse = sparsify(delta, 0.4, method, epsilon=0.2, rescale_norm=RescaleNorm.l1)
            kept += sparse != 0
            total += sparse
        results[f"{name}.kept"] = (kept / DRAWS).float()
        results[f"{name}.mean"] = (total / DRAWS).float()
    save_file(results, OUT / "statistics.safetensors", metadata={"tensor": TENSOR, "draws": str(DRAWS)})


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    models()
    merged()
    statistics()
    files = sorted(path for path in OUT.rglob("*") if path.is_file())
    sums = {str(path.relative_to(OUT)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (OUT / "checksums.json").write_text(json.dumps(sums, indent=2) + "\n")
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files)} bytes")


if __name__ == "__main__":
    main()
