#include "row_product.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "instruction_sets.h"
#include "parallel.h"
#include "scratch.h"
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
/// Inputs that a tile goes through at a time: its weights then stay in the first cache for all rows.
constexpr int64_t most_inputs = 768;
/// Rows that share one pass over the weights: their inputs stay in the second cache.
constexpr int64_t row_floats = 1 << 17;
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

/// Rows in panels of at most six, a panel's rows interleaved by sixteen inputs: read in the order in which they lie.
struct Panels {
  const float *inputs;
  int64_t rows, count;

  explicit Panels(const float *packed, int64_t rows) : inputs(packed), rows(rows), count((rows + most_rows - 1) / most_rows) {}

  int64_t first(int64_t panel) const { return rows * panel / count; }
  int size(int64_t panel) const { return static_cast<int>(first(panel + 1) - first(panel)); }
};

void pack(const RowProduct &p, const Panels &panels, float *to) {
  const int64_t whole = p.inputs / lanes * lanes, rest = p.inputs - whole;
  for (int64_t panel = 0; panel < panels.count; ++panel) {
    const float *x = p.x + panels.first(panel) * p.x_stride;
    const int size = panels.size(panel);
    for (int64_t i = 0; i < whole; i += lanes)
      for (int r = 0; r < size; ++r, to += lanes) std::memcpy(to, x + r * p.x_stride + i, lanes * sizeof(float));
    for (int r = 0; r < size; ++r, to += rest)
      std::memcpy(to, x + r * p.x_stride + whole, static_cast<size_t>(rest) * sizeof(float));
  }
}

/// Part of the inputs, and the next weights, to be fetched meanwhile: some of their rows by each panel.
struct Part {
  int64_t begin, end;
  bool first, last;
  const float *next;
  int64_t next_count;
};

/// `sums`: of the parts before, unless there is but one part.
template <bool Fused, int Rows, int Outputs, int Fetched>
LOTA_INLINE void tile(const RowProduct &p, const Panels &panels, int64_t panel, int64_t output, const Part &part, Sixteen *sums) {
  const int64_t row = panels.first(panel), whole = p.inputs / lanes * lanes;
  const float *x = panels.inputs + row * p.inputs, *w = p.w + output * p.w_stride;
  const float *fetched = part.next + panel * Fetched * p.w_stride - part.begin;
  Sixteen sum[Rows][4] = {};
  if (!part.first) {
#pragma unroll
    for (int r = 0; r < Rows; ++r)
#pragma unroll
      for (int o = 0; o < Outputs; ++o) sum[r][o] = sums[r * 4 + o];
  }
  for (int64_t i = part.begin; i < part.end; i += lanes) {
#pragma unroll
    for (int f = 0; f < Fetched; ++f) __builtin_prefetch(fetched + f * p.w_stride + i);
    Sixteen weight[Outputs];
#pragma unroll
    for (int o = 0; o < Outputs; ++o) weight[o] = at(w + o * p.w_stride + i);
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      const Sixteen input = at(x + i * Rows + r * lanes);
#pragma unroll
      for (int o = 0; o < Outputs; ++o) multiply_add<Fused>(sum[r][o], input, weight[o]);
    }
  }
  if (!part.last) {
#pragma unroll
    for (int r = 0; r < Rows; ++r)
#pragma unroll
      for (int o = 0; o < Outputs; ++o) sums[r * 4 + o] = sum[r][o];
    return;
  }
  if (const int64_t rest = p.inputs - whole; rest > 0) {
    for (int o = 0; o < Outputs; ++o) {
      Sixteen weight, input;
      load_first(w + o * p.w_stride + whole, rest, weight);
      for (int r = 0; r < Rows; ++r) {
        load_first(x + Rows * whole + r * rest, rest, input);
        multiply_add<Fused>(sum[r][o], input, weight);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < Rows; ++r) {
    const Four totals = sums_of(sum[r]);
    float *out = p.out + (row + r) * p.out_stride + output;
#pragma unroll
    for (int o = 0; o < Outputs; ++o) out[o] = p.accumulate ? out[o] + totals[o] : totals[o];
  }
}

template <bool Fused, int Outputs, int Fetched>
LOTA_INLINE void panel_rows(const RowProduct &p, const Panels &panels, int64_t panel, int64_t output, const Part &part, Sixteen *sums) {
  switch (panels.size(panel)) {
    // The processor sees by itself where a single row reads on.
    case 1: tile<Fused, 1, Outputs, 0>(p, panels, panel, output, part, sums); break;
    case 2: tile<Fused, 2, Outputs, Fetched>(p, panels, panel, output, part, sums); break;
    case 3: tile<Fused, 3, Outputs, Fetched>(p, panels, panel, output, part, sums); break;
    case 4: tile<Fused, 4, Outputs, Fetched>(p, panels, panel, output, part, sums); break;
    case 5: tile<Fused, 5, Outputs, Fetched>(p, panels, panel, output, part, sums); break;
    default: tile<Fused, 6, Outputs, Fetched>(p, panels, panel, output, part, sums);
  }
}

template <bool Fused, int Outputs>
LOTA_INLINE void all_rows(const RowProduct &p, const Panels &panels, int64_t output, const Part &part, Sixteen *sums) {
  for (int64_t panel = 0; panel < panels.count; ++panel, sums += most_rows * 4) {
    const int64_t share = panels.count == 1 ? 4 : panels.count < 4 ? 2 : 1;
    switch (panel * share < part.next_count ? share : 0) {
      case 1: panel_rows<Fused, Outputs, 1>(p, panels, panel, output, part, sums); break;
      case 2: panel_rows<Fused, Outputs, 2>(p, panels, panel, output, part, sums); break;
      case 4: panel_rows<Fused, Outputs, 4>(p, panels, panel, output, part, sums); break;
      default: panel_rows<Fused, Outputs, 0>(p, panels, panel, output, part, sums);
    }
  }
}

template <bool Fused, int Outputs>
LOTA_INLINE void all_parts(const RowProduct &p, const Panels &panels, int64_t output, int64_t end, Sixteen *sums) {
  const int64_t steps = p.inputs / lanes, parts = std::max<int64_t>(1, (p.inputs + most_inputs - 1) / most_inputs);
  for (int64_t number = 0; number < parts; ++number) {
    Part part{steps * number / parts * lanes, steps * (number + 1) / parts * lanes, number == 0, number + 1 == parts, nullptr, 0};
    part.next = part.last ? p.w + (output + Outputs) * p.w_stride : p.w + output * p.w_stride + part.end;
    part.next_count = Outputs == 1 ? 0 : part.last ? std::max<int64_t>(0, std::min<int64_t>(tile_outputs, end - output - Outputs)) : Outputs;
    all_rows<Fused, Outputs>(p, panels, output, part, sums);
  }
}

template <bool Fused>
LOTA_INLINE void outputs_in(const RowProduct &p, const Panels &panels, int64_t begin, int64_t end, Sixteen *sums) {
  int64_t output = begin;
  for (; output + tile_outputs <= end; output += tile_outputs) all_parts<Fused, tile_outputs>(p, panels, output, end, sums);
  for (; output < end; ++output) all_parts<Fused, 1>(p, panels, output, end, sums);
}

#define LOTA_PRODUCT_OF const RowProduct &p, const Panels &panels, int64_t begin, int64_t end, Sixteen *sums
#if defined(LOTA_HAS_X86_SETS)
LOTA_AVX512 void product_avx512(LOTA_PRODUCT_OF) { outputs_in<true>(p, panels, begin, end, sums); }
LOTA_AVX2 void product_avx2(LOTA_PRODUCT_OF) { outputs_in<true>(p, panels, begin, end, sums); }
void product_default(LOTA_PRODUCT_OF) { outputs_in<false>(p, panels, begin, end, sums); }
using Product = void (*)(LOTA_PRODUCT_OF);
const Product product_in = for_this_processor<Product>(product_avx512, product_avx2, product_default);
#else
void product_in(LOTA_PRODUCT_OF) { outputs_in<true>(p, panels, begin, end, sums); }
#endif

/// Few enough rows for the second cache.
void block_product(const RowProduct &p) {
  thread_local Scratch scratch;
  float *packed = p.rows == 1 ? nullptr : scratch.take(p.rows * p.inputs);
  const Panels panels(p.rows == 1 ? p.x : packed, p.rows);
  if (packed != nullptr) pack(p, panels, packed);
  // Handed out piece by piece: a thread that has to share its core then takes fewer.
  const int64_t grain = std::max<int64_t>(tile_outputs, thread_grain / std::max<int64_t>(1, p.inputs) / tile_outputs * tile_outputs);
  const int64_t pieces = (p.outputs + grain - 1) / grain;
  std::atomic<int64_t> next{0};
  parallel_for(pieces, 1, [&](int64_t, int64_t) {
    thread_local std::vector<Sixteen> sums;
    const size_t needed = static_cast<size_t>(panels.count) * most_rows * 4;
    if (sums.size() < needed) sums.resize(needed);
    for (int64_t piece = next++; piece < pieces; piece = next++)
      product_in(p, panels, piece * grain, std::min(p.outputs, (piece + 1) * grain), sums.data());
  });
}

}  // namespace

void row_product(const RowProduct &p) {
  const int64_t most = std::max<int64_t>(most_rows, row_floats / std::max<int64_t>(1, p.inputs));
  const int64_t blocks = (p.rows + most - 1) / most;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t row = p.rows * block / blocks;
    RowProduct part = p;
    part.x += row * p.x_stride;
    part.out += row * p.out_stride;
    part.rows = p.rows * (block + 1) / blocks - row;
    block_product(part);
  }
}

bool row_product_suits_many() {
#if defined(LOTA_HAS_X86_SETS)
  return __builtin_cpu_supports("x86-64-v4");
#else
  return false;
#endif
}

}  // namespace lota::kernels
