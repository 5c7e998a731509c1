"""mergekit: TIES of models in float32, from files to files. Seconds from the recipe to the written model, imports apart."""
import argparse
import json
import shutil
import tempfile
import time

from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--density", type=float, required=True)
    options = parser.parse_args()
    parameters = {"weight": 1.0, "density": options.density}
    recipe = MergeConfiguration.model_validate(
        {
            "merge_method": "ties",
            "base_model": options.base,
            "models": [{"model": model, "parameters": parameters} for model in options.model],
            "dtype": "float32",
        }
    )
    out = tempfile.mkdtemp()
    try:
        start = time.perf_counter()
        run_merge(recipe, out, options=MergeOptions(copy_tokenizer=True))
        print(json.dumps({"seconds": time.perf_counter() - start}))
    finally:
        shutil.rmtree(out)


if __name__ == "__main__":
    main()
