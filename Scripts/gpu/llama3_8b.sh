#!/usr/bin/env bash
# Llama-3-8B's shapes with random weights on one GPU: full calibration and sparse adaptation, 32 x 512 tokens a step.
# Prints one JSON object a phase. Settings, with their defaults: DEVICE=cuda DTYPE=bfloat16 SHAPE=llama-3-8b BATCH=32
# LENGTH=512 SPARSITY=0.9 STEPS=5 MICRO=0 (tokens run at once; 0: all) PEAK=989 (10^12 operations a second: an H100's
# dense bfloat16). See docs/gpu.md for the build and for what fits.
set -euo pipefail
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
for phase in calibration adaptation; do
  "${LOTA:-$root/lota}" bench step --shape "${SHAPE:-llama-3-8b}" --device "${DEVICE:-cuda}" --dtype "${DTYPE:-bfloat16}" \
    --batch-size "${BATCH:-32}" --length "${LENGTH:-512}" --phase "$phase" --sparsity "${SPARSITY:-0.9}" \
    --micro-batch-tokens "${MICRO:-0}" --steps "${STEPS:-5}" --peak-tflops "${PEAK:-989}" --json
done
