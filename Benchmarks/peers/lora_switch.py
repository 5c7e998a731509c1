"""PEFT: a LoRA of rank 64 on all projections read from its files and merged, and switching: one unmerged, another merged."""
import argparse
import json
import tempfile
import time

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def base_model(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)


def write_adapter(path, out, seed):
    torch.manual_seed(seed)
    config = LoraConfig(r=64, lora_alpha=64, target_modules=PROJECTIONS, init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(base_model(path), config).save_pretrained(out)


def timed(body):
    start = time.perf_counter()
    body()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        names = ["first", "second"]
        for seed, name in enumerate(names):
            write_adapter(options.model, f"{folder}/{name}", seed)
        load = []
        for _ in range(options.repeats):
            model = base_model(options.model)

            def load_and_merge():
                PeftModel.from_pretrained(model, f"{folder}/first", adapter_name="first").merge_adapter(["first"])

            load.append(timed(load_and_merge))
        model = PeftModel.from_pretrained(base_model(options.model), f"{folder}/first", adapter_name="first")
        model.load_adapter(f"{folder}/second", adapter_name="second")
        model.merge_adapter(["first"])
        switch = []
        for turn in range(2 * options.repeats):
            name = names[(turn + 1) % 2]

            def change():
                model.unmerge_adapter()
                model.merge_adapter([name])

            switch.append(timed(change))
    print(json.dumps({"load_seconds": load, "switch_seconds": switch}))


if __name__ == "__main__":
    main()
