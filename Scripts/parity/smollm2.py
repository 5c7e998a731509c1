#!/usr/bin/env python3
"""Writes what the optional test SmolLM2ParityTests compares with: SmolLM2 by transformers in float32.

    python Scripts/parity/smollm2.py MODEL_DIRECTORY GOLDENS.safetensors [ROWS.jsonl]
    LOTA_SMOLLM2=MODEL_DIRECTORY LOTA_SMOLLM2_GOLDENS=GOLDENS.safetensors ./test --filter SmolLM2

ROWS.jsonl holds {"prompt", "completion"} or {"question", "answer"} rows; its first four make the batch whose gradients
are compared (a few built-in rows otherwise). Needs torch, transformers and safetensors; the file has about 800 MB.

    prompts, promptOffsets, logits [M, V], continuations [P, 64], leads [P, 64] (best logit over the second)
    tokens, offsets, labelRows, labelTargets, losses [L], gradient.<parameter> of the mean over sequences of summed losses,
    both computed in float64: in float32, this model's gradients carry rounding of up to 1e-3 of their largest entry. How
    far PyTorch's own float32 gradients lie from these stands in the metadata, as a yardstick.
"""

import json
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.llama import modeling_llama

PROMPTS = [
    "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n    if n < 2:\n",
    "3.14159 26535 89793 23846; 2024-11-24 07:05:59; 1,000,000 + 0x7f = ",
    "Der schnelle braune Fuchs springt über den faulen Hund, weil",
    "Le café était fermé, alors nous avons décidé de",
    "東京は日本の首都であり、",
    "Москва — столица России, а",
    "مرحبا بالعالم، اليوم",
    "I ❤️ 🐍 and 🦀! My favourite emoji is 👩‍👩‍👧‍👦 because",
    "SELECT name, COUNT(*) FROM orders JOIN users ON users.id = orders.user_id WHERE",
    None,  # 1,000 tokens
]
BUILT_IN = [
    {"prompt": "Question: 2 + 3?\nAnswer:", "completion": " 5"},
    {"prompt": "The capital of France is", "completion": " Paris, a city on the Seine."},
    {"prompt": "Tom has 3 apples and buys 4 more. How many are there?", "completion": " 3 + 4 = 7 apples."},
    {"prompt": "def square(x):", "completion": "\n    return x * x\n"},
]
CONTINUATION = 64


def long_prompt(tokenizer):
    """Exactly 1,000 tokens of text that does not repeat."""
    text = " ".join(f"Item {i} weighs {i * 37 % 101} grams and costs {i * i % 97} cents." for i in range(120))
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(ids) >= 1000
    return ids[:1000]


def greedy(model, ids):
    out = model(torch.tensor([ids]), use_cache=True)
    prompt_logits, logits, cache = out.logits[0], out.logits[0, -1], out.past_key_values
    tokens, leads = [], []
    for _ in range(CONTINUATION):
        best = logits.topk(2).values
        leads.append((best[0] - best[1]).item())
        tokens.append(int(logits.argmax()))
        logits = model(torch.tensor([[tokens[-1]]]), past_key_values=cache, use_cache=True).logits[0, -1]
    return prompt_logits, tokens, leads


def read_rows(path):
    if path is None:
        return BUILT_IN
    with open(path) as file:
        rows = [json.loads(line) for line, _ in zip(file, range(4))]
    return [{"prompt": row.get("prompt", row.get("question")), "completion": row.get("completion", row.get("answer"))}
            for row in rows]


def encode(tokenizer, row):
    """Length of the prompt, and all ids."""
    prompt = tokenizer(row["prompt"], add_special_tokens=False)["input_ids"]
    return len(prompt), prompt + tokenizer(row["completion"], add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]


def norm_in_input_type(self, x):
    """As transformers', which computes in float32 whatever the input."""
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def backward(model, rows):
    losses = []
    for prompt_length, ids in rows:
        logits = model(torch.tensor([ids])).logits[0]
        loss = F.cross_entropy(logits[prompt_length - 1:-1], torch.tensor(ids[prompt_length:]), reduction="none")
        (loss.sum() / len(rows)).backward()
        losses.append(loss.detach())
    return torch.cat(losses)


def main(directory, out, rows_path=None):
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    goldens = {}

    prompts = [tokenizer(text, add_special_tokens=False)["input_ids"] if text else long_prompt(tokenizer) for text in PROMPTS]
    with torch.no_grad():
        results = [greedy(model, ids) for ids in prompts]
    goldens["prompts"] = torch.tensor(sum(prompts, []), dtype=torch.int32)
    goldens["promptOffsets"] = torch.tensor([0] + [len(ids) for ids in prompts]).cumsum(0).int()
    goldens["logits"] = torch.cat([logits for logits, _, _ in results])
    goldens["continuations"] = torch.tensor([tokens for _, tokens, _ in results], dtype=torch.int32)
    goldens["leads"] = torch.tensor([leads for _, _, leads in results])

    rows = [encode(tokenizer, row) for row in read_rows(rows_path)]
    starts = [0]
    for _, ids in rows:
        starts.append(starts[-1] + len(ids))
    targets = [token for prompt_length, ids in rows for token in ids[prompt_length:]]
    label_rows = [start + place for start, (prompt_length, ids) in zip(starts, rows)
                  for place in range(prompt_length - 1, len(ids) - 1)]
    tokens = [token for _, ids in rows for token in ids]
    for name, values in (("tokens", tokens), ("offsets", starts), ("labelRows", label_rows), ("labelTargets", targets)):
        goldens[name] = torch.tensor(values, dtype=torch.int32)

    backward(model, rows)
    rounded = {name: parameter.grad for name, parameter in model.named_parameters()}
    exact = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float64, attn_implementation="eager").eval()
    modeling_llama.LlamaRMSNorm.forward = norm_in_input_type
    goldens["losses"] = backward(exact, rows).float()
    maximum, norm = 0.0, 0.0
    for name, parameter in exact.named_parameters():
        difference = rounded[name].double() - parameter.grad
        maximum = max(maximum, (difference.abs().max() / parameter.grad.abs().max()).item())
        norm = max(norm, (difference.norm() / parameter.grad.norm()).item())
        goldens["gradient." + name] = parameter.grad.float()
    save_file({key: value.contiguous() for key, value in goldens.items()}, out,
              metadata={"scale": str(1 / len(rows)), "float32Maximum": str(maximum), "float32Norm": str(norm)})
    print(f"{len(prompts)} prompts, smallest lead {goldens['leads'].min():.2e}; batch of {len(tokens)} tokens, {len(targets)} labels; "
          f"PyTorch's float32 gradients differ from float64 by {norm:.1e} in norm, {maximum:.1e} of the largest entry")


if __name__ == "__main__":
    main(*sys.argv[1:])
