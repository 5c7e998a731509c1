"""Writes Tests/CheckpointsTests/Goldens/checkpoints: files by safetensors and transformers, and what they must mean.

Usage: python Scripts/goldens/checkpoints.py   (needs torch, numpy, safetensors, transformers)
"""

import hashlib
import json
import pathlib
import shutil

import numpy
import safetensors
import safetensors.torch
import torch
import transformers

SEED = 20
OUT = pathlib.Path(__file__).resolve().parents[2] / "Tests/CheckpointsTests/Goldens/checkpoints"


def raw(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def describe(tensor):
    name = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
            "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL"}[str(tensor.dtype).split(".")[1]]
    entry = {"dtype": name, "shape": list(tensor.shape), "sha256": hashlib.sha256(raw(tensor)).hexdigest()}
    if tensor.is_floating_point():
        entry["bits"] = tensor.float().reshape(-1).view(torch.int32).tolist()
    return entry


def dtypes():
    generator = torch.Generator().manual_seed(SEED)
    values = torch.randn(3, 5, generator=generator, dtype=torch.float64) * 10
    tensors = {f"float.{d}": values.to(getattr(torch, d)) for d in ("float64", "float32", "float16", "bfloat16")}
    for d in ("int64", "int32", "int16", "int8", "uint8"):
        tensors[f"integer.{d}"] = torch.arange(7).to(getattr(torch, d)) * 9
    tensors["flags"] = torch.tensor([True, False, True])
    tensors["scalar"] = torch.tensor(2.5, dtype=torch.bfloat16)
    tensors["empty"] = torch.zeros(0, 4, dtype=torch.float16)
    tensors['näme "quoted"\n中'] = torch.tensor([1.5, -0.0])
    metadata = {"format": "pt", "note": 'ü "x" \\ \u0001'}
    safetensors.torch.save_file(tensors, OUT / "dtypes.safetensors", metadata=metadata)
    expected = {"metadata": metadata, "tensors": {k: describe(v) for k, v in tensors.items()}}
    (OUT / "dtypes.json").write_text(json.dumps(expected, ensure_ascii=True, indent=1) + "\n")


def fingerprint(tensors):
    """The canonical form of ModelFingerprint, written independently."""
    lines = ["lota-model-fingerprint 1"]
    for name in sorted(tensors):
        d = describe(tensors[name])
        shape = ",".join(map(str, d["shape"]))
        lines.append(f"{d['sha256']} {d['dtype']} [{shape}] {json.dumps(name, ensure_ascii=False)}")
    return hashlib.sha256(("\n".join(lines) + "\n").encode()).hexdigest()


def sharded():
    torch.manual_seed(SEED)
    folder = OUT / "sharded"
    shutil.rmtree(folder, ignore_errors=True)
    config = transformers.MistralConfig(
        vocab_size=11, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=16, max_position_embeddings=64, eos_token_id=2, dtype="bfloat16")
    model = transformers.MistralForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="1KB")
    tensors = {k: v.detach() for k, v in model.state_dict().items()}
    expected = {"fingerprint": fingerprint(tensors), "tensors": {k: describe(v) for k, v in tensors.items()}}
    (OUT / "sharded.json").write_text(json.dumps(expected, indent=1) + "\n")


def canonical_nan(bits):
    """float32 bits with every NaN replaced by the quiet one, so that only what is promised is compared."""
    bits = bits.copy()
    bits[(bits & 0x7FFFFFFF) > 0x7F800000] = 0x7FC00000
    return bits


def conversions():
    patterns = numpy.arange(65536, dtype=numpy.uint16)
    with numpy.errstate(all="ignore"):
        half = canonical_nan(patterns.view(numpy.float16).astype(numpy.float32).view(numpy.uint32))
    brain = canonical_nan(
        torch.from_numpy(patterns.view(numpy.int16)).view(torch.bfloat16).float().numpy().view(numpy.uint32))
    samples = (numpy.arange(1 << 20, dtype=numpy.uint64) * 4099 % (1 << 32)).astype(numpy.uint32)
    floats = samples.view(numpy.float32)
    number = ~numpy.isnan(floats)
    with numpy.errstate(all="ignore"):
        to_half = floats.astype(numpy.float16).view(numpy.uint16)
    to_brain = torch.from_numpy(floats).bfloat16().view(torch.int16).numpy().view(numpy.uint16)
    digest = lambda a: hashlib.sha256(a.tobytes()).hexdigest()
    expected = {
        "float16_to_float32": digest(half), "bfloat16_to_float32": digest(brain),
        "float32_to_float16": digest(to_half[number]), "float32_to_bfloat16": digest(to_brain[number])}
    (OUT / "conversions.json").write_text(json.dumps(expected, indent=1) + "\n")


SMALL = {"vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
MISTRAL = {"architectures": ["MistralForCausalLM"], "model_type": "mistral"}
QWEN2 = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
CONFIGURATIONS = {
    "llama, all defaults": LLAMA,
    "mistral, all defaults": MISTRAL,
    "qwen2, all defaults": QWEN2,
    "llama, model_type only": {"model_type": "llama", **SMALL},
    "smollm2": {
        **LLAMA, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 576,
        "intermediate_size": 1536, "max_position_embeddings": 8192, "num_attention_heads": 9, "num_hidden_layers": 30,
        "num_key_value_heads": 3, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 100000,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16", "vocab_size": 49152},
    "llama 3.1, dialect 4": {
        **LLAMA, **SMALL, "rope_theta": 500000.0, "rope_scaling": {**LLAMA3, "rope_type": "llama3"},
        "max_position_embeddings": 131072, "eos_token_id": [128001, 128008], "bos_token_id": 128000,
        "attention_bias": False, "mlp_bias": False, "torch_dtype": "float16", "num_key_value_heads": 2},
    "llama 3.1, dialect 5": {
        **LLAMA, **SMALL, "rope_parameters": {**LLAMA3, "rope_type": "llama3", "rope_theta": 500000.0},
        "max_position_embeddings": 131072, "dtype": "float16", "eos_token_id": 7},
    "linear, old key": {
        **LLAMA, **SMALL, "rope_scaling": {"type": "linear", "factor": 4}, "torch_dtype": "float32"},
    "linear, new key": {**LLAMA, **SMALL, "rope_scaling": {"rope_type": "linear", "factor": 2.5}},
    "default type, theta inside": {**LLAMA, **SMALL, "rope_parameters": {"rope_type": "default", "rope_theta": 1234.5}},
    "theta inside beats theta outside": {
        **LLAMA, **SMALL, "rope_theta": 7.0, "rope_parameters": {"rope_type": "default", "rope_theta": 9.0}},
    "scaling beats parameters": {
        **LLAMA, **SMALL, "rope_scaling": {"type": "linear", "factor": 3.0},
        "rope_parameters": {"rope_type": "default", "rope_theta": 9.0}},
    "biases": {**LLAMA, **SMALL, "attention_bias": True, "mlp_bias": True},
    "head_dim": {**MISTRAL, **SMALL, "head_dim": 32, "num_key_value_heads": 2},
    "null head_dim, null key/value heads": {**LLAMA, **SMALL, "head_dim": None, "num_key_value_heads": None},
    "mistral, no window": {**MISTRAL, **SMALL, "num_key_value_heads": 2, "sliding_window": None},
    "mistral, window": {**MISTRAL, **SMALL, "num_key_value_heads": 2, "sliding_window": 16},
    "llama ignores a window": {**LLAMA, **SMALL, "sliding_window": 16},
    "dtype beats torch_dtype": {**LLAMA, **SMALL, "dtype": "bfloat16", "torch_dtype": "float32"},
    "null token ids": {**LLAMA, **SMALL, "bos_token_id": None, "eos_token_id": None},
    "qwen2.5": {
        **QWEN2, **SMALL, "num_key_value_heads": 2, "rope_theta": 1000000.0, "sliding_window": 32768,
        "use_sliding_window": False, "max_window_layers": 21, "bos_token_id": 151643, "eos_token_id": 151645,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16"},
    "qwen2, all layers slide": {
        **QWEN2, **SMALL, "num_key_value_heads": 2, "sliding_window": 8, "use_sliding_window": True,
        "max_window_layers": 0},
    "qwen2, no layer slides": {
        **QWEN2, **SMALL, "num_key_value_heads": 2, "sliding_window": 8, "use_sliding_window": True,
        "max_window_layers": 2},
}


def configuration(text):
    """What transformers makes of it."""
    c = transformers.AutoConfig.for_model(**json.loads(text))
    rope = dict(c.rope_parameters)
    window = getattr(c, "sliding_window", None) if c.model_type != "llama" else None
    if c.model_type == "qwen2" and "sliding_attention" not in c.layer_types:
        window = None
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(c)
    shapes = {k: list(v.shape) for k, v in model.state_dict().items()}
    if c.tie_word_embeddings:
        shapes.pop("lm_head.weight")
    eos = c.eos_token_id
    listing = "".join(f"{k} {shapes[k]}\n" for k in sorted(shapes))
    return {
        "vocab_size": c.vocab_size, "hidden_size": c.hidden_size, "intermediate_size": c.intermediate_size,
        "num_hidden_layers": c.num_hidden_layers, "num_attention_heads": c.num_attention_heads,
        "num_key_value_heads": c.num_key_value_heads,
        "head_dim": getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads,
        "rms_norm_eps": c.rms_norm_eps, "rope_theta": rope["rope_theta"], "rope_type": rope["rope_type"],
        "rope_factor": rope.get("factor"), "rope_low": rope.get("low_freq_factor"),
        "rope_high": rope.get("high_freq_factor"), "rope_original": rope.get("original_max_position_embeddings"),
        "max_position_embeddings": c.max_position_embeddings, "sliding_window": window,
        "tie_word_embeddings": c.tie_word_embeddings,
        "dtype": str(c.dtype).split(".")[-1] if c.dtype is not None else None, "bos_token_id": c.bos_token_id,
        "eos_token_ids": [] if eos is None else eos if isinstance(eos, list) else [eos],
        "tensors_sha256": hashlib.sha256(listing.encode()).hexdigest(), "tensor_count": len(shapes)}


def configurations():
    rows = []
    for name, values in CONFIGURATIONS.items():
        text = json.dumps(values)
        rows.append({"name": name, "config": text, "expected": configuration(text)})
    (OUT / "configurations.json").write_text(json.dumps(rows, indent=1) + "\n")


README = f"""# Golden files of checkpoints

Made by `python Scripts/goldens/checkpoints.py` with seed {SEED}, torch {torch.__version__}, numpy {numpy.__version__},
safetensors {safetensors.__version__}, transformers {transformers.__version__}.

| file | what |
|---|---|
| `dtypes.safetensors`, `dtypes.json` | one tensor of each element type, odd names, metadata; shapes, SHA-256 of the bytes, float32 bit patterns |
| `sharded/`, `sharded.json` | a random Mistral-like model of 2 layers, bfloat16, saved in shards by transformers; its fingerprint and tensors |
| `conversions.json` | SHA-256 over conversions: all 65,536 patterns of float16 and bfloat16 widened (uint32, every NaN as 0x7FC00000); float32 bits `4099 i mod 2^32` for i < 2^20, without NaN, narrowed (uint16) |
| `configurations.json` | `config.json` texts of both dialects, with the values transformers reads from them and a digest of the names and shapes of its model's parameters |
"""

if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    dtypes()
    sharded()
    conversions()
    configurations()
    (OUT / "README.md").write_text(README)
    for path in OUT.rglob("*.safetensors"):
        path.chmod(0o644)
