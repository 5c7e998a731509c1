"""What the peers share: their rows, padded batches, timed steps, and the JSON object they end with."""
import argparse
import json
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def parser(description):
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--model", required=True)
    result.add_argument("--data", required=True, help="rows with prompt and completion, or text")
    result.add_argument("--batch-size", type=int, default=16)
    result.add_argument("--steps", type=int, default=3)
    result.add_argument("--learning-rate", type=float, default=1e-5)
    return result


def load_model(path):
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    model.config.use_cache = False
    model.train()
    return model


def tokenized_rows(path, model):
    """Pairs of unlearned and learned token ids: the prompt, and the completion with the end token."""
    tokenizer = AutoTokenizer.from_pretrained(model)

    def encode(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    with open(path) as file:
        rows = [json.loads(line) for line in file]
    return [
        (encode(row.get("prompt", "")), encode(row.get("completion", row.get("text"))) + [tokenizer.eos_token_id])
        for row in rows
    ]


def batches(options):
    """Batches of rows in the file's order, from the start again after the last; padded to the longest of each batch.

    Yields token ids, labels (-100 where nothing is learned) and the attention mask, all [rows, width].
    """
    rows = tokenized_rows(options.data, options.model)
    for step in range(options.steps):
        start = step * options.batch_size
        chosen = [rows[(start + i) % len(rows)] for i in range(options.batch_size)]
        yield padded(chosen)


def padded(rows):
    width = max(len(prompt) + len(completion) for prompt, completion in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full_like(ids, -100)
    attention = torch.zeros_like(ids)
    for i, (prompt, completion) in enumerate(rows):
        length = len(prompt) + len(completion)
        ids[i, :length] = torch.tensor(prompt + completion)
        labels[i, len(prompt) : length] = torch.tensor(completion)
        attention[i, :length] = 1
    return ids, labels, attention


def timed_steps(options, step):
    """Runs `step(ids, labels, attention)`, which returns the loss, on every batch; padding does not count as tokens."""
    records = []
    for ids, labels, attention in batches(options):
        start = time.perf_counter()
        loss = step(ids, labels, attention)
        seconds = time.perf_counter() - start
        records.append({"tokens": int(attention.sum()), "seconds": seconds, "loss": loss.item()})
    return records


def causal_step(model, optimizer):
    """A step as a user of transformers writes it: the model's own loss over `labels`, backward, optimizer."""

    def step(ids, labels, attention):
        loss = model(input_ids=ids, attention_mask=attention, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return step


def finish(**figures):
    print(json.dumps(figures | {"threads": torch.get_num_threads()}))
