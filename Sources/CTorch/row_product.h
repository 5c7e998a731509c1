// Products of a few rows with a weight, float32 on the CPU, in which no row depends on how many others there are.
#pragma once

#include <cstdint>

namespace lota::kernels {

/// out[M, O] (+)= x[M, I] w[O, I]'. Strides are in floats.
///
/// Each sum is taken in one order whatever M, O, the tile or the thread: sixteen partial sums, of the inputs whose numbers are
/// equal modulo sixteen, ascending, then these in a fixed tree.
struct RowProduct {
  const float *x;
  int64_t x_stride;
  const float *w;
  int64_t w_stride;
  float *out;
  int64_t out_stride;
  int64_t rows, inputs, outputs;
  bool accumulate;
};
void row_product(const RowProduct &product);
/// Whether it keeps up with a library's products for many rows too: with fewer registers than AVX-512's it does not.
bool row_product_suits_many();

}  // namespace lota::kernels
