#!/usr/bin/env python3
"""Reference values for the decoder's tests: Tests/DecoderTests/Goldens.

    python Scripts/goldens/decoder.py [OUT]

Needs torch, transformers and safetensors. Everything is seeded; the versions go into Goldens/README.md.

Goldens/layers.safetensors    inputs, outputs and gradients of single layers by PyTorch's autograd, in float64,
                              rotary frequencies by transformers, and five steps of each optimizer by torch.optim
Goldens/<model>/              a tiny random model as transformers saves it, and in goldens.safetensors:
    tokens [N], offsets [B+1]               packed uneven sequences
    labelRows [L], labelTargets [L]         packed positions that predict a label, and the label
    logits [N, V], losses [L]               each sequence on its own, float32
    gradient.<parameter>                    of scale * sum(losses); scale is in the metadata
    prompts [M], promptOffsets [P+1], continuations [P, 64]   greedy, by full forward passes without a cache
"""

import pathlib
import shutil
import sys

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Tests/DecoderTests/Goldens"
SEED = 20
VOCABULARY = 96
SCALE = 0.375
CONTINUATION = 64
# Greedy choices must not hang on rounding: every best logit leads the second by at least this much.
MARGIN = 2e-4
# Nor may a continuation be one token over and over.
DISTINCT = 6

COMMON = dict(
    vocab_size=VOCABULARY, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
    max_position_embeddings=512, bos_token_id=None, eos_token_id=None, pad_token_id=None, rms_norm_eps=1e-5,
)


def plain(theta=10000.0):
    return {"rope_type": "default", "rope_theta": theta}


LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}

# name: (configuration, lengths of the sequences, lengths of the prompts, bfloat16 shards)
MODELS = {
    "llama-tied": (
        LlamaConfig(**COMMON, num_key_value_heads=2, tie_word_embeddings=True, rope_parameters=plain()),
        [13, 1, 29, 7], [3, 11, 1], False),
    "llama-bias": (
        LlamaConfig(**COMMON, num_key_value_heads=4, tie_word_embeddings=False, attention_bias=True, mlp_bias=True,
                    rope_parameters=plain(100000.0)),
        [5, 21, 2, 17], [9, 2], False),
    "llama-head": (
        LlamaConfig(**COMMON, num_key_value_heads=1, head_dim=12, tie_word_embeddings=False,
                    rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.5}),
        [19, 8, 23], [4, 17], False),
    "llama3": (
        LlamaConfig(**{**COMMON, "num_attention_heads": 2}, num_key_value_heads=1, tie_word_embeddings=True,
                    rope_parameters=LLAMA3),
        [150, 9, 70], [90, 5], False),
    "mistral": (
        MistralConfig(**COMMON, num_key_value_heads=2, tie_word_embeddings=False, sliding_window=16,
                      rope_parameters=plain()),
        [61, 15, 17, 16, 3], [40, 16, 2], True),
    "qwen2": (
        Qwen2Config(**COMMON, num_key_value_heads=2, tie_word_embeddings=True, use_sliding_window=False,
                    rope_parameters=plain(1000000.0)),
        [12, 31, 4], [6, 15], False),
}


def randomize(model, generator):
    """Weights large enough that attention is not flat, and norms and biases that are not trivial."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name:
                parameter.copy_(1 + 0.2 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.1 * noise)
            elif "embed" in name or "lm_head" in name:
                parameter.copy_(0.3 * noise)
            else:
                parameter.copy_(noise * 1.6 / parameter.shape[1] ** 0.5)


def greedy(model, prompt):
    """Returns the continuation and the smallest lead of a best logit over the second."""
    ids, margin = list(prompt), float("inf")
    with torch.no_grad():
        for _ in range(CONTINUATION):
            logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
            best = logits.topk(2).values
            margin = min(margin, (best[0] - best[1]).item())
            ids.append(int(logits.argmax()))
    return ids[len(prompt):], margin


def offsets(lengths):
    return torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32)


def label_rows(lengths, generator):
    """Uneven labels: a random start in each sequence; none in one of a single token."""
    rows, start = [], 0
    for length in lengths:
        if length > 1:
            first = int(torch.randint(0, max(1, length // 2), (1,), generator=generator))
            rows += range(start + first, start + length - 1)
        start += length
    return rows


def write_model(name, configuration, lengths, prompt_lengths, is_bfloat16):
    seed = SEED
    while True:
        generator = torch.Generator().manual_seed(seed)
        directory = OUT / name
        shutil.rmtree(directory, ignore_errors=True)
        model = AutoModelForCausalLM.from_config(configuration, attn_implementation="eager").eval()
        randomize(model, generator)
        if is_bfloat16:
            model.to(torch.bfloat16).save_pretrained(directory, max_shard_size="20KB")
        else:
            model.save_pretrained(directory)
        (directory / "generation_config.json").unlink(missing_ok=True)
        # The reference computes in float32 with the weights as saved.
        model = AutoModelForCausalLM.from_pretrained(
            directory, dtype=torch.float32, attn_implementation="eager").eval()

        prompts = [torch.randint(0, VOCABULARY, (n,), generator=generator).tolist() for n in prompt_lengths]
        pairs = [greedy(model, prompt) for prompt in prompts]
        margin = min(margin for _, margin in pairs)
        distinct = [len(set(ids)) for ids, _ in pairs]
        if margin >= MARGIN and min(distinct) >= DISTINCT:
            break
        seed += 1

    tokens = torch.randint(0, VOCABULARY, (sum(lengths),), generator=generator)
    rows = label_rows(lengths, generator)
    targets = [int(tokens[row + 1]) for row in rows]
    bounds = offsets(lengths).tolist()
    logits, losses = [], []
    model.zero_grad()
    for start, end in zip(bounds, bounds[1:]):
        part = model(tokens[start:end].unsqueeze(0), use_cache=False).logits[0]
        logits.append(part.detach())
        chosen = [(row - start, target) for row, target in zip(rows, targets) if start <= row < end]
        if not chosen:
            continue
        index, target = (torch.tensor(values) for values in zip(*chosen))
        loss = F.cross_entropy(part[index], target, reduction="none")
        (SCALE * loss.sum()).backward()
        losses.append(loss.detach())
    goldens = {
        "tokens": tokens.int(), "offsets": offsets(lengths),
        "labelRows": torch.tensor(rows, dtype=torch.int32), "labelTargets": torch.tensor(targets, dtype=torch.int32),
        "logits": torch.cat(logits), "losses": torch.cat(losses),
        "prompts": torch.tensor(sum(prompts, []), dtype=torch.int32), "promptOffsets": offsets(prompt_lengths),
        "continuations": torch.tensor([ids for ids, _ in pairs], dtype=torch.int32),
    }
    for parameter_name, parameter in model.named_parameters():
        goldens["gradient." + parameter_name] = parameter.grad
    save_file({key: value.contiguous() for key, value in goldens.items()}, directory / "goldens.safetensors",
              metadata={"scale": str(SCALE), "seed": str(seed)})
    return f"| {name} | {seed} | {sum(lengths)} in {len(lengths)} | {len(rows)} | {margin:.1e} | {distinct} |"


def wide(*shape, generator, scale=1.0):
    return (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).requires_grad_()


def norm_goldens(generator):
    x, w = wide(5, 7, generator=generator), wide(7, generator=generator)
    y = F.rms_norm(x, (7,), w, 1e-3)
    dy = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    y.backward(dy)
    return {"norm.x": x, "norm.w": w, "norm.y": y, "norm.dy": dy, "norm.dx": x.grad, "norm.dw": w.grad}


def swiglu_goldens(generator):
    gu = wide(4, 10, generator=generator, scale=3.0)
    h = F.silu(gu[:, :5]) * gu[:, 5:]
    dh = torch.randn(h.shape, generator=generator, dtype=torch.float64)
    h.backward(dh)
    return {"swiglu.gu": gu, "swiglu.h": h, "swiglu.dh": dh, "swiglu.dgu": gu.grad}


def cross_entropy_goldens(generator):
    x = wide(6, 11, generator=generator, scale=4.0)
    targets = torch.randint(0, 11, (6,), generator=generator)
    losses = F.cross_entropy(x, targets, reduction="none")
    (0.25 * losses.sum()).backward()
    return {"entropy.x": x, "entropy.targets": targets, "entropy.losses": losses, "entropy.dx": x.grad}


def attention_goldens(generator, name, lengths, heads, key_heads, size, window):
    width = (heads + 2 * key_heads) * size
    qkv = wide(sum(lengths), width, generator=generator)
    outs = []
    for start, end in zip(offsets(lengths).tolist(), offsets(lengths).tolist()[1:]):
        q, k, v = qkv[start:end].split([heads * size, key_heads * size, key_heads * size], dim=1)
        q, k, v = (part.view(end - start, -1, size).transpose(0, 1) for part in (q, k, v))
        i, j = torch.arange(end - start)[:, None], torch.arange(end - start)[None, :]
        seen = (j <= i) & ((i - j < window) if window > 0 else torch.tensor(True))
        k, v = (part.repeat_interleave(heads // key_heads, dim=0) for part in (k, v))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        outs.append(out.transpose(0, 1).reshape(end - start, heads * size))
    out = torch.cat(outs)
    dout = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    out.backward(dout)
    key = f"attention.{name}."
    return {
        key + "qkv": qkv, key + "out": out, key + "dout": dout, key + "dqkv": qkv.grad, key + "offsets": offsets(lengths),
        key + "shape": torch.tensor([heads, key_heads, size, window], dtype=torch.int32),
    }


def rotary_goldens():
    def frequencies(parameters, head_size=16):
        configuration = LlamaConfig(
            hidden_size=head_size * 2, num_attention_heads=2, max_position_embeddings=131072, rope_parameters=parameters)
        kind = parameters["rope_type"]
        if kind == "default":
            module = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(configuration)
            return module.inv_freq.float()
        return ROPE_INIT_FUNCTIONS[kind](configuration, "cpu")[0].float()

    goldens = {
        "rotary.default": frequencies(plain()),
        "rotary.smollm2": frequencies(plain(100000.0), 64),
        "rotary.linear": frequencies({"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.5}),
        "rotary.llama3": frequencies(LLAMA3),
        "rotary.llama31": frequencies(
            {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
             "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}, 128),
    }
    generator = torch.Generator().manual_seed(SEED)
    x = torch.randn(6, 3 * 16, generator=generator)
    positions = torch.tensor([0, 1, 5, 63, 64, 200])
    angles = torch.cat([positions[:, None].float() * goldens["rotary.llama3"]] * 2, dim=-1)
    q = x.view(1, 6, 3, 16).transpose(1, 2)
    rotated, _ = transformers.models.llama.modeling_llama.apply_rotary_pos_emb(
        q, q, angles.cos()[None], angles.sin()[None])
    goldens |= {"rotary.x": x, "rotary.positions": positions, "rotary.y": rotated.transpose(1, 2).reshape(6, 48)}
    return goldens


def optimizer_goldens(generator):
    """Five steps; torch.optim sees the gradients already multiplied by the scale."""
    makers = {
        "rmsprop": lambda p: torch.optim.RMSprop([p], lr=0.01, alpha=0.9, eps=1e-6),
        "adamw": lambda p: torch.optim.AdamW([p], lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
        "sgd": lambda p: torch.optim.SGD([p], lr=0.05),
    }
    start = torch.randn(37, generator=generator, dtype=torch.float64)
    gradients = torch.randn(5, 37, generator=generator, dtype=torch.float64)
    gradients[:, 0] = 0
    goldens = {"optimizer.start": start, "optimizer.gradients": gradients}
    for scale_name, scale in (("plain", 1.0), ("scaled", 0.125)):
        for name, make in makers.items():
            p = torch.nn.Parameter(start.clone())
            optimizer = make(p)
            steps = []
            for gradient in gradients:
                p.grad = gradient * scale
                optimizer.step()
                steps.append(p.detach().clone())
            goldens[f"optimizer.{name}.{scale_name}"] = torch.stack(steps)
    return goldens


def write_layers():
    generator = torch.Generator().manual_seed(SEED)
    goldens = norm_goldens(generator) | swiglu_goldens(generator) | cross_entropy_goldens(generator)
    goldens |= attention_goldens(generator, "plain", [5], 2, 2, 4, 0)
    goldens |= attention_goldens(generator, "grouped", [7, 1, 4], 4, 2, 8, 0)
    goldens |= attention_goldens(generator, "window", [9, 3, 20], 4, 1, 8, 4)
    goldens |= rotary_goldens() | optimizer_goldens(generator)
    save_file({key: value.detach().contiguous() for key, value in goldens.items()}, OUT / "layers.safetensors",
              metadata={"seed": str(SEED)})


def main():
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    write_layers()
    lines = [write_model(name, *settings) for name, settings in MODELS.items()]
    (OUT / "README.md").write_text("\n".join([
        "Reference values for the decoder, written by `Scripts/goldens/decoder.py` (its head says what is inside), with",
        f"torch {torch.__version__}, transformers {transformers.__version__}; `layers.safetensors` with seed {SEED}.",
        "",
        "| model | seed | tokens | labels | smallest lead of a greedy token | distinct ids a continuation |",
        "|---|---|---|---|---|---|", *lines, "",
    ]))


if __name__ == "__main__":
    main()
