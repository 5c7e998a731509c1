#include "attention_cpu.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "instruction_sets.h"
#include "parallel.h"
#include "register_tile.h"
#include "scratch.h"
#include "vector_math.h"

// Score blocks lie transposed, keys by queries: a vector holds one key's scores for neighbouring queries. Softmax then
// works on whole vectors without sums across lanes, and every product reads its operands as they lie.
//
//   S' = c K Q'   P' = exp(S' - l)   O = P V                                (Vaswani et al. 2017; Dao et al. 2022)
//   dV = P' dO    dP' = V dO'        dS' = P' (dP' - rowsum(dO O))    dQ = c dS K    dK = c dS' Q

namespace lota::kernels {
namespace {

constexpr int64_t block = 32;  // queries, and keys in backward, a block
constexpr int64_t round_up(int64_t n) { return (n + block - 1) / block * block; }

/// Rows of one head, contiguous, scaled, with zeros up to whole blocks of rows and columns.
LOTA_INLINE void pack(const float *rows, int64_t stride, int64_t count, int64_t size, float scale, float *to, int64_t padded_count,
                      int64_t padded_size) {
  for (int64_t t = 0; t < count; ++t) {
    for (int64_t e = 0; e < size; ++e) to[t * padded_size + e] = scale * rows[t * stride + e];
    for (int64_t e = size; e < padded_size; ++e) to[t * padded_size + e] = 0;
  }
  std::fill(to + count * padded_size, to + padded_count * padded_size, 0.0f);
}

Scratch &scratch() {
  thread_local Scratch held;
  return held;
}

/// All query heads of one key/value head of one sequence.
struct Task {
  const Attention &a;
  int64_t start, T, k;

  int64_t group() const { return a.heads / a.key_heads; }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(a.head_size)); }
  int64_t query_column(int64_t g) const { return (k * group() + g) * a.head_size; }
  int64_t key_column() const { return (a.heads + k) * a.head_size; }
  int64_t value_column() const { return (a.heads + a.key_heads + k) * a.head_size; }
  const float *row(int64_t t) const { return a.qkv + (start + t) * a.qkv_stride; }
  int64_t first_key(int64_t query) const { return a.window > 0 ? std::max<int64_t>(0, query - a.window + 1) : 0; }
};

struct ForwardOutput {
  float *out;
  int64_t out_stride;
  float *logsumexp;
  int64_t logsumexp_stride;
};

/// Sets what query i0 + i does not see of the keys [j0, j0 + count) to `value`.
LOTA_INLINE void hide(const Task &t, int64_t i0, int64_t j0, int64_t count, float value, float *scores) {
  for (int64_t j = 0; j < count; ++j)
    for (int64_t i = 0; i < block; ++i) {
      const int64_t query = i0 + i, key = j0 + j;
      const bool seen = key <= query && (t.a.window <= 0 || key > query - t.a.window);
      scores[j * block + i] = seen ? scores[j * block + i] : value;
    }
}

LOTA_INLINE bool is_partly_hidden(const Task &t, int64_t i0, int64_t j0, int64_t count) {
  return j0 + count > i0 || (t.a.window > 0 && j0 <= i0 + block - 1 - t.a.window);
}

template <int Lanes, int Rows>
LOTA_INLINE void forward_task(const Task &t, const ForwardOutput &to) {
  LOTA_REORDER_SUMS
  using Products = Tile<Lanes, Rows>;
  const int64_t E = t.a.head_size, Ep = round_up(E), Tp = round_up(t.T);
  float *keys = scratch().take(2 * Tp * Ep + 3 * block * Ep + Tp * block + 2 * block);
  float *values = keys + Tp * Ep, *queries = values + Tp * Ep, *turned = queries + block * Ep, *result = turned + block * Ep;
  float *scores = result + block * Ep, *top = scores + Tp * block, *total = top + block;
  pack(t.row(0) + t.key_column(), t.a.qkv_stride, t.T, E, 1, keys, Tp, Ep);
  pack(t.row(0) + t.value_column(), t.a.qkv_stride, t.T, E, 1, values, Tp, Ep);
  for (int64_t g = 0; g < t.group(); ++g)
    for (int64_t i0 = 0; i0 < t.T; i0 += block) {
      const int64_t count = std::min(block, t.T - i0), first = t.first_key(i0) / block * block, width = i0 + block - first;
      pack(t.row(i0) + t.query_column(g), t.a.qkv_stride, count, E, t.scale(), queries, block, Ep);
      transpose(queries, Ep, block, Ep, turned, block);
      Products::product(keys + first * Ep, Ep, 1, turned, block, scores, block, width, Ep, block, false);
      for (int64_t j = 0; j < width; j += block)
        if (is_partly_hidden(t, i0, first + j, block)) hide(t, i0, first + j, block, -INFINITY, scores + j * block);
      for (int64_t i = 0; i < block; ++i) top[i] = -INFINITY, total[i] = 0;
      for (int64_t j = 0; j < width; ++j)
        for (int64_t i = 0; i < block; ++i) top[i] = scores[j * block + i] > top[i] ? scores[j * block + i] : top[i];
      for (int64_t j = 0; j < width; ++j)
        for (int64_t i = 0; i < block; ++i) {
          const float p = exp_f32(scores[j * block + i] - top[i]);
          scores[j * block + i] = p;
          total[i] += p;
        }
      Products::product(scores, 1, block, values + first * Ep, Ep, result, Ep, block, width, Ep, false);
      for (int64_t i = 0; i < count; ++i) {
        float *out = to.out + (t.start + i0 + i) * to.out_stride + t.query_column(g);
        for (int64_t e = 0; e < E; ++e) out[e] = result[i * Ep + e] / total[i];
        to.logsumexp[(t.k * t.group() + g) * to.logsumexp_stride + t.start + i0 + i] = top[i] + std::log(total[i]);
      }
    }
}

struct BackwardInput {
  const float *dout;
  int64_t dout_stride;
  const float *out;
  int64_t out_stride;
  const float *logsumexp;
  int64_t logsumexp_stride;
  float *dqkv;
  int64_t dqkv_stride;
};

/// P' and dS' of one block from scores and dP', in place.
LOTA_INLINE void score_gradients(float *p, float *ds, const float *logsumexp, const float *inner) {
  LOTA_REORDER_SUMS
  for (int64_t j = 0; j < block; ++j)
    for (int64_t i = 0; i < block; ++i) {
      const float probability = exp_f32(p[j * block + i] - logsumexp[i]);
      p[j * block + i] = probability;
      ds[j * block + i] = probability * (ds[j * block + i] - inner[i]);
    }
}

template <int Lanes, int Rows>
LOTA_INLINE void backward_task(const Task &t, const BackwardInput &b) {
  LOTA_REORDER_SUMS
  using Products = Tile<Lanes, Rows>;
  const int64_t E = t.a.head_size, Ep = round_up(E), Tp = round_up(t.T);
  float *keys = scratch().take(4 * Tp * Ep + 5 * block * Ep + 2 * block * block + 2 * block);
  float *values = keys + Tp * Ep, *dkeys = values + Tp * Ep, *dvalues = dkeys + Tp * Ep;
  float *queries = dvalues + Tp * Ep, *turned = queries + block * Ep, *dout = turned + block * Ep, *dturned = dout + block * Ep;
  float *dqueries = dturned + block * Ep, *p = dqueries + block * Ep, *ds = p + block * block, *logsumexp = ds + block * block;
  float *inner = logsumexp + block;
  pack(t.row(0) + t.key_column(), t.a.qkv_stride, t.T, E, 1, keys, Tp, Ep);
  pack(t.row(0) + t.value_column(), t.a.qkv_stride, t.T, E, 1, values, Tp, Ep);
  std::fill(dkeys, dkeys + 2 * Tp * Ep, 0.0f);
  for (int64_t g = 0; g < t.group(); ++g)
    for (int64_t i0 = 0; i0 < t.T; i0 += block) {
      const int64_t count = std::min(block, t.T - i0), row = t.start + i0, column = t.query_column(g);
      pack(t.row(i0) + column, t.a.qkv_stride, count, E, t.scale(), queries, block, Ep);
      pack(b.dout + row * b.dout_stride + column, b.dout_stride, count, E, 1, dout, block, Ep);
      transpose(queries, Ep, block, Ep, turned, block);
      transpose(dout, Ep, block, Ep, dturned, block);
      // Rows beyond the sequence have zero gradients; any finite log-sum-exp serves them.
      for (int64_t i = 0; i < block; ++i) logsumexp[i] = 0, inner[i] = 0;
      for (int64_t i = 0; i < count; ++i) {
        logsumexp[i] = b.logsumexp[(t.k * t.group() + g) * b.logsumexp_stride + row + i];
        const float *out = b.out + (row + i) * b.out_stride + column;
        float sum = 0;
        for (int64_t e = 0; e < E; ++e) sum += out[e] * dout[i * Ep + e];
        inner[i] = sum;
      }
      std::fill(dqueries, dqueries + block * Ep, 0.0f);
      for (int64_t j0 = t.first_key(i0) / block * block; j0 <= i0; j0 += block) {
        Products::product(keys + j0 * Ep, Ep, 1, turned, block, p, block, block, Ep, block, false);
        Products::product(values + j0 * Ep, Ep, 1, dturned, block, ds, block, block, Ep, block, false);
        if (is_partly_hidden(t, i0, j0, block)) hide(t, i0, j0, block, -INFINITY, p);
        score_gradients(p, ds, logsumexp, inner);
        for (int64_t r = 0; r < block; r += Rows) {
          // On the diagonal, key r is seen from query r on, and query r sees keys up to r + Rows at most.
          const int64_t from = j0 == i0 ? r : 0, to = j0 == i0 ? r + Rows : block;
          Products::product(p + r * block + from, block, 1, dout + from * Ep, Ep, dvalues + (j0 + r) * Ep, Ep, Rows, block - from, Ep, true);
          Products::product(ds + r * block + from, block, 1, queries + from * Ep, Ep, dkeys + (j0 + r) * Ep, Ep, Rows, block - from, Ep, true);
          Products::product(ds + r, 1, block, keys + j0 * Ep, Ep, dqueries + r * Ep, Ep, Rows, to, Ep, true);
        }
      }
      for (int64_t i = 0; i < count; ++i)
        for (int64_t e = 0; e < E; ++e)
          b.dqkv[(row + i) * b.dqkv_stride + column + e] = t.scale() * dqueries[i * Ep + e];
    }
  // The queries were scaled, and with them the keys' gradients.
  for (int64_t i = 0; i < t.T; ++i)
    for (int64_t e = 0; e < E; ++e) {
      float *to = b.dqkv + (t.start + i) * b.dqkv_stride + e;
      to[t.key_column()] = dkeys[i * Ep + e];
      to[t.value_column()] = dvalues[i * Ep + e];
    }
}

// Each instruction set gets tiles that fit its registers.
#if defined(LOTA_HAS_X86_SETS)
LOTA_AVX512 void forward_avx512(const Task &t, const ForwardOutput &to) { forward_task<16, 8>(t, to); }
LOTA_AVX512 void backward_avx512(const Task &t, const BackwardInput &b) { backward_task<16, 8>(t, b); }
LOTA_AVX2 void forward_avx2(const Task &t, const ForwardOutput &to) { forward_task<8, 4>(t, to); }
LOTA_AVX2 void backward_avx2(const Task &t, const BackwardInput &b) { backward_task<8, 4>(t, b); }
#endif
#if defined(__aarch64__)
void forward_default(const Task &t, const ForwardOutput &to) { forward_task<4, 8>(t, to); }
void backward_default(const Task &t, const BackwardInput &b) { backward_task<4, 8>(t, b); }
#else
void forward_default(const Task &t, const ForwardOutput &to) { forward_task<4, 4>(t, to); }
void backward_default(const Task &t, const BackwardInput &b) { backward_task<4, 4>(t, b); }
#endif

using Forward = void (*)(const Task &, const ForwardOutput &);
using Backward = void (*)(const Task &, const BackwardInput &);

#if defined(LOTA_HAS_X86_SETS)
const Forward forward = for_this_processor<Forward>(forward_avx512, forward_avx2, forward_default);
const Backward backward = for_this_processor<Backward>(backward_avx512, backward_avx2, backward_default);
#else
const Forward forward = forward_default;
const Backward backward = backward_default;
#endif

/// Longest first, handed out one by one: lengths differ, and so do the tasks.
template <class Body>
void for_each_task(const Attention &a, Body &&body) {
  std::vector<int64_t> order;
  for (int64_t b = 0; b < a.sequences; ++b)
    if (a.offsets[b + 1] > a.offsets[b]) order.push_back(b);
  const auto length = [&](int64_t b) { return a.offsets[b + 1] - a.offsets[b]; };
  std::sort(order.begin(), order.end(), [&](int64_t x, int64_t y) { return length(x) != length(y) ? length(x) > length(y) : x < y; });
  const int64_t count = static_cast<int64_t>(order.size()) * a.key_heads;
  std::atomic<int64_t> next{0};
  parallel_for(count, 1, [&](int64_t, int64_t) {
    for (int64_t item = next++; item < count; item = next++) {
      const int64_t b = order[static_cast<size_t>(item / a.key_heads)];
      body(Task{a, a.offsets[b], length(b), item % a.key_heads});
    }
  });
}

}  // namespace

void attention(const Attention &a, float *out, int64_t out_stride, float *logsumexp, int64_t logsumexp_stride) {
  const ForwardOutput to{out, out_stride, logsumexp, logsumexp_stride};
  for_each_task(a, [&](const Task &task) { forward(task, to); });
}

void attention_backward(const Attention &a, const float *dout, int64_t dout_stride, const float *out, int64_t out_stride,
                        const float *logsumexp, int64_t logsumexp_stride, float *dqkv, int64_t dqkv_stride) {
  const BackwardInput input{dout, dout_stride, out, out_stride, logsumexp, logsumexp_stride, dqkv, dqkv_stride};
  for_each_task(a, [&](const Task &task) { backward(task, input); });
}

}  // namespace lota::kernels
