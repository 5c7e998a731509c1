#!/usr/bin/env python3
"""Reference values for low-rank adaptation: Tests/AdaptationTests/Goldens/lora, over the model and rows of training.py.

    python Scripts/goldens/lora.py [OUT]

Needs torch, transformers, tokenizers, peft and safetensors. Everything is seeded; the versions go into README.md.

plain/                an adapter of all projections as PEFT saves it, with random A and B: rank 4, alpha 10
patterns/             rank-stabilised, of q_proj and down_proj alone, with rank_pattern and alpha_pattern
goldens.safetensors   computed in float64 (softmax and rotation in float32, as transformers has it), batches of 4 rows in file order:
    <adapter>.logits [N, V]                     of the first two rows, one after the other
    gradient.<tensor>                           of the first batch's objective, from plain/, by PEFT and autograd
    <variant>.losses [S], .token_losses [S]     five steps from plain/, norms clipped per tensor
    <variant>.<tensor>                          A and B after them
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
# This folder's tokenizers.py would hide the package of that name.
sys.path = [entry for entry in sys.path if pathlib.Path(entry or ".").resolve() != HERE]

import json  # noqa: E402
import shutil  # noqa: E402

import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from peft import LoraConfig, PeftModel, get_peft_model  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402
from transformers.models.llama import modeling_llama  # noqa: E402

GOLDENS = HERE.parents[1] / "Tests/AdaptationTests/Goldens"
OUT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDENS / "lora"
SEED, BATCH, STEPS = 47, 4, 5
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS = {
    "plain": dict(r=4, lora_alpha=10, target_modules=PROJECTIONS),
    "patterns": dict(
        r=3, lora_alpha=6, target_modules=["q_proj", "down_proj"], use_rslora=True,
        rank_pattern={"layers.0.self_attn.q_proj": 5, "down_.*": 2}, alpha_pattern={r"layers\.1\..*": 4.5}),
}
VARIANTS = {
    "rmsprop": (lambda p: torch.optim.RMSprop([p], lr=1e-3, alpha=0.99, eps=1e-8), "sequence-sum"),
    "adamw": (lambda p: torch.optim.AdamW([p], lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1), "token-mean"),
    "sgd": (lambda p: torch.optim.SGD([p], lr=0.1), "sequence-sum"),
}


def norm_in_input_type(self, x):
    """As transformers', which computes in float32 whatever the input."""
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def base(dtype=torch.float64):
    model = AutoModelForCausalLM.from_pretrained(GOLDENS / "training/model", dtype=dtype, attn_implementation="eager")
    model.config.use_cache = False
    return model


def write_adapters():
    for name, settings in ADAPTERS.items():
        generator = torch.Generator().manual_seed(SEED + len(name))
        model = get_peft_model(base(torch.float32), LoraConfig(task_type="CAUSAL_LM", base_model_name_or_path="model", **settings))
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if "lora_" in key:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter.shape[1] ** 0.5)
        model.peft_config["default"].base_model_name_or_path = "model"
        model.save_pretrained(OUT / name)
        (OUT / name / "README.md").unlink(missing_ok=True)


def examples():
    tokenizer = AutoTokenizer.from_pretrained(GOLDENS / "training/model")
    encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
    rows = [json.loads(line) for line in (GOLDENS / "training/rows.jsonl").read_text().splitlines()]
    return [(encode(r["prompt"]), encode(r["completion"]) + [tokenizer.eos_token_id]) for r in rows]


def backward(model, rows, step, reduction):
    """The objective and the mean loss of a label; gradients lie in the parameters. Each row runs on its own."""
    chosen = [rows[(step * BATCH + i) % len(rows)] for i in range(BATCH)]
    labels = sum(len(completion) for _, completion in chosen)
    sums = []
    for prompt, completion in chosen:
        logp = model(torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
        places = torch.arange(len(prompt) - 1, len(prompt) + len(completion) - 1)
        sums.append(-logp[places, torch.tensor(completion)].sum())
    total = torch.stack(sums).sum()
    loss = total / (BATCH if reduction == "sequence-sum" else labels)
    loss.backward()
    return loss.item(), total.item() / labels


def matrices(model):
    """A and B under the names that PEFT saves them by."""
    return {key.replace(".default.", "."): p for key, p in model.named_parameters() if "lora_" in key}


def start():
    return PeftModel.from_pretrained(base(), OUT / "plain", is_trainable=True).double()


def train(rows, make, reduction):
    model = start()
    trained = matrices(model)
    optimizers = {name: make(p) for name, p in trained.items()}
    losses = []
    for step in range(STEPS):
        losses.append(backward(model, rows, step, reduction))
        for name, parameter in trained.items():
            torch.nn.utils.clip_grad_norm_([parameter], 1.0)
            optimizers[name].step()
            parameter.grad = None
    return {
        "losses": torch.tensor([a for a, _ in losses], dtype=torch.float64),
        "token_losses": torch.tensor([b for _, b in losses], dtype=torch.float64),
    } | {name: p.detach().clone() for name, p in trained.items()}


def main():
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    modeling_llama.LlamaRMSNorm.forward = norm_in_input_type
    shutil.rmtree(OUT, ignore_errors=True)
    write_adapters()
    rows = examples()
    goldens = {}
    for name in ADAPTERS:
        model = PeftModel.from_pretrained(base(), OUT / name).double()
        with torch.no_grad():
            goldens[f"{name}.logits"] = torch.cat([model(torch.tensor([p + c])).logits[0] for p, c in rows[:2]])
    model = start()
    backward(model, rows, 0, "sequence-sum")
    goldens |= {f"gradient.{name}": p.grad.clone() for name, p in matrices(model).items()}
    for variant, (make, reduction) in VARIANTS.items():
        goldens |= {f"{variant}.{key}": value for key, value in train(rows, make, reduction).items()}
        print(variant, goldens[f"{variant}.losses"].tolist())
    # Nothing is compared more closely than float32 tells apart, but for losses.
    goldens = {key: value if key.endswith("losses") else value.float() for key, value in goldens.items()}
    save_file({key: value.contiguous() for key, value in goldens.items()}, OUT / "goldens.safetensors",
              metadata={"seed": str(SEED)})
    (OUT / "README.md").write_text(
        "Reference values for low-rank adaptation, written by `Scripts/goldens/lora.py` (its head says what is inside), seed "
        f"{SEED}, with\ntorch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}.\n")


if __name__ == "__main__":
    main()
