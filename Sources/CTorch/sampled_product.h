// Chosen entries of a weight's gradient dY' X, without the rest of it: float32 on the CPU.
#pragma once

#include <cstdint>

namespace lota::kernels {

/// Tokens whose products are summed at once.
constexpr int64_t sample_chunk = 256;

/// Floats that `turned_inputs` takes for N rows of `width`.
int64_t turned_size(int64_t rows, int64_t width);

/// x [N, I] in chunks of tokens, each transposed and filled up with zeros: [chunks, I, sample_chunk].
void turned_inputs(const float *x, int64_t stride, int64_t rows, int64_t width, float *turned);

struct SampledProduct {
  const float *dy; /* [N, O] */
  int64_t dy_stride;
  const float *turned; /* of x [N, I] */
  int64_t rows, inputs, outputs;
  const int32_t *index;     /* [k] ascending, o * I + i */
  const int32_t *row_start; /* [O + 1]: entries of row o are row_start[o] ..< row_start[o + 1] */
};

/// out[e] (+)= sum over tokens n of dy[n, o] x[n, i], for the k entries e = (o, i).
void sampled_product(const SampledProduct &product, bool accumulate, float *out);

}  // namespace lota::kernels
