#include "boundary.h"
#include "parallel.h"

using namespace lota;

namespace {

constexpr int64_t grain = 1 << 14;

/// SplitMix64 (Steele, Lea and Flood 2014) at a place of its stream, so that elements are drawn in any order.
inline uint64_t draw(uint64_t seed, uint64_t place) {
  uint64_t z = seed + (place + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

/// Factors 0 or 1 / (1 - probability), each drawn from 32 bits: element i from half i % 2 of number i / 2.
void fill_factors(double probability, uint64_t seed, float *factors, int64_t count) {
  const uint64_t dropped = static_cast<uint64_t>(probability * 4294967296.0);
  const float kept = static_cast<float>(1 / (1 - probability));
  parallel_for((count + 1) / 2, grain, [=](int64_t begin, int64_t end) {
    for (int64_t pair = begin; pair < end; ++pair) {
      const uint64_t bits = draw(seed, static_cast<uint64_t>(pair));
      factors[2 * pair] = (bits & 0xffffffffull) < dropped ? 0.0f : kept;
      if (2 * pair + 1 < count) factors[2 * pair + 1] = (bits >> 32) < dropped ? 0.0f : kept;
    }
  });
}

/// The same for float32 at once: out = factor * x.
void apply(const float *x, double probability, uint64_t seed, float *out, int64_t count) {
  const uint64_t dropped = static_cast<uint64_t>(probability * 4294967296.0);
  const float kept = static_cast<float>(1 / (1 - probability));
  parallel_for((count + 1) / 2, grain, [=](int64_t begin, int64_t end) {
    for (int64_t pair = begin; pair < end; ++pair) {
      const uint64_t bits = draw(seed, static_cast<uint64_t>(pair));
      const int64_t i = 2 * pair;
      out[i] = (bits & 0xffffffffull) < dropped ? 0.0f : kept * x[i];
      if (i + 1 < count) out[i + 1] = (bits >> 32) < dropped ? 0.0f : kept * x[i + 1];
    }
  });
}

}  // namespace

extern "C" {

ct_status ct_dropout(ct_tensor source, double probability, uint64_t seed, ct_tensor out) noexcept {
  return boundary("dropout", [&] {
    const at::Tensor &x = get(source);
    at::Tensor &result = get(out);
    if (!(probability >= 0 && probability < 1)) throw std::invalid_argument("the probability must lie in [0, 1)");
    if (x.sizes() != result.sizes()) throw std::invalid_argument("the shapes do not fit");
    if (is_fast(x) && is_fast(result)) {
      apply(x.data_ptr<float>(), probability, seed, result.data_ptr<float>(), x.numel());
      return;
    }
    at::Tensor factors = at::empty(x.sizes(), x.options().dtype(at::kFloat));
    if (x.device().is_cpu()) {
      fill_factors(probability, seed, factors.data_ptr<float>(), factors.numel());
    } else {
      at::Generator generator = at::globalContext().defaultGenerator(x.device()).clone();
      generator.set_current_seed(seed);
      factors.bernoulli_(1 - probability, generator).mul_(1 / (1 - probability));
    }
    result.copy_(x.scalar_type() == at::kDouble ? factors.to(at::kDouble).mul_(x) : factors.mul_(x));
  });
}

}  // extern "C"
