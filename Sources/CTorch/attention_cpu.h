// Causal grouped-query attention over packed sequences, float32 on the CPU.
#pragma once

#include <cstdint>

namespace lota::kernels {

/// N packed tokens of B sequences; H query heads, K key/value heads, E head size, G = H / K.
struct Attention {
  const int32_t *offsets; /* [B + 1] */
  int64_t sequences, heads, key_heads, head_size;
  int64_t window; /* a query sees the last `window` positions up to its own; 0: all */
  const float *qkv; /* [N, (H + 2K) E] */
  int64_t qkv_stride;
};

/// out [N, H E]; logsumexp [H, N] of the scaled scores. Strides are in floats.
void attention(const Attention &a, float *out, int64_t out_stride, float *logsumexp, int64_t logsumexp_stride);

/// dqkv [N, (H + 2K) E] is overwritten.
void attention_backward(const Attention &a, const float *dout, int64_t dout_stride, const float *out, int64_t out_stride,
                        const float *logsumexp, int64_t logsumexp_stride, float *dqkv, int64_t dqkv_stride);

}  // namespace lota::kernels
