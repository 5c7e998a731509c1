#include "attention_cuda.h"

#include <cmath>

#include "boundary.h"
#include "version.h"

namespace lota {
namespace {

struct Views {
  at::Tensor q, k, v;
};

/// [N, heads, E] each, without copying: the kernels take any stride but the last.
Views views_of(const at::Tensor &rows, const PackedAttention &a) {
  const int64_t N = rows.size(0);
  return {rows.narrow(1, 0, a.H * a.E).view({N, a.H, a.E}), rows.narrow(1, a.H * a.E, a.K * a.E).view({N, a.K, a.E}),
          rows.narrow(1, (a.H + a.K) * a.E, a.K * a.E).view({N, a.K, a.E})};
}

at::Tensor device_offsets(const PackedAttention &a) {
  if (!a.offsets_on_device.defined()) {
    const at::Tensor host = at::from_blob(const_cast<int32_t *>(a.offsets), {a.sequences + 1}, at::TensorOptions().dtype(at::kInt));
    return host.to(a.qkv.device());
  }
  const at::Tensor &offsets = a.offsets_on_device;
  if (offsets.device() != a.qkv.device() || offsets.scalar_type() != at::kInt || offsets.numel() != a.sequences + 1)
    throw std::invalid_argument("the offsets on the device do not fit the sequences");
  return offsets;
}

int64_t longest(const PackedAttention &a) {
  int64_t length = 0;
  for (int32_t b = 0; b < a.sequences; ++b) length = std::max<int64_t>(length, a.offsets[b + 1] - a.offsets[b]);
  return length;
}

/// A key at distance `left` is the last one seen.
std::optional<int64_t> left(const PackedAttention &a) { return a.window > 0 ? std::optional<int64_t>(a.window - 1) : std::nullopt; }

std::optional<int64_t> right(const PackedAttention &a) { return a.window > 0 ? std::optional<int64_t>(0) : std::nullopt; }

double scale(const PackedAttention &a) { return 1.0 / std::sqrt(static_cast<double>(a.E)); }

}  // namespace

#if LOTA_TORCH_AT_LEAST(6)

bool has_varlen_flash(const at::Tensor &qkv, int64_t E) {
  return qkv.device().is_cuda() && (qkv.scalar_type() == at::kBFloat16 || qkv.scalar_type() == at::kHalf) && E % 8 == 0 && E <= 256;
}

void varlen_attention(const PackedAttention &a, at::Tensor &out, at::Tensor &logsumexp) {
  const auto [q, k, v] = views_of(a.qkv, a);
  const at::Tensor offsets = device_offsets(a);
  const int64_t T = longest(a);
  const auto result = at::_flash_attention_forward(q, k, v, offsets, offsets, T, T, /*dropout_p=*/0.0, /*is_causal=*/true,
                                                   /*return_debug_mask=*/false, scale(a), left(a), right(a));
  out.view({out.size(0), a.H, a.E}).copy_(std::get<0>(result));
  logsumexp.copy_(std::get<1>(result).view(logsumexp.sizes()));
}

void varlen_attention_backward(const PackedAttention &a, const at::Tensor &dout, const at::Tensor &out, const at::Tensor &logsumexp,
                               at::Tensor &dqkv) {
  const auto [q, k, v] = views_of(a.qkv, a);
  const at::Tensor offsets = device_offsets(a);
  const int64_t N = a.qkv.size(0), T = longest(a);
  // Read only with dropout.
  const at::Tensor no_random_state = at::empty({2}, a.qkv.options().dtype(at::kLong));
  const auto [dq, dk, dv] = at::_flash_attention_backward(
      dout.view({N, a.H, a.E}), q, k, v, out.view({N, a.H, a.E}), logsumexp, offsets, offsets, T, T, /*dropout_p=*/0.0,
      /*is_causal=*/true, no_random_state, no_random_state, scale(a), left(a), right(a));
  const auto [to_q, to_k, to_v] = views_of(dqkv, a);
  to_q.copy_(dq);
  to_k.copy_(dk);
  to_v.copy_(dv);
}

#else

// Older kernels pad their statistics to the longest sequence; attention is written out there.
bool has_varlen_flash(const at::Tensor &, int64_t) { return false; }

void varlen_attention(const PackedAttention &, at::Tensor &, at::Tensor &) {
  throw NotSupported("flash attention over packed sequences needs libtorch 2.6 or later");
}

void varlen_attention_backward(const PackedAttention &, const at::Tensor &, const at::Tensor &, const at::Tensor &, at::Tensor &) {
  throw NotSupported("flash attention over packed sequences needs libtorch 2.6 or later");
}

#endif

}  // namespace lota
