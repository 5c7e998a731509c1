// Small float32 products that stay in registers, for one instruction set at a time.
#pragma once

#include "vector_math.h"

namespace lota::kernels {

/// Lanes: floats a vector; Rows: rows of a register tile that is two vectors wide.
template <int Lanes, int Rows>
struct Tile {
  typedef float Vector __attribute__((vector_size(Lanes * sizeof(float)), aligned(4), may_alias));
  static constexpr int64_t columns = 2 * Lanes;

  /// C[rows, width] (+)= A[rows, depth] B[depth, width], where A(r, k) = a[r * row_step + k * depth_step];
  /// rows is a multiple of Rows, width of `columns`.
  static LOTA_INLINE void product(const float *a, int64_t row_step, int64_t depth_step, const float *b, int64_t b_stride, float *c,
                                  int64_t c_stride, int64_t rows, int64_t depth, int64_t width, bool accumulate) {
    for (int64_t column = 0; column < width; column += columns)
      for (int64_t row = 0; row < rows; row += Rows)
        one(a + row * row_step, row_step, depth_step, b + column, b_stride, c + row * c_stride + column, c_stride, depth, accumulate);
  }

 private:
  static LOTA_INLINE void one(const float *a, int64_t row_step, int64_t depth_step, const float *b, int64_t b_stride, float *c,
                              int64_t c_stride, int64_t depth, bool accumulate) {
    LOTA_REORDER_SUMS
    Vector sum[Rows][2];
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      sum[r][0] = accumulate ? *reinterpret_cast<const Vector *>(c + r * c_stride) : Vector{};
      sum[r][1] = accumulate ? *reinterpret_cast<const Vector *>(c + r * c_stride + Lanes) : Vector{};
    }
    for (int64_t k = 0; k < depth; ++k) {
      const Vector left = *reinterpret_cast<const Vector *>(b + k * b_stride);
      const Vector right = *reinterpret_cast<const Vector *>(b + k * b_stride + Lanes);
      const float *column = a + k * depth_step;
#pragma unroll
      for (int r = 0; r < Rows; ++r) {
        const float factor = column[r * row_step];
        sum[r][0] += factor * left;
        sum[r][1] += factor * right;
      }
    }
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      *reinterpret_cast<Vector *>(c + r * c_stride) = sum[r][0];
      *reinterpret_cast<Vector *>(c + r * c_stride + Lanes) = sum[r][1];
    }
  }
};

/// to [columns, rows] = from [rows, columns]'; both counts are multiples of 4.
LOTA_INLINE void transpose(const float *from, int64_t stride, int64_t rows, int64_t columns, float *to, int64_t to_stride) {
  typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));
  for (int64_t r = 0; r < rows; r += 4)
    for (int64_t c = 0; c < columns; c += 4) {
      const float *source = from + r * stride + c;
      const Four a = *reinterpret_cast<const Four *>(source), b = *reinterpret_cast<const Four *>(source + stride);
      const Four d = *reinterpret_cast<const Four *>(source + 2 * stride), e = *reinterpret_cast<const Four *>(source + 3 * stride);
      const Four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      const Four de_low = __builtin_shufflevector(d, e, 0, 4, 1, 5), de_high = __builtin_shufflevector(d, e, 2, 6, 3, 7);
      float *target = to + c * to_stride + r;
      *reinterpret_cast<Four *>(target) = __builtin_shufflevector(ab_low, de_low, 0, 1, 4, 5);
      *reinterpret_cast<Four *>(target + to_stride) = __builtin_shufflevector(ab_low, de_low, 2, 3, 6, 7);
      *reinterpret_cast<Four *>(target + 2 * to_stride) = __builtin_shufflevector(ab_high, de_high, 0, 1, 4, 5);
      *reinterpret_cast<Four *>(target + 3 * to_stride) = __builtin_shufflevector(ab_high, de_high, 2, 3, 6, 7);
    }
}

}  // namespace lota::kernels
