#include <cmath>

#include "boundary.h"
#include "kernels.h"

using namespace lota;

namespace {

void require_same_shape(const at::Tensor &a, const at::Tensor &b) {
  if (a.numel() != b.numel()) throw std::invalid_argument("weights, gradient and state differ in size");
}

}  // namespace

extern "C" {

ct_status ct_rmsprop_step(ct_tensor w, ct_tensor g, ct_tensor v, double gradient_scale, double rate, double alpha, double epsilon) noexcept {
  return boundary("RMSprop", [&] {
    at::Tensor &weight = get(w), &average = get(v);
    const at::Tensor &gradient = get(g);
    require_same_shape(weight, gradient);
    require_same_shape(weight, average);
    if (is_fast(weight) && is_fast(gradient) && is_fast(average)) {
      const kernels::RMSprop settings{static_cast<float>(gradient_scale), static_cast<float>(rate), static_cast<float>(alpha),
                                      static_cast<float>(1 - alpha), static_cast<float>(epsilon)};
      kernels::rmsprop(weight.data_ptr<float>(), gradient.data_ptr<float>(), average.data_ptr<float>(), settings, weight.numel());
      return;
    }
    const at::Tensor d = gradient.to(average.scalar_type()) * gradient_scale;
    average.mul_(alpha).addcmul_(d, d, 1 - alpha);
    weight.copy_(weight.to(average.scalar_type()) - rate * (d / (average.sqrt() + epsilon)));
  });
}

ct_status ct_adamw_step(ct_tensor w, ct_tensor g, ct_tensor m, ct_tensor v, double gradient_scale, double rate, double beta1,
                        double beta2, double epsilon, double weight_decay, int64_t step) noexcept {
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
    if (is_fast(weight) && is_fast(gradient) && is_fast(mean) && is_fast(average)) {
      const kernels::AdamW settings{static_cast<float>(gradient_scale), static_cast<float>(keep), static_cast<float>(rate / correction1),
                                    static_cast<float>(beta1), static_cast<float>(1 - beta1), static_cast<float>(beta2),
                                    static_cast<float>(1 - beta2), static_cast<float>(epsilon), static_cast<float>(root_correction2)};
      kernels::adamw(weight.data_ptr<float>(), gradient.data_ptr<float>(), mean.data_ptr<float>(), average.data_ptr<float>(), settings, weight.numel());
      return;
    }
    const at::Tensor d = gradient.to(average.scalar_type()) * gradient_scale;
    mean.mul_(beta1).add_(d, 1 - beta1);
    average.mul_(beta2).addcmul_(d, d, 1 - beta2);
    weight.copy_(weight.to(average.scalar_type()) * keep - (rate / correction1) * (mean / (average.sqrt() / root_correction2 + epsilon)));
  });
}

ct_status ct_sgd_step(ct_tensor w, ct_tensor g, double gradient_scale, double rate) noexcept {
  return boundary("SGD", [&] {
    require_same_shape(get(w), get(g));
    get(w).add_(get(g).to(get(w).scalar_type()), -rate * gradient_scale);
  });
}

}  // extern "C"
