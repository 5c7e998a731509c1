#include "sampled_product.h"

#include <algorithm>
#include <vector>

#include "instruction_sets.h"
#include "parallel.h"
#include "register_tile.h"

namespace lota::kernels {
namespace {

constexpr int64_t panel = 16;          // rows of the gradient at a time
constexpr int64_t block_inputs = 640;  // inputs of one chunk that stay in the second-level cache
constexpr int64_t row_cost = 8;        // what turning a row's tokens costs, in entries

/// to [columns, sample_chunk] = from [rows, columns]', filled up with zeros.
LOTA_INLINE void turn_panel(const float *from, int64_t stride, int64_t rows, int64_t columns, float *to) {
  const int64_t even_rows = rows / 4 * 4, even_columns = columns / 4 * 4;
  transpose(from, stride, even_rows, even_columns, to, sample_chunk);
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t n = c < even_columns ? even_rows : 0; n < rows; ++n) to[c * sample_chunk + n] = from[n * stride + c];
    std::fill(to + c * sample_chunk + rows, to + (c + 1) * sample_chunk, 0.0f);
  }
}

struct Range {
  int64_t first_row, last_row;
};

/// Sums over one chunk of up to sample_chunk tokens; `left` stays in registers where they suffice.
template <int Lanes>
struct Dots {
  typedef float Vector __attribute__((vector_size(Lanes * sizeof(float)), aligned(4), may_alias));
  static constexpr int64_t vectors = sample_chunk / Lanes;
  static constexpr bool fits_registers = vectors <= 16;

  static LOTA_INLINE const Vector &at(const float *x, int64_t v) { return *reinterpret_cast<const Vector *>(x + v * Lanes); }

  /// Halves added to halves.
  static LOTA_INLINE float lane_sum(const Vector &sum) {
    typedef float Eight __attribute__((vector_size(32), aligned(4), may_alias));
    typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));
    const float *lanes = reinterpret_cast<const float *>(&sum);
    Four four;
    if constexpr (Lanes == 16) {
      const Eight eight = *reinterpret_cast<const Eight *>(lanes) + *reinterpret_cast<const Eight *>(lanes + 8);
      four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3) + __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
    } else if constexpr (Lanes == 8) {
      four = *reinterpret_cast<const Four *>(lanes) + *reinterpret_cast<const Four *>(lanes + 4);
    } else {
      four = *reinterpret_cast<const Four *>(lanes);
    }
    const Four two = four + __builtin_shufflevector(four, four, 2, 3, 2, 3);
    return two[0] + two[1];
  }

  /// out[e] += left . right(index[e] - origin) for the entries [begin, end).
  static LOTA_INLINE void full(const float *left, const float *right, const int32_t *index, int64_t origin, int64_t begin, int64_t end,
                               float *out) {
    LOTA_REORDER_SUMS
    Vector held[vectors];
#pragma unroll
    for (int64_t v = 0; v < vectors; ++v) held[v] = at(left, v);
    for (int64_t e = begin; e < end; ++e) {
      const float *row = right + (index[e] - origin) * sample_chunk;
      Vector sum[4] = {};
#pragma unroll
      for (int64_t v = 0; v < vectors; v += 4) {
#pragma unroll
        for (int64_t part = 0; part < 4; ++part) sum[part] += held[v + part] * at(row, v + part);
      }
      const Vector total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
      out[e] += lane_sum(total);
    }
  }

  static LOTA_INLINE void partial(const float *left, const float *right, const int32_t *index, int64_t origin, int64_t begin, int64_t end,
                                  int64_t used, float *out) {
    LOTA_REORDER_SUMS
    for (int64_t e = begin; e < end; ++e) {
      const float *row = right + (index[e] - origin) * sample_chunk;
      Vector sum{};
      for (int64_t v = 0; v < used; ++v) sum += at(left, v) * at(row, v);
      out[e] += lane_sum(sum);
    }
  }
};

template <int Lanes>
LOTA_INLINE void sampled_rows(const SampledProduct &p, const Range &range, bool accumulate, float *out) {
  using Sums = Dots<Lanes>;
  const int64_t blocks = std::max<int64_t>(1, (p.inputs + block_inputs - 1) / block_inputs), width = (p.inputs + blocks - 1) / blocks;
  float left[panel * sample_chunk];
  thread_local std::vector<int32_t> cursor;
  if (static_cast<int64_t>(cursor.size()) < p.outputs) cursor.resize(static_cast<size_t>(p.outputs));
  if (!accumulate) std::fill(out + p.row_start[range.first_row], out + p.row_start[range.last_row], 0.0f);
  for (int64_t start = 0; start < p.rows; start += sample_chunk) {
    const int64_t count = std::min(sample_chunk, p.rows - start), used = (count + Lanes - 1) / Lanes;
    const float *turned = p.turned + start * p.inputs;
    std::copy(p.row_start + range.first_row, p.row_start + range.last_row, cursor.begin() + range.first_row);
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t limit = std::min(p.inputs, (block + 1) * width);
      for (int64_t first = range.first_row; first < range.last_row; first += panel) {
        const int64_t last = std::min(range.last_row, first + panel);
        turn_panel(p.dy + start * p.dy_stride + first, p.dy_stride, count, last - first, left);
        for (int64_t row = first; row < last; ++row) {
          const int64_t origin = row * p.inputs, begin = cursor[static_cast<size_t>(row)];
          int64_t end = p.row_start[row + 1];
          if (block + 1 < blocks) {
            end = begin;
            while (end < p.row_start[row + 1] && p.index[end] < origin + limit) ++end;
          }
          cursor[static_cast<size_t>(row)] = static_cast<int32_t>(end);
          const float *held = left + (row - first) * sample_chunk;
          if (Sums::fits_registers && count == sample_chunk)
            Sums::full(held, turned, p.index, origin, begin, end, out);
          else
            Sums::partial(held, turned, p.index, origin, begin, end, used, out);
        }
      }
    }
  }
}

#if defined(LOTA_HAS_X86_SETS)
LOTA_AVX512 void rows_avx512(const SampledProduct &p, const Range &r, bool accumulate, float *out) { sampled_rows<16>(p, r, accumulate, out); }
LOTA_AVX2 void rows_avx2(const SampledProduct &p, const Range &r, bool accumulate, float *out) { sampled_rows<8>(p, r, accumulate, out); }
#endif
void rows_default(const SampledProduct &p, const Range &r, bool accumulate, float *out) { sampled_rows<4>(p, r, accumulate, out); }

using Rows = void (*)(const SampledProduct &, const Range &, bool, float *);

#if defined(LOTA_HAS_X86_SETS)
const Rows sums_of_rows = for_this_processor<Rows>(rows_avx512, rows_avx2, rows_default);
#else
const Rows sums_of_rows = rows_default;
#endif

/// What the rows before `row` cost, in entries.
int64_t cost_before(const SampledProduct &p, int64_t row) { return p.row_start[row] + row * row_cost; }

/// The first row before which at least `cost` lies.
int64_t row_at(const SampledProduct &p, int64_t cost) {
  int64_t low = 0, high = p.outputs;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (cost_before(p, middle) < cost)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

}  // namespace

int64_t turned_size(int64_t rows, int64_t width) { return (rows + sample_chunk - 1) / sample_chunk * sample_chunk * width; }

void turned_inputs(const float *x, int64_t stride, int64_t rows, int64_t width, float *turned) {
  const int64_t chunks = (rows + sample_chunk - 1) / sample_chunk, panels = (width + panel - 1) / panel;
  parallel_for(chunks * panels, 4, [=](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t start = item / panels * sample_chunk, first = item % panels * panel;
      turn_panel(x + start * stride + first, stride, std::min(sample_chunk, rows - start), std::min(panel, width - first),
                 turned + start * width + first * sample_chunk);
    }
  });
}

void sampled_product(const SampledProduct &p, bool accumulate, float *out) {
  const int64_t cost = cost_before(p, p.outputs);
  parallel_for(cost, 1024, [&](int64_t begin, int64_t end) {
    const Range range{row_at(p, begin), row_at(p, end)};
    if (range.first_row < range.last_row) sums_of_rows(p, range, accumulate, out);
  });
}

}  // namespace lota::kernels
