"""Greedy generation with transformers: one prompt with exactly the given number of new tokens, or the prompts of a file in
padded batches, each row to its end token or the given number."""
import argparse
import json
import time

import common
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompt")
    parser.add_argument("--data")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--new-tokens", type=int, required=True)
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.model, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    ends = model.generation_config.eos_token_id
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    if options.data is None:
        model.generation_config.eos_token_id = None

    def generate(prompts, count):
        inputs = tokenizer(prompts, add_special_tokens=False, return_tensors="pt", padding=len(prompts) > 1)
        output = model.generate(**inputs, do_sample=False, max_new_tokens=count, pad_token_id=pad)
        return output[:, inputs["input_ids"].shape[1] :].tolist()

    if options.data is None:
        prompts = [options.prompt]
    else:
        with open(options.data) as file:
            prompts = [json.loads(line)["prompt"] for line in file]
        # Of like length together, as lota sorts them too.
        prompts.sort(key=lambda prompt: -len(tokenizer(prompt, add_special_tokens=False)["input_ids"]))
    with torch.inference_mode():
        generate(prompts[: options.batch_size], 2)
        start = time.perf_counter()
        rows = []
        for first in range(0, len(prompts), options.batch_size):
            rows += generate(prompts[first : first + options.batch_size], options.new_tokens)
        seconds = time.perf_counter() - start
    if options.data is None:
        common.finish(seconds=seconds, tokens=rows[0])
        return
    stops = set(ends if isinstance(ends, list) else [ends])
    count = sum(next((i for i, token in enumerate(row) if token in stops), len(row)) for row in rows)
    common.finish(seconds=seconds, count=count)


if __name__ == "__main__":
    main()
