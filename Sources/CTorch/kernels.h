// Float32 CPU kernels over plain memory: one pass each, vectorised by the compiler, parallel over rows.
// The generic ATen forms beside their callers serve every other element type and device.
#pragma once

#include <cstdint>

namespace lota::kernels {

double sum(const float *x, int64_t count);
double sum_of_squares(const float *x, int64_t count);

void rms_norm(const float *x, const float *w, float epsilon, float *y, float *rstd, int64_t rows, int64_t width);
/// dx += ...
void rms_norm_backward(const float *dy, const float *x, const float *w, const float *rstd, float *dx, int64_t rows, int64_t width);
/// dw += ...
void rms_norm_weight_backward(const float *dy, const float *x, const float *rstd, float *dw, int64_t rows, int64_t width);
void rotary(float *x, int64_t row_stride, int64_t heads, int64_t head_size, const float *cosine, const float *sine,
            const int64_t *positions, int64_t rows, bool inverse);
void swiglu(const float *gu, float *h, int64_t rows, int64_t width);
void swiglu_backward(float *gu, float *dh_to_h, int64_t rows, int64_t width);
void cross_entropy(float *logits, const int64_t *targets, bool gradient, float scale, float *losses, int64_t rows, int64_t width);

struct Decode {
  const float *q;
  int64_t q_stride;
  const float *keys, *values;
  int64_t sequence_stride, position_stride; /* in floats */
  const int32_t *slots, *lengths;
  int64_t sequences, heads, key_heads, head_size, window;
  float *out;
};
void attention_decode(const Decode &decode);

/// Whether 0 <= index[i] < limit for all i.
bool indices_within(const int32_t *index, int64_t count, int64_t limit);
/// Whether index[i] < index[i + 1] for all i.
bool ascends(const int32_t *index, int64_t count);
void gather(const float *source, const int32_t *index, bool accumulate, float *out, int64_t count);
void scatter(float *destination, const int32_t *index, const float *values, int64_t count);

/// Complements (1 - alpha, 1 - beta) come rounded from double, as PyTorch's optimizers round them.
struct RMSprop {
  float scale, rate, alpha, complement, epsilon;
};
void rmsprop(float *w, const float *g, float *v, const RMSprop &settings, int64_t count);
struct AdamW {
  float scale, keep, step_size, beta1, complement1, beta2, complement2, epsilon, root_correction2;
};
void adamw(float *w, const float *g, float *m, float *v, const AdamW &settings, int64_t count);

}  // namespace lota::kernels
