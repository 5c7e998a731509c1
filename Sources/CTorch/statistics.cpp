// What a step finds out about its losses and gradients, kept on the device: nothing here waits for it. Choices are made by
// masked_fill: at::where would upload its number, and an upload waits.
#include "boundary.h"

using namespace lota;

namespace {

void require_report(const at::Tensor &report) {
  if (report.dim() != 1 || report.size(0) != 2) throw std::invalid_argument("a report has two elements");
}

}  // namespace

extern "C" {

ct_status ct_report_losses(ct_tensor report, ct_tensor losses) noexcept {
  return boundary("losses", [&] {
    require_report(get(report));
    get(report).select(0, 0).add_(get(losses).sum(get(report).scalar_type()));
  });
}

ct_status ct_report_gradient(ct_tensor report, ct_tensor gradient, double number, bool accumulate, ct_tensor squares) noexcept {
  return boundary("gradient", [&] {
    require_report(get(report));
    const at::Tensor &g = get(gradient);
    const at::Tensor norm = at::linalg_vector_norm(g, 2, {}, /*keepdim=*/false, compute_type(g));
    if (accumulate)
      get(squares).add_(norm.square());
    else
      get(squares).copy_(norm.square());
    at::Tensor first = get(report).select(0, 1);
    first.add_(at::full_like(first, number).masked_fill_(at::logical_or(first > 0, at::isfinite(norm)), 0));
  });
}

ct_status ct_report_verdict(ct_tensor report, ct_tensor squares, double maximum_norm, ct_tensor *out) noexcept {
  return boundary("clipping", [&] {
    require_report(get(report));
    const at::Tensor &s = get(squares);
    at::Tensor factor = maximum_norm > 0 ? (s.sqrt() + 1e-6).reciprocal_().mul_(maximum_norm).clamp_max_(1) : at::ones_like(s);
    const at::Tensor sound = at::logical_and(get(report).select(0, 1) == 0, at::isfinite(get(report).select(0, 0)));
    *out = wrap(factor.masked_fill_(sound.logical_not(), -1));
  });
}

}  // extern "C"
