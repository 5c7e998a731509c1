#!/usr/bin/env bash
# Llama-3-8B's shapes with random weights on one GPU: full calibration and sparse adaptation, 32 x 512 tokens a step.
# Prints one JSON object a phase. Settings, with their defaults: DEVICE=cuda DTYPE=bfloat16 SHAPE=llama-3-8b BATCH=32
# LENGTH=512 SPARSITY=0.9 STEPS=5 PEAK=989 (10^12 operations a second: an H100's dense bfloat16); and so that both fit
# 80 GB, CALIBRATION="--micro-batch-tokens 0 --recompute" ADAPTATION="--micro-batch-tokens 8192". See docs/gpu.md.
set -euo pipefail
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

measure() {
  "${LOTA:-$root/lota}" bench step --shape "${SHAPE:-llama-3-8b}" --device "${DEVICE:-cuda}" --dtype "${DTYPE:-bfloat16}" \
    --batch-size "${BATCH:-32}" --length "${LENGTH:-512}" --sparsity "${SPARSITY:-0.9}" --steps "${STEPS:-5}" \
    --peak-tflops "${PEAK:-989}" --json "$@"
}

# Several options each: split into words on purpose.
measure --phase calibration ${CALIBRATION:---micro-batch-tokens 0 --recompute}
measure --phase adaptation ${ADAPTATION:---micro-batch-tokens 8192}
