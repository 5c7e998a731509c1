"""What this machine can do, measured with PyTorch: float32 matrix products in GFLOP/s, memory traffic in GB/s."""
import argparse
import json
import time

import torch

# Tokens, hidden size and feed-forward size of a step; then a product that favours the machine.
SHAPES = [(2400, 576, 1536), (2400, 1536, 576), (2048, 2048, 2048)]
BYTES = 256 << 20


def sustained(run, work, seconds):
    """`work` units a second, sustained over at least `seconds`; the best of three stretches, after a warm-up."""
    run()
    best = 0.0
    for _ in range(3):
        count, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds or count < 3:
            run()
            count += 1
        best = max(best, count * work / elapsed)
    return best


def products(rows, inner, columns):
    """The three products of a linear layer, each through `mm` (BLAS) and, where there is one, through oneDNN."""
    x, weight, gradient = torch.randn(rows, inner), torch.randn(columns, inner), torch.randn(rows, columns)
    for name, left, right in [
        ("forward", x, weight.t()),
        ("input's gradient", gradient, weight),
        ("weight's gradient", gradient.t(), x),
    ]:
        out = torch.empty(left.shape[0], right.shape[1])
        yield f"mm, {name}", lambda: torch.mm(left, right, out=out)
        if torch.backends.mkldnn.is_available():
            # oneDNN's linear computes a b'; it gets both operands in the layout it likes best.
            a, b = left.contiguous(), right.t().contiguous()
            packed = torch.ops.mkldnn._reorder_linear_weight(b, left.shape[0])
            yield f"oneDNN, {name}", lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
            yield f"oneDNN packed, {name}", lambda: torch.ops.mkldnn._linear_pointwise(a, packed, None, "none", [], "")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.2, help="how long to measure each rate, three times")
    options = parser.parse_args()
    rates = {}
    with torch.inference_mode():
        for rows, inner, columns in SHAPES:
            flops = 2 * rows * inner * columns
            for name, run in products(rows, inner, columns):
                rates[f"{rows} x {inner} x {columns}, {name}"] = sustained(run, flops, options.seconds) / 1e9
        source = torch.randn(BYTES // 4)
        target = torch.empty_like(source)
        copied = sustained(lambda: target.copy_(source), 2 * BYTES, options.seconds) / 1e9
        read = sustained(lambda: source.sum(), BYTES, options.seconds) / 1e9
    best = max(rates, key=rates.get)
    print(
        json.dumps(
            {
                "gemm_gflops": rates[best],
                "gemm_best": best,
                "gemm_rates": rates,
                "copy_gigabytes_per_second": copied,
                "read_gigabytes_per_second": read,
                "threads": torch.get_num_threads(),
            }
        )
    )


if __name__ == "__main__":
    main()
