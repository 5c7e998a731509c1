#include <cmath>

#include "boundary.h"
#include "chunks.h"
#include "kernels.h"

using namespace lota;

namespace {

void require_same_shape(const at::Tensor &a, const at::Tensor &b) {
  if (a.numel() != b.numel()) throw std::invalid_argument("weights, gradient and state differ in size");
}

/// A verdict of ct_report_verdict, as the generic forms apply it; without one every step is taken.
class Verdict {
 public:
  Verdict(ct_tensor verdict, at::ScalarType wide) {
    if (verdict == nullptr) return;
    factor_ = verdict->value.to(wide);
    refused_ = factor_ < 0;
  }

  bool is_given() const { return factor_.defined(); }

  /// The gradient as it counts, a fresh tensor; zeros where the step is refused.
  at::Tensor gradient(const at::Tensor &g, double scale, at::ScalarType wide) const {
    at::Tensor result = g.to(wide, /*non_blocking=*/false, /*copy=*/true);
    if (scale != 1) result.mul_(scale);
    if (is_given()) withhold(result.mul_(factor_));
    return result;
  }

  /// Zeros where the step is refused.
  void withhold(at::Tensor &tensor) const {
    if (is_given()) tensor.masked_fill_(refused_, 0);
  }

  /// tensor *= factor, unless the step is refused.
  void decay(at::Tensor &tensor, double factor) const {
    if (is_given())
      tensor.mul_(at::full_like(factor_, factor).masked_fill_(refused_, 1));
    else
      tensor.mul_(factor);
  }

 private:
  at::Tensor factor_, refused_;
};

}  // namespace

extern "C" {

ct_status ct_rmsprop_step(ct_tensor w, ct_tensor g, ct_tensor v, double gradient_scale, ct_tensor verdict, double rate,
                          double alpha, double epsilon) noexcept {
  return boundary("RMSprop", [&] {
    at::Tensor &weight = get(w), &average = get(v);
    const at::Tensor &gradient = get(g);
    require_same_shape(weight, gradient);
    require_same_shape(weight, average);
    if (verdict == nullptr && is_fast(weight) && is_fast(gradient) && is_fast(average)) {
      const kernels::RMSprop settings{static_cast<float>(gradient_scale), static_cast<float>(rate), static_cast<float>(alpha),
                                      static_cast<float>(1 - alpha), static_cast<float>(epsilon)};
      kernels::rmsprop(weight.data_ptr<float>(), gradient.data_ptr<float>(), average.data_ptr<float>(), settings, weight.numel());
      return;
    }
    const at::ScalarType wide = average.scalar_type();
    const Verdict judged(verdict, wide);
    for_flat_parts<3>({weight, gradient, average}, [&](std::array<at::Tensor, 3> part) {
      auto &[w, g, v] = part;
      at::Tensor d = judged.gradient(g, gradient_scale, wide);
      judged.decay(v, alpha);
      v.addcmul_(d, d, 1 - alpha);
      w.sub_(d.div_(v.sqrt().add_(epsilon)), rate);
    });
  });
}

ct_status ct_adamw_step(ct_tensor w, ct_tensor g, ct_tensor m, ct_tensor v, double gradient_scale, ct_tensor verdict, double rate,
                        double beta1, double beta2, double epsilon, double weight_decay, int64_t step) noexcept {
  return boundary("AdamW", [&] {
    at::Tensor &weight = get(w), &mean = get(m), &average = get(v);
    const at::Tensor &gradient = get(g);
    require_same_shape(weight, gradient);
    require_same_shape(weight, mean);
    require_same_shape(weight, average);
    if (step < 1) throw std::invalid_argument("steps count from 1");
    const double correction1 = 1 - std::pow(beta1, static_cast<double>(step));
    const double root_correction2 = std::sqrt(1 - std::pow(beta2, static_cast<double>(step)));
    const double keep = 1 - rate * weight_decay;
    if (verdict == nullptr && is_fast(weight) && is_fast(gradient) && is_fast(mean) && is_fast(average)) {
      const kernels::AdamW settings{static_cast<float>(gradient_scale), static_cast<float>(keep), static_cast<float>(rate / correction1),
                                    static_cast<float>(beta1), static_cast<float>(1 - beta1), static_cast<float>(beta2),
                                    static_cast<float>(1 - beta2), static_cast<float>(epsilon), static_cast<float>(root_correction2)};
      kernels::adamw(weight.data_ptr<float>(), gradient.data_ptr<float>(), mean.data_ptr<float>(), average.data_ptr<float>(), settings, weight.numel());
      return;
    }
    const at::ScalarType wide = average.scalar_type();
    const Verdict judged(verdict, wide);
    for_flat_parts<4>({weight, gradient, mean, average}, [&](std::array<at::Tensor, 4> part) {
      auto &[w, g, m, v] = part;
      const at::Tensor d = judged.gradient(g, gradient_scale, wide);
      judged.decay(m, beta1);
      m.add_(d, 1 - beta1);
      judged.decay(v, beta2);
      v.addcmul_(d, d, 1 - beta2);
      at::Tensor change = m / v.sqrt().div_(root_correction2).add_(epsilon);
      at::Tensor kept = w.to(wide, /*non_blocking=*/false, /*copy=*/true);
      judged.decay(kept, keep);
      judged.withhold(change);
      w.copy_(kept.sub_(change, rate / correction1));
    });
  });
}

ct_status ct_sgd_step(ct_tensor w, ct_tensor g, double gradient_scale, ct_tensor verdict, double rate) noexcept {
  return boundary("SGD", [&] {
    require_same_shape(get(w), get(g));
    if (verdict == nullptr) {
      get(w).add_(get(g).to(get(w).scalar_type()), -rate * gradient_scale);
      return;
    }
    const at::ScalarType wide = compute_type(get(w));
    const Verdict judged(verdict, wide);
    for_flat_parts<2>({get(w), get(g)}, [&](std::array<at::Tensor, 2> part) {
      part[0].sub_(judged.gradient(part[1], gradient_scale, wide), rate);
    });
  });
}

}  // extern "C"
