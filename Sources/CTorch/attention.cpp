#include <cmath>
#include <cstring>

#include "attention_cpu.h"
#include "attention_cuda.h"
#include "boundary.h"
#include "kernels.h"

using namespace lota;

namespace {

// H query heads, K key/value heads, G = H / K queries a key head, E head size, T tokens of one sequence.
struct Heads {
  int64_t H, K, G, E;
};

Heads heads_of(const at::Tensor &qkv, int64_t H, int64_t K) {
  if (H < 1 || K < 1 || H % K != 0) throw std::invalid_argument("query heads must be a multiple of key/value heads");
  if (qkv.dim() != 2 || qkv.stride(1) != 1 || qkv.size(1) % (H + 2 * K) != 0) throw std::invalid_argument("qkv does not fit the heads");
  return {H, K, H / K, qkv.size(1) / (H + 2 * K)};
}

/// Heads of one sequence as [K, G, T, E] without copying: key/value heads are repeated by a stride of zero.
at::Tensor grouped(const at::Tensor &rows, int64_t start, int64_t T, int64_t column, const Heads &n, bool repeated) {
  const at::Tensor part = rows.narrow(0, start, T).narrow(1, column, (repeated ? n.K : n.H) * n.E);
  const int64_t group_stride = repeated ? 0 : n.E, head_stride = repeated ? n.E : n.G * n.E;
  return part.as_strided({n.K, n.G, T, n.E}, {head_stride, group_stride, part.stride(0), 1}, part.storage_offset());
}

at::Tensor grouped_logsumexp(const at::Tensor &logsumexp, int64_t start, int64_t T, const Heads &n) {
  return logsumexp.as_strided({n.K, n.G, T}, {n.G * logsumexp.stride(0), logsumexp.stride(0), 1}, logsumexp.storage_offset() + start);
}

/// [T, T], 0 where key j is visible from query i and -inf elsewhere.
at::Tensor visibility(int64_t T, int64_t window, const at::TensorOptions &options) {
  at::Tensor mask = at::full({T, T}, -INFINITY, options).triu(1);
  if (window > 0 && window < T) mask = mask + at::full({T, T}, -INFINITY, options).tril(-window);
  return mask;
}

bool has_flash(const at::Tensor &tensor) { return tensor.device().is_cpu() && tensor.scalar_type() != at::kDouble; }

struct Sequence {
  at::Tensor q, k, v;
  double scale;
  c10::optional<at::Tensor> mask;
};

Sequence sequence_at(const at::Tensor &qkv, int64_t start, int64_t T, int64_t window, const Heads &n) {
  Sequence s{grouped(qkv, start, T, 0, n, false), grouped(qkv, start, T, n.H * n.E, n, true),
             grouped(qkv, start, T, (n.H + n.K) * n.E, n, true), 1.0 / std::sqrt(static_cast<double>(n.E)), c10::nullopt};
  if ((window > 0 && window < T) || !has_flash(qkv))
    s.mask = visibility(T, window, qkv.options().dtype(compute_type(qkv)));
  return s;
}

c10::optional<at::Tensor> flash_mask(const Sequence &s, const Heads &n, int64_t T) {
  if (!s.mask.has_value()) return c10::nullopt;
  return s.mask->to(s.q.scalar_type()).expand({n.K, n.G, T, T});
}

void forward_one(const Sequence &s, const Heads &n, at::Tensor out, at::Tensor logsumexp) {
  const int64_t T = s.q.size(2);
  if (has_flash(s.q)) {
    auto [o, l] = at::_scaled_dot_product_flash_attention_for_cpu(s.q, s.k, s.v, 0.0, !s.mask.has_value(), flash_mask(s, n, T), s.scale);
    out.copy_(o);
    logsumexp.copy_(l);
    return;
  }
  const at::ScalarType wide = compute_type(s.q);
  const at::Tensor scores = at::matmul(s.q.to(wide), s.k.to(wide).transpose(2, 3)) * s.scale + *s.mask;
  const at::Tensor l = at::logsumexp(scores, {-1});
  out.copy_(at::matmul((scores - l.unsqueeze(-1)).exp(), s.v.to(wide)));
  logsumexp.copy_(l);
}

struct Gradients {
  at::Tensor q, k, v;
};

Gradients backward_one(const Sequence &s, const Heads &n, const at::Tensor &dout, const at::Tensor &out, const at::Tensor &logsumexp) {
  const int64_t T = s.q.size(2);
  if (has_flash(s.q)) {
    auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
        dout, s.q, s.k, s.v, out, logsumexp, 0.0, !s.mask.has_value(), flash_mask(s, n, T), s.scale);
    return {dq, dk, dv};
  }
  // P = exp(S - l);  dV = P' dO;  dS = P (dO V' - rowsum(dO O));  dQ = c dS K;  dK = c dS' Q.
  const at::ScalarType wide = compute_type(s.q);
  const at::Tensor q = s.q.to(wide), k = s.k.to(wide), v = s.v.to(wide), d = dout.to(wide);
  const at::Tensor p = (at::matmul(q, k.transpose(2, 3)) * s.scale + *s.mask - logsumexp.unsqueeze(-1)).exp();
  const at::Tensor ds = p * (at::matmul(d, v.transpose(2, 3)) - (d * out.to(wide)).sum(-1, true)) * s.scale;
  return {at::matmul(ds, k), at::matmul(ds.transpose(2, 3), q), at::matmul(p.transpose(2, 3), d)};
}

void require_offsets(const int32_t *offsets, int32_t sequences, int64_t tokens) {
  if (offsets == nullptr || sequences < 0 || offsets[0] != 0 || offsets[sequences] != tokens)
    throw std::invalid_argument("the sequence offsets do not cover the tokens");
  for (int32_t b = 0; b < sequences; ++b)
    if (offsets[b] > offsets[b + 1]) throw std::invalid_argument("the sequence offsets decrease");
}

at::Tensor optional(ct_tensor tensor) { return tensor == nullptr ? at::Tensor() : tensor->value; }

void require_shape(const at::Tensor &matrix, int64_t rows, int64_t columns) {
  if (matrix.dim() != 2 || matrix.size(0) != rows || matrix.size(1) != columns) throw std::invalid_argument("the shapes do not fit");
}

kernels::Attention plain(const at::Tensor &qkv, const int32_t *offsets, int32_t sequences, int64_t window, const Heads &n) {
  return {offsets, sequences, n.H, n.K, n.E, window, qkv.data_ptr<float>(), qkv.stride(0)};
}

at::Tensor key_head_sum(const at::Tensor &gradient) { return gradient.sum(1); }

}  // namespace

extern "C" {

ct_status ct_attention(ct_tensor qkv, const int32_t *offsets, int32_t sequences, ct_tensor device_offsets, int64_t H, int64_t K,
                       int64_t window, ct_tensor out, ct_tensor logsumexp) noexcept {
  return boundary("attention", [&] {
    const at::Tensor &rows = get(qkv);
    const Heads n = heads_of(rows, H, K);
    require_offsets(offsets, sequences, rows.size(0));
    require_shape(get(out), rows.size(0), H * n.E);
    require_shape(get(logsumexp), H, rows.size(0));
    if (has_varlen_flash(rows, n.E)) {
      varlen_attention({rows, H, K, n.E, offsets, sequences, optional(device_offsets), window}, get(out), get(logsumexp));
      return;
    }
    if (is_float_matrix(rows) && is_float_matrix(get(out)) && is_float_matrix(get(logsumexp))) {
      kernels::attention(plain(rows, offsets, sequences, window, n), get(out).data_ptr<float>(), get(out).stride(0),
                         get(logsumexp).data_ptr<float>(), get(logsumexp).stride(0));
      return;
    }
    for (int32_t b = 0; b < sequences; ++b) {
      const int64_t start = offsets[b], T = offsets[b + 1] - start;
      if (T == 0) continue;
      forward_one(sequence_at(rows, start, T, window, n), n, grouped(get(out), start, T, 0, n, false),
                  grouped_logsumexp(get(logsumexp), start, T, n));
    }
  });
}

ct_status ct_attention_backward(ct_tensor dout, ct_tensor qkv, ct_tensor out, ct_tensor logsumexp, const int32_t *offsets,
                                int32_t sequences, ct_tensor device_offsets, int64_t H, int64_t K, int64_t window,
                                ct_tensor dqkv) noexcept {
  return boundary("attention backward", [&] {
    const at::Tensor &rows = get(qkv);
    const Heads n = heads_of(rows, H, K);
    require_offsets(offsets, sequences, rows.size(0));
    require_shape(get(dout), rows.size(0), H * n.E);
    require_shape(get(out), rows.size(0), H * n.E);
    require_shape(get(logsumexp), H, rows.size(0));
    require_shape(get(dqkv), rows.size(0), rows.size(1));
    if (has_varlen_flash(rows, n.E)) {
      varlen_attention_backward({rows, H, K, n.E, offsets, sequences, optional(device_offsets), window}, get(dout), get(out),
                                get(logsumexp), get(dqkv));
      return;
    }
    if (is_float_matrix(rows) && is_float_matrix(get(dout)) && is_float_matrix(get(out)) && is_float_matrix(get(logsumexp)) && is_float_matrix(get(dqkv))) {
      kernels::attention_backward(plain(rows, offsets, sequences, window, n), get(dout).data_ptr<float>(), get(dout).stride(0),
                                  get(out).data_ptr<float>(), get(out).stride(0), get(logsumexp).data_ptr<float>(),
                                  get(logsumexp).stride(0), get(dqkv).data_ptr<float>(), get(dqkv).stride(0));
      return;
    }
    for (int32_t b = 0; b < sequences; ++b) {
      const int64_t start = offsets[b], T = offsets[b + 1] - start;
      if (T == 0) continue;
      const Gradients g = backward_one(sequence_at(rows, start, T, window, n), n, grouped(get(dout), start, T, 0, n, false),
                                       grouped(get(out), start, T, 0, n, false), grouped_logsumexp(get(logsumexp), start, T, n));
      grouped(get(dqkv), start, T, 0, n, false).copy_(g.q);
      grouped(get(dqkv), start, T, n.H * n.E, n, true).select(1, 0).copy_(key_head_sum(g.k));
      grouped(get(dqkv), start, T, (n.H + n.K) * n.E, n, true).select(1, 0).copy_(key_head_sum(g.v));
    }
  });
}

ct_status ct_cache_append(ct_tensor cache, ct_tensor rows, const int32_t *slots, const int32_t *places) noexcept {
  return boundary("cache append", [&] {
    at::Tensor &to = get(cache);
    const at::Tensor &from = get(rows);
    if (to.dim() != 4 || from.dim() != 2 || from.size(1) != to.size(2) * to.size(3) || from.scalar_type() != to.scalar_type())
      throw std::invalid_argument("the shapes do not fit");
    for (int64_t b = 0; b < from.size(0); ++b)
      if (slots[b] < 0 || slots[b] >= to.size(0) || places[b] < 0 || places[b] >= to.size(1))
        throw std::invalid_argument("a place lies outside the cache");
    const bool is_plain = to.is_contiguous() && to.device().is_cpu() && from.device().is_cpu() && from.stride(1) == 1;
    const size_t row_bytes = static_cast<size_t>(from.size(1)) * from.element_size();
    for (int64_t b = 0; b < from.size(0); ++b) {
      if (is_plain) {
        std::memcpy(static_cast<char *>(to.data_ptr()) + (slots[b] * to.size(1) + places[b]) * row_bytes,
                    static_cast<const char *>(from.data_ptr()) + b * from.stride(0) * from.element_size(), row_bytes);
        continue;
      }
      to[slots[b]][places[b]].copy_(from[b].view({to.size(2), to.size(3)}));
    }
  });
}

ct_status ct_attention_decode(ct_tensor q, ct_tensor keys, ct_tensor values, const int32_t *slots, const int32_t *lengths,
                              int64_t window, ct_tensor out) noexcept {
  return boundary("attention decode", [&] {
    const at::Tensor &query = get(q), &k = get(keys), &v = get(values);
    at::Tensor &result = get(out);
    if (k.dim() != 4 || v.sizes() != k.sizes() || v.strides() != k.strides() || query.dim() != 2 || query.stride(1) != 1 ||
        query.size(1) % (k.size(2) * k.size(3)) != 0 || result.sizes() != query.sizes())
      throw std::invalid_argument("the shapes do not fit");
    const int64_t B = query.size(0), K = k.size(2), E = k.size(3), H = query.size(1) / E;
    for (int64_t b = 0; b < B; ++b)
      if (slots[b] < 0 || slots[b] >= k.size(0) || lengths[b] < 1 || lengths[b] > k.size(1))
        throw std::invalid_argument("a sequence lies outside the cache");
    if (k.device().is_cpu() && k.scalar_type() == at::kFloat && query.scalar_type() == at::kFloat && k.stride(3) == 1 &&
        k.stride(2) == E && is_fast(result)) {
      kernels::attention_decode({query.data_ptr<float>(), query.stride(0), k.data_ptr<float>(), v.data_ptr<float>(), k.stride(0),
                                 k.stride(1), slots, lengths, B, H, K, E, window, result.data_ptr<float>()});
      return;
    }
    const at::ScalarType wide = compute_type(query);
    for (int64_t b = 0; b < B; ++b) {
      const int64_t first = window > 0 ? std::max<int64_t>(0, lengths[b] - window) : 0, T = lengths[b] - first;
      const at::Tensor kb = k[slots[b]].narrow(0, first, T).to(wide).permute({1, 2, 0});
      const at::Tensor vb = v[slots[b]].narrow(0, first, T).to(wide).transpose(0, 1);
      const at::Tensor scores = at::matmul(query[b].view({K, H / K, E}).to(wide), kb) / std::sqrt(static_cast<double>(E));
      result[b].view({K, H / K, E}).copy_(at::matmul(at::softmax(scores, -1), vb));
    }
  });
}

}  // extern "C"
