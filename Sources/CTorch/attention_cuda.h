// Attention over packed sequences by libtorch's variable-length flash kernels: CUDA, bfloat16 and float16.
#pragma once

#include <ATen/ATen.h>

namespace lota {

/// H query heads, K key/value heads of size E over the rows of qkv, [N, (H + 2K) E].
struct PackedAttention {
  const at::Tensor &qkv;
  int64_t H, K, E;
  /// On the host, [sequences + 1].
  const int32_t *offsets;
  int32_t sequences;
  /// The same on the device, int32; undefined: uploaded here, which waits for the device.
  at::Tensor offsets_on_device;
  /// 0: none.
  int64_t window;
};

/// Whether these kernels take `qkv` with heads of size E.
bool has_varlen_flash(const at::Tensor &qkv, int64_t E);

/// Fills out [N, H E] and logsumexp [H, N].
void varlen_attention(const PackedAttention &attention, at::Tensor &out, at::Tensor &logsumexp);

/// Overwrites dqkv, [N, (H + 2K) E]. The order of its sums varies from run to run.
void varlen_attention_backward(const PackedAttention &attention, const at::Tensor &dout, const at::Tensor &out,
                               const at::Tensor &logsumexp, at::Tensor &dqkv);

}  // namespace lota
