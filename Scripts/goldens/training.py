#!/usr/bin/env python3
"""Reference values for training: Tests/AdaptationTests/Goldens/training.

    python Scripts/goldens/training.py [OUT]

Needs torch, transformers, tokenizers and safetensors. Everything is seeded; the versions go into README.md.

model/                a tiny random Llama model with tied embeddings, as transformers saves it, with a tokenizer of one
                      token a character
rows.jsonl            prompt/completion rows of uneven length, all of whose characters the tokenizer knows
goldens.safetensors   for each variant of the settings, in float32, batches of 4 rows in file order:
    <variant>.losses [S], .token_losses [S]     of every step, calibration first
    <variant>.mask                              the ticket: all scoped weights in canonical order, bits packed least
                                                significant first
    <variant>.values                            the trained weights of the ticket, in the same order
  of full fine-tuning, with the optimizer's step inside the backward pass:
    <variant>.losses, .token_losses, .parameter.<name>
  and of the base model
    score.logprobs [R], score.counts [R]        each row on its own
    tokens [N], tokenOffsets [R+1], promptLengths [R]
"""

import json
import pathlib
import random
import shutil
import sys

# This folder's tokenizers.py would hide the package of that name.
sys.path = [entry for entry in sys.path if pathlib.Path(entry or ".").resolve() != pathlib.Path(__file__).resolve().parent]

import tokenizers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PreTrainedTokenizerFast  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Tests/AdaptationTests/Goldens/training"
SEED = 31
ROWS = 14
BATCH = 4
SPARSITY = 0.9

CONFIGURATION = LlamaConfig(
    vocab_size=96, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=512, bos_token_id=None, eos_token_id=95, pad_token_id=None,
    rms_norm_eps=1e-5, tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 10000.0})

DEFAULTS = dict(optimizer="rmsprop", rate=1e-3, warmup=0, norm=1.0, clipping="per-tensor", loss="sequence-sum",
                calibration=5, steps=5)
TICKETS = {
    "default": {},
    "token-mean": dict(loss="token-mean"),
    "adamw": dict(optimizer="adamw"),
    "sgd": dict(optimizer="sgd", rate=0.1),
    "warm-up": dict(warmup=3),
    "unclipped": dict(norm=None),
    # RMSprop hardly sees a scale; plain descent does.
    "global": dict(clipping="global", optimizer="sgd", rate=0.1),
    "one-step": dict(calibration=1),
}
DENSE = {"fft": {}, "fft-adamw": dict(optimizer="adamw", loss="token-mean", warmup=2)}

MAKERS = {
    "rmsprop": lambda p, rate: torch.optim.RMSprop([p], lr=rate, alpha=0.99, eps=1e-8),
    "adamw": lambda p, rate: torch.optim.AdamW([p], lr=rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1),
    "sgd": lambda p, rate: torch.optim.SGD([p], lr=rate),
}


def write_model():
    torch.manual_seed(SEED)
    model = AutoModelForCausalLM.from_config(CONFIGURATION, attn_implementation="eager")
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name:
                parameter.copy_(1 + 0.2 * noise)
            elif "embed" in name:
                parameter.copy_(0.3 * noise)
            else:
                parameter.copy_(noise / parameter.shape[1] ** 0.5)
    model.save_pretrained(OUT / "model")
    (OUT / "model/generation_config.json").unlink(missing_ok=True)

    characters = ["\u0120"] + [chr(code) for code in range(33, 127)]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(
        vocab={character: index for index, character in enumerate(characters)}, merges=[]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens([tokenizers.AddedToken("<end>", special=True)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(OUT / "model")


def write_rows():
    stream = random.Random(SEED)
    text = lambda length: "".join(chr(stream.randint(32, 126)) for _ in range(length))
    rows = [{"prompt": text(stream.randint(2, 30)), "completion": text(stream.randint(1, 16))} for _ in range(ROWS)]
    (OUT / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


class Reference:
    def __init__(self, rows):
        tokenizer = AutoTokenizer.from_pretrained(OUT / "model")
        encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
        self.examples = [(encode(r["prompt"]), encode(r["completion"]) + [tokenizer.eos_token_id]) for r in rows]
        assert all(len(p) == len(r["prompt"]) for (p, _), r in zip(self.examples, rows))
        self.model = AutoModelForCausalLM.from_pretrained(
            OUT / "model", dtype=torch.float32, attn_implementation="eager")
        self.model.config.use_cache = False
        self.base = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        self.scoped = [name for name in self.base if name.endswith("_proj.weight")]

    def reset(self):
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(self.base[name])

    def batch(self, step):
        examples = [self.examples[(step * BATCH + i) % len(self.examples)] for i in range(BATCH)]
        width = max(len(p) + len(c) for p, c in examples)
        ids = torch.zeros(BATCH, width, dtype=torch.long)
        labels, attend = torch.full_like(ids, -100), torch.zeros_like(ids)
        for i, (p, c) in enumerate(examples):
            n = len(p) + len(c)
            ids[i, :n] = torch.tensor(p + c)
            labels[i, len(p):n] = torch.tensor(c)
            attend[i, :n] = 1
        return ids, labels, attend

    def backward(self, step, reduction):
        """Returns the objective and the mean loss of a label; gradients lie in the parameters."""
        ids, labels, attend = self.batch(step)
        logits = self.model(input_ids=ids, attention_mask=attend).logits[:, :-1]
        target = labels[:, 1:].clone()
        counted = target != -100
        target[~counted] = 0
        logp = torch.gather(logits.log_softmax(-1), 2, target.unsqueeze(2)).squeeze(2) * counted
        token_loss = -logp.sum() / counted.sum()
        loss = -logp.sum(-1).mean() if reduction == "sequence-sum" else token_loss
        loss.backward()
        return loss.item(), token_loss.item()

    def train(self, s, steps, mask=None, clipping="per-tensor"):
        chosen = {n: p for n, p in self.model.named_parameters() if mask is None or n in mask}
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in chosen)
            parameter.grad = None
        optimizers = {name: MAKERS[s["optimizer"]](p, s["rate"]) for name, p in chosen.items()}
        schedules = [torch.optim.lr_scheduler.LambdaLR(o, lambda k: min(1, (k + 1) / max(1, s["warmup"])))
                     for o in optimizers.values()]
        losses = []
        for step in range(steps):
            losses.append(self.backward(step, s["loss"]))
            if mask is not None:
                for name, parameter in chosen.items():
                    parameter.grad[~mask[name]] = 0
            if s["norm"] is not None:
                groups = [list(chosen.values())] if clipping == "global" else [[p] for p in chosen.values()]
                for group in groups:
                    torch.nn.utils.clip_grad_norm_(group, s["norm"])
            before = {name: p.detach().clone() for name, p in chosen.items()} if mask is not None else {}
            for optimizer in optimizers.values():
                optimizer.step()
                optimizer.zero_grad()
            with torch.no_grad():
                for name, old in before.items():  # AdamW decays frozen weights too
                    chosen[name][~mask[name]] = old[~mask[name]]
            for schedule in schedules:
                schedule.step()
        return losses

    def extract(self, magnitudes):
        flat = torch.cat([magnitudes[name].flatten() for name in self.scoped])
        kept = torch.zeros(flat.numel(), dtype=torch.bool)
        k = round((1 - SPARSITY) * flat.numel())
        kept[torch.sort(flat, descending=True, stable=True).indices[:k]] = True
        mask, at = {}, 0
        for name in self.scoped:
            mask[name] = kept[at:at + self.base[name].numel()].view_as(self.base[name])
            at += self.base[name].numel()
        return kept, mask

    def ticket(self, settings):
        s = DEFAULTS | settings
        self.reset()
        parameters = dict(self.model.named_parameters())
        if s["calibration"] == 1:
            for parameter in parameters.values():
                parameter.requires_grad_(True)
                parameter.grad = None
            losses = [self.backward(0, s["loss"])]
            kept, mask = self.extract({name: parameters[name].grad.abs() for name in self.scoped})
        else:
            losses = self.train(s, s["calibration"])
            kept, mask = self.extract({n: (parameters[n].detach() - self.base[n]).abs() for n in self.scoped})
        self.reset()
        losses += self.train(s, s["steps"], mask, s["clipping"])
        for name, parameter in parameters.items():
            frozen = ~mask[name] if name in mask else torch.ones_like(parameter, dtype=torch.bool)
            assert torch.equal(parameter[frozen], self.base[name][frozen]), name
        values = torch.cat([parameters[name].detach()[mask[name]] for name in self.scoped])
        return columns(losses) | {"mask": pack(kept), "values": values}

    def dense(self, settings):
        s = DEFAULTS | settings
        self.reset()
        losses = self.train(s, s["steps"])
        return columns(losses) | {f"parameter.{n}": p.detach().clone() for n, p in self.model.named_parameters()}

    def scores(self):
        self.reset()
        logprobs = []
        with torch.no_grad():
            for prompt, completion in self.examples:
                logp = self.model(torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
                rows = torch.arange(len(prompt) - 1, len(prompt) + len(completion) - 1)
                logprobs.append(logp[rows, torch.tensor(completion)].double().sum())
        lengths = torch.tensor([0] + [len(p) + len(c) for p, c in self.examples])
        return {
            "score.logprobs": torch.stack(logprobs),
            "score.counts": torch.tensor([len(c) for _, c in self.examples], dtype=torch.int32),
            "tokens": torch.tensor(sum((p + c for p, c in self.examples), []), dtype=torch.int32),
            "tokenOffsets": lengths.cumsum(0).int(),
            "promptLengths": torch.tensor([len(p) for p, _ in self.examples], dtype=torch.int32),
        }


def columns(losses):
    return {"losses": torch.tensor([a for a, _ in losses], dtype=torch.float64),
            "token_losses": torch.tensor([b for _, b in losses], dtype=torch.float64)}


def pack(bits):
    rows = torch.nn.functional.pad(bits.to(torch.uint8), (0, -bits.numel() % 8)).view(-1, 8)
    return (rows << torch.arange(8, dtype=torch.uint8)).sum(1).to(torch.uint8)


def main():
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    write_model()
    reference = Reference(write_rows())
    goldens = reference.scores()
    for variants, make in ((TICKETS, reference.ticket), (DENSE, reference.dense)):
        for name, settings in variants.items():
            goldens |= {f"{name}.{key}": value for key, value in make(settings).items()}
            print(name, goldens[f"{name}.losses"].tolist())
    save_file({key: value.contiguous() for key, value in goldens.items()}, OUT / "goldens.safetensors",
              metadata={"seed": str(SEED)})
    (OUT / "README.md").write_text(
        "Reference values for training, written by `Scripts/goldens/training.py` (its head says what is inside), seed "
        f"{SEED}, with\ntorch {torch.__version__}, transformers {transformers.__version__}, tokenizers "
        f"{tokenizers.__version__}.\n")


if __name__ == "__main__":
    main()
