#include "kernels.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "parallel.h"
#include "vector_math.h"

#ifndef __has_feature
#define __has_feature(name) 0
#endif

// One body, compiled for several instruction sets and chosen when the program loads: before the thread sanitizer is ready.
#if defined(__x86_64__) && defined(__linux__) && !__has_feature(thread_sanitizer)
#define LOTA_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LOTA_MULTIVERSION
#endif

namespace lota::kernels {
namespace {

/// Rows that are worth a thread: waking one takes as long as some ten thousand elements.
constexpr int64_t row_grain(int64_t width) { return std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, width)); }
constexpr int64_t element_grain = 1 << 15;

LOTA_MULTIVERSION double sum_range(const float *x, int64_t begin, int64_t end) {
  LOTA_REORDER_SUMS
  double total = 0;
  for (int64_t i = begin; i < end; ++i) total += static_cast<double>(x[i]);
  return total;
}

LOTA_MULTIVERSION double squares_range(const float *x, int64_t begin, int64_t end) {
  LOTA_REORDER_SUMS
  double total = 0;
  for (int64_t i = begin; i < end; ++i) total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return total;
}

// Fixed blocks, summed in order: the result does not depend on the number of threads.
template <class Range>
double blocked_sum(const float *x, int64_t count, Range range) {
  const int64_t blocks = (count + element_grain - 1) / element_grain;
  std::vector<double> partial(static_cast<size_t>(blocks));
  parallel_for(blocks, 4, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      partial[static_cast<size_t>(b)] = range(x, b * element_grain, std::min(count, (b + 1) * element_grain));
  });
  double total = 0;
  for (double part : partial) total += part;
  return total;
}

LOTA_MULTIVERSION void rms_norm_row(const float *x, const float *w, float epsilon, float *y, float *rstd, int64_t width) {
  LOTA_REORDER_SUMS
  float squares = 0;
  for (int64_t i = 0; i < width; ++i) squares += x[i] * x[i];
  const float r = 1.0f / std::sqrt(squares / static_cast<float>(width) + epsilon);
  *rstd = r;
  for (int64_t i = 0; i < width; ++i) y[i] = w[i] * (x[i] * r);
}

// With x^ = x r:  dx = r (w dy - x^ mean(w dy x^)).
LOTA_MULTIVERSION void rms_norm_backward_row(const float *dy, const float *x, const float *w, float r, float *dx, int64_t width) {
  LOTA_REORDER_SUMS
  float product = 0;
  for (int64_t i = 0; i < width; ++i) product += dy[i] * w[i] * x[i];
  const float c = product * r * r * r / static_cast<float>(width);
  for (int64_t i = 0; i < width; ++i) dx[i] += dy[i] * w[i] * r - x[i] * c;
}

LOTA_MULTIVERSION void rms_norm_weight_columns(const float *dy, const float *x, const float *rstd, float *dw, int64_t rows,
                                               int64_t width, int64_t begin, int64_t end) {
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t i = begin; i < end; ++i) dw[i] += dy[n * width + i] * x[n * width + i] * rstd[n];
}

LOTA_MULTIVERSION void rotary_row(float *x, int64_t heads, int64_t half, const float *cosine, const float *sine, float sign) {
  for (int64_t h = 0; h < heads; ++h) {
    float *first = x + h * 2 * half, *second = first + half;
    for (int64_t i = 0; i < half; ++i) {
      const float a = first[i], b = second[i], s = sign * sine[i];
      first[i] = a * cosine[i] - b * s;
      second[i] = b * cosine[i] + a * s;
    }
  }
}

LOTA_MULTIVERSION void swiglu_row(const float *g, const float *u, float *h, int64_t width) {
  for (int64_t i = 0; i < width; ++i) h[i] = g[i] / (1.0f + exp_f32(-g[i])) * u[i];
}

// s = sigmoid(g):  h = g s u,  du = dh g s,  dg = dh u s (1 + g (1 - s)).  h takes the place of dh.
LOTA_MULTIVERSION void swiglu_backward_row(float *g, float *u, float *h, int64_t width) {
  for (int64_t i = 0; i < width; ++i) {
    const float s = 1.0f / (1.0f + exp_f32(-g[i])), silu = g[i] * s, dh = h[i];
    h[i] = silu * u[i];
    g[i] = dh * u[i] * (s * (1.0f + g[i] * (1.0f - s)));
    u[i] = dh * silu;
  }
}

LOTA_MULTIVERSION float cross_entropy_row(float *x, int64_t target, bool gradient, float scale, int64_t width) {
  LOTA_REORDER_SUMS
  float top = x[0];
  for (int64_t i = 1; i < width; ++i) top = x[i] > top ? x[i] : top;
  const float chosen = x[target];
  float total = 0;
  if (!gradient) {
    for (int64_t i = 0; i < width; ++i) total += exp_f32(x[i] - top);
    return std::log(total) + top - chosen;
  }
  for (int64_t i = 0; i < width; ++i) {
    x[i] = exp_f32(x[i] - top);
    total += x[i];
  }
  const float factor = scale / total;
  for (int64_t i = 0; i < width; ++i) x[i] *= factor;
  x[target] -= scale;
  return std::log(total) + top - chosen;
}

LOTA_MULTIVERSION void decode_head(const float *q, const float *keys, const float *values, int64_t stride, int64_t first,
                                   int64_t last, int64_t size, float scale, float *scores, float *out) {
  LOTA_REORDER_SUMS
  float top = -INFINITY;
  for (int64_t t = first; t < last; ++t) {
    const float *key = keys + t * stride;
    float dot = 0;
    for (int64_t i = 0; i < size; ++i) dot += q[i] * key[i];
    scores[t - first] = dot * scale;
    top = scores[t - first] > top ? scores[t - first] : top;
  }
  float total = 0;
  for (int64_t t = 0; t < last - first; ++t) {
    scores[t] = exp_f32(scores[t] - top);
    total += scores[t];
  }
  for (int64_t i = 0; i < size; ++i) out[i] = 0;
  for (int64_t t = first; t < last; ++t) {
    const float p = scores[t - first] / total;
    const float *value = values + t * stride;
    for (int64_t i = 0; i < size; ++i) out[i] += p * value[i];
  }
}

LOTA_MULTIVERSION bool indices_below(const int32_t *index, int64_t begin, int64_t end, uint32_t bound) {
  uint32_t outside = 0;
  for (int64_t i = begin; i < end; ++i) outside |= static_cast<uint32_t>(index[i]) >= bound;
  return outside == 0;
}

LOTA_MULTIVERSION bool ascends_in(const int32_t *index, int64_t begin, int64_t end) {
  uint32_t falls = 0;
  for (int64_t i = begin; i < end; ++i) falls |= index[i] >= index[i + 1];
  return falls == 0;
}

LOTA_MULTIVERSION void rmsprop_range(float *w, const float *g, float *v, RMSprop s, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const float d = g[i] * s.scale;
    v[i] = s.alpha * v[i] + s.complement * (d * d);
    w[i] -= s.rate * (d / (std::sqrt(v[i]) + s.epsilon));
  }
}

LOTA_MULTIVERSION void adamw_range(float *w, const float *g, float *m, float *v, AdamW s, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const float d = g[i] * s.scale;
    m[i] = s.beta1 * m[i] + s.complement1 * d;
    v[i] = s.beta2 * v[i] + s.complement2 * (d * d);
    w[i] = w[i] * s.keep - s.step_size * (m[i] / (std::sqrt(v[i]) / s.root_correction2 + s.epsilon));
  }
}

}  // namespace

double sum(const float *x, int64_t count) { return blocked_sum(x, count, sum_range); }

double sum_of_squares(const float *x, int64_t count) { return blocked_sum(x, count, squares_range); }

void rms_norm(const float *x, const float *w, float epsilon, float *y, float *rstd, int64_t rows, int64_t width) {
  parallel_for(rows, row_grain(width), [=](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) rms_norm_row(x + n * width, w, epsilon, y + n * width, rstd + n, width);
  });
}

void rms_norm_backward(const float *dy, const float *x, const float *w, const float *rstd, float *dx, int64_t rows, int64_t width) {
  parallel_for(rows, row_grain(width), [=](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      rms_norm_backward_row(dy + n * width, x + n * width, w, rstd[n], dx + n * width, width);
  });
}

void rms_norm_weight_backward(const float *dy, const float *x, const float *rstd, float *dw, int64_t rows, int64_t width) {
  parallel_for(width, 64, [=](int64_t begin, int64_t end) { rms_norm_weight_columns(dy, x, rstd, dw, rows, width, begin, end); });
}

void rotary(float *x, int64_t row_stride, int64_t heads, int64_t head_size, const float *cosine, const float *sine,
            const int64_t *positions, int64_t rows, bool inverse) {
  const int64_t half = head_size / 2;
  parallel_for(rows, row_grain(heads * head_size), [=](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      rotary_row(x + n * row_stride, heads, half, cosine + positions[n] * half, sine + positions[n] * half, inverse ? -1.0f : 1.0f);
  });
}

void swiglu(const float *gu, float *h, int64_t rows, int64_t width) {
  parallel_for(rows, row_grain(2 * width), [=](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) swiglu_row(gu + n * 2 * width, gu + n * 2 * width + width, h + n * width, width);
  });
}

void swiglu_backward(float *gu, float *dh_to_h, int64_t rows, int64_t width) {
  parallel_for(rows, row_grain(2 * width), [=](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      swiglu_backward_row(gu + n * 2 * width, gu + n * 2 * width + width, dh_to_h + n * width, width);
  });
}

void cross_entropy(float *logits, const int64_t *targets, bool gradient, float scale, float *losses, int64_t rows, int64_t width) {
  parallel_for(rows, 1, [=](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      losses[n] = cross_entropy_row(logits + n * width, targets[n], gradient, scale, width);
  });
}

void attention_decode(const Decode &d) {
  const int64_t group = d.heads / d.key_heads;
  const float scale = 1.0f / std::sqrt(static_cast<float>(d.head_size));
  parallel_for(d.sequences * d.key_heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> scores;
    for (int64_t item = begin; item < end; ++item) {
      const int64_t b = item / d.key_heads, k = item % d.key_heads, length = d.lengths[b];
      const int64_t first = d.window > 0 ? std::max<int64_t>(0, length - d.window) : 0;
      scores.resize(static_cast<size_t>(length));
      const int64_t offset = d.slots[b] * d.sequence_stride + k * d.head_size;
      for (int64_t h = k * group; h < (k + 1) * group; ++h)
        decode_head(d.q + b * d.q_stride + h * d.head_size, d.keys + offset, d.values + offset, d.position_stride, first, length,
                    d.head_size, scale, scores.data(), d.out + (b * d.heads + h) * d.head_size);
    }
  });
}

bool indices_within(const int32_t *index, int64_t count, int64_t limit) {
  // As unsigned, a negative index is a large one.
  const uint32_t bound = static_cast<uint32_t>(std::min<int64_t>(limit, int64_t{1} << 31));
  std::atomic<bool> all{true};
  parallel_for(count, element_grain, [&](int64_t begin, int64_t end) {
    if (!indices_below(index, begin, end, bound)) all = false;
  });
  return all;
}

bool ascends(const int32_t *index, int64_t count) {
  std::atomic<bool> all{true};
  parallel_for(count - 1, element_grain, [&](int64_t begin, int64_t end) {
    if (!ascends_in(index, begin, end)) all = false;
  });
  return all;
}

void gather(const float *source, const int32_t *index, bool accumulate, float *out, int64_t count) {
  parallel_for(count, element_grain, [=](int64_t begin, int64_t end) {
    if (accumulate) {
      for (int64_t i = begin; i < end; ++i) out[i] += source[index[i]];
    } else {
      for (int64_t i = begin; i < end; ++i) out[i] = source[index[i]];
    }
  });
}

void scatter(float *destination, const int32_t *index, const float *values, int64_t count) {
  parallel_for(count, element_grain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) destination[index[i]] = values[i];
  });
}

void rmsprop(float *w, const float *g, float *v, const RMSprop &settings, int64_t count) {
  parallel_for(count, element_grain, [=](int64_t begin, int64_t end) { rmsprop_range(w, g, v, settings, begin, end); });
}

void adamw(float *w, const float *g, float *m, float *v, const AdamW &settings, int64_t count) {
  parallel_for(count, element_grain, [=](int64_t begin, int64_t end) { adamw_range(w, g, m, v, settings, begin, end); });
}

}  // namespace lota::kernels
