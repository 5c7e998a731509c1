"""The released recipe of Lottery Ticket Adaptation in PyTorch and transformers: the peer of `suite.py`.

As the authors ran it: padded batches, autograd, gradients masked densely, RMSprop stepping each tensor (here right after
the backward pass), a dense boolean mask and full optimizer state. Prints one JSON object.
"""
import argparse
import json
import resource
import time

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--mask", required=True)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--learning-rate", type=float, default=1e-5)
    return parser.parse_args()


def unpacked(path, model):
    packed = load_file(path)
    bits = torch.arange(8, dtype=torch.uint8)
    parameters = dict(model.named_parameters())
    return {
        name: ((bytes_.unsqueeze(1) >> bits) & 1).flatten()[: parameters[name].numel()].view_as(parameters[name]).bool()
        for name, bytes_ in packed.items()
    }


def batches(options, tokenizer):
    def encode(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    rows = []
    with open(options.data) as file:
        for line in file:
            row = json.loads(line)
            prompt, completion = encode(row["prompt"]), encode(row["completion"]) + [tokenizer.eos_token_id]
            if len(prompt) + len(completion) <= options.max_length:
                rows.append((prompt, completion))
    for step in range(options.steps):
        start = step * options.batch_size
        chosen = [rows[(start + i) % len(rows)] for i in range(options.batch_size)]
        width = max(len(prompt) + len(completion) for prompt, completion in chosen)
        ids = torch.zeros(len(chosen), width, dtype=torch.long)
        labels = torch.full_like(ids, -100)
        attend = torch.zeros_like(ids)
        for i, (prompt, completion) in enumerate(chosen):
            length = len(prompt) + len(completion)
            ids[i, :length] = torch.tensor(prompt + completion)
            labels[i, len(prompt) : length] = torch.tensor(completion)
            attend[i, :length] = 1
        yield ids, labels, attend


def main():
    options = arguments()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    model.config.use_cache = False
    mask = unpacked(options.mask, model)
    optimizers = {}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in mask)
        if parameter.requires_grad:
            optimizers[name] = torch.optim.RMSprop([parameter], lr=options.learning_rate, alpha=0.99, eps=1e-8)
    steps = []
    for ids, labels, attend in batches(options, tokenizer):
        start = time.perf_counter()
        logits = model(input_ids=ids, attention_mask=attend).logits[:, :-1].float()
        target = labels[:, 1:].clone()
        counted = target != -100
        target[~counted] = 0
        logp = torch.gather(logits.log_softmax(-1), 2, target.unsqueeze(2)).squeeze(2) * counted
        loss = -logp.sum(-1).mean()
        loss.backward()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.grad is None:
                    continue
                parameter.grad[~mask[name]] = 0
                torch.nn.utils.clip_grad_norm_(parameter, 1.0)
                optimizers[name].step()
                parameter.grad = None
        steps.append({"tokens": int(attend.sum()), "seconds": time.perf_counter() - start, "loss": loss.item()})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"steps": steps, "peak_memory_bytes": peak, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
