#include "row_product.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "instruction_sets.h"
#include "parallel.h"
#include "vector_math.h"

namespace lota::kernels {
namespace {

// Sixteen floats: one register or several, by the instruction set; the sums are the same.
typedef float Sixteen __attribute__((vector_size(64), aligned(4), may_alias));
typedef float Eight __attribute__((vector_size(32)));
typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));
constexpr int64_t lanes = 16;

/// Weights a tile holds, and rows at most: with 24 sums AVX-512's registers are full and their latency is hidden.
constexpr int tile_outputs = 4;
constexpr int most_rows = 6;
/// Weights of a piece that one thread takes at a time.
constexpr int64_t thread_grain = 1 << 15;

// Vectors go in and out by reference: a register of this width is no argument in the default instruction set.
LOTA_INLINE const Sixteen &at(const float *from) { return *reinterpret_cast<const Sixteen *>(from); }

LOTA_INLINE void load_first(const float *from, int64_t count, Sixteen &to) {
  to = Sixteen{};
  std::memcpy(&to, from, static_cast<size_t>(count) * sizeof(float));
}

template <bool Fused>
LOTA_INLINE void multiply_add(Sixteen &sum, const Sixteen &left, const Sixteen &right) {
  if constexpr (Fused) {
    sum = __builtin_elementwise_fma(left, right, sum);
  } else {
#pragma clang fp contract(off)
    sum += left * right;
  }
}

/// The sums of four vectors, each in the same order: of lanes 4 apart in a tree, then of lanes 2 apart, then of neighbours.
LOTA_INLINE Four sums_of(const Sixteen (&v)[4]) {
  Four quarter[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const Eight half = __builtin_shufflevector(v[i], v[i], 0, 1, 2, 3, 4, 5, 6, 7) +
                       __builtin_shufflevector(v[i], v[i], 8, 9, 10, 11, 12, 13, 14, 15);
    quarter[i] = __builtin_shufflevector(half, half, 0, 1, 2, 3) + __builtin_shufflevector(half, half, 4, 5, 6, 7);
  }
  const Four ab = __builtin_shufflevector(quarter[0], quarter[1], 0, 4, 1, 5) + __builtin_shufflevector(quarter[0], quarter[1], 2, 6, 3, 7);
  const Four cd = __builtin_shufflevector(quarter[2], quarter[3], 0, 4, 1, 5) + __builtin_shufflevector(quarter[2], quarter[3], 2, 6, 3, 7);
  return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

/// `ahead`: where the next weights lie, to be fetched meanwhile; a share of their rows a tile.
struct Ahead {
  const float *w;
  int64_t stride;
  int first, step, count;
};

template <bool Fused, int Rows, int Outputs>
LOTA_INLINE void tile(const RowProduct &p, int64_t row, int64_t output, const Ahead &ahead) {
  Sixteen sum[Rows][4] = {};
  const float *x = p.x + row * p.x_stride, *w = p.w + output * p.w_stride;
  const int64_t whole = p.inputs / lanes * lanes;
  for (int64_t i = 0; i < whole; i += lanes) {
    for (int a = ahead.first; a < ahead.count; a += ahead.step) __builtin_prefetch(ahead.w + a * ahead.stride + i);
    Sixteen weight[Outputs];
#pragma unroll
    for (int o = 0; o < Outputs; ++o) weight[o] = at(w + o * p.w_stride + i);
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      const Sixteen input = at(x + r * p.x_stride + i);
#pragma unroll
      for (int o = 0; o < Outputs; ++o) multiply_add<Fused>(sum[r][o], input, weight[o]);
    }
  }
  if (const int64_t rest = p.inputs - whole; rest > 0) {
    for (int o = 0; o < Outputs; ++o) {
      Sixteen weight, input;
      load_first(w + o * p.w_stride + whole, rest, weight);
      for (int r = 0; r < Rows; ++r) {
        load_first(x + r * p.x_stride + whole, rest, input);
        multiply_add<Fused>(sum[r][o], input, weight);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < Rows; ++r) {
    const Four sums = sums_of(sum[r]);
    float *out = p.out + (row + r) * p.out_stride + output;
#pragma unroll
    for (int o = 0; o < Outputs; ++o) out[o] = p.accumulate ? out[o] + sums[o] : sums[o];
  }
}

template <bool Fused, int Outputs>
LOTA_INLINE void all_rows(const RowProduct &p, int64_t output, const float *next, int next_count) {
  const int64_t passes = (p.rows + most_rows - 1) / most_rows;
  for (int64_t pass = 0; pass < passes; ++pass) {
    const int64_t row = p.rows * pass / passes, count = p.rows * (pass + 1) / passes - row;
    const Ahead ahead{next, p.w_stride, static_cast<int>(pass), static_cast<int>(passes), next_count};
    switch (count) {
      case 1: tile<Fused, 1, Outputs>(p, row, output, ahead); break;
      case 2: tile<Fused, 2, Outputs>(p, row, output, ahead); break;
      case 3: tile<Fused, 3, Outputs>(p, row, output, ahead); break;
      case 4: tile<Fused, 4, Outputs>(p, row, output, ahead); break;
      case 5: tile<Fused, 5, Outputs>(p, row, output, ahead); break;
      default: tile<Fused, 6, Outputs>(p, row, output, ahead);
    }
  }
}

template <bool Fused>
LOTA_INLINE void outputs_in(const RowProduct &p, int64_t begin, int64_t end) {
  int64_t output = begin;
  for (; output + tile_outputs <= end; output += tile_outputs) {
    const int64_t next = output + tile_outputs;
    all_rows<Fused, tile_outputs>(p, output, p.w + next * p.w_stride, static_cast<int>(std::min<int64_t>(tile_outputs, end - next)));
  }
  for (; output < end; ++output) all_rows<Fused, 1>(p, output, nullptr, 0);
}

#if defined(LOTA_HAS_X86_SETS)
LOTA_AVX512 void product_avx512(const RowProduct &p, int64_t begin, int64_t end) { outputs_in<true>(p, begin, end); }
LOTA_AVX2 void product_avx2(const RowProduct &p, int64_t begin, int64_t end) { outputs_in<true>(p, begin, end); }
void product_default(const RowProduct &p, int64_t begin, int64_t end) { outputs_in<false>(p, begin, end); }
using Product = void (*)(const RowProduct &, int64_t, int64_t);
const Product product_in = for_this_processor<Product>(product_avx512, product_avx2, product_default);
#else
void product_in(const RowProduct &p, int64_t begin, int64_t end) { outputs_in<true>(p, begin, end); }
#endif

}  // namespace

void row_product(const RowProduct &p) {
  // Handed out piece by piece: a thread that has to share its core then takes fewer.
  const int64_t grain = std::max<int64_t>(tile_outputs, thread_grain / std::max<int64_t>(1, p.inputs) / tile_outputs * tile_outputs);
  const int64_t pieces = (p.outputs + grain - 1) / grain;
  std::atomic<int64_t> next{0};
  parallel_for(pieces, 1, [&](int64_t, int64_t) {
    for (int64_t piece = next++; piece < pieces; piece = next++)
      product_in(p, piece * grain, std::min(p.outputs, (piece + 1) * grain));
  });
}

}  // namespace lota::kernels
