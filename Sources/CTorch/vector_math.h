// What the float32 kernels share: reordered sums and an exponential that vectorises.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

// Sums may be reordered, so that they vectorise; nothing else of IEEE arithmetic is given up (NaN stays NaN).
#if defined(__clang__)
#define LOTA_REORDER_SUMS _Pragma("clang fp reassociate(on) contract(fast)")
#else
#define LOTA_REORDER_SUMS
#endif
#define LOTA_INLINE inline __attribute__((always_inline))

namespace lota::kernels {

/// exp(x) by range reduction and a degree-6 polynomial (Cephes expf); relative error below 2e-7, NaN kept.
LOTA_INLINE float exp_f32(float x) {
  LOTA_REORDER_SUMS
  x = x > 88.37f ? 88.37f : x;
  x = x < -87.33f ? -87.33f : x;
  const float n = std::floor(x * 1.44269504088896341f + 0.5f);
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * r) * r + r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return p * power;
}

}  // namespace lota::kernels
