"""Greedy generation with transformers, one sequence: exactly the given number of new tokens."""
import argparse
import time

import common
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--new-tokens", type=int, required=True)
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None
    inputs = tokenizer(options.prompt, add_special_tokens=False, return_tensors="pt")

    def generate(count):
        return model.generate(**inputs, do_sample=False, max_new_tokens=count, pad_token_id=0)

    with torch.inference_mode():
        generate(2)
        start = time.perf_counter()
        output = generate(options.new_tokens)
        seconds = time.perf_counter() - start
    tokens = output[0, inputs["input_ids"].shape[1] :].tolist()
    common.finish(seconds=seconds, tokens=tokens)


if __name__ == "__main__":
    main()
