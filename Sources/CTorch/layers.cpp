#include "boundary.h"
#include "chunks.h"
#include "kernels.h"

// Not in every release; an older one had another function of the first name.
#if __has_include(<ATen/ops/_fused_rms_norm_backward.h>)
#define LOTA_HAS_FUSED_RMS_NORM
#endif

using namespace lota;

namespace {

void require(bool condition, const char *message) {
  if (!condition) throw std::invalid_argument(message);
}

void require_matrix(const at::Tensor &tensor, const at::Tensor &like, const char *message) {
  require(tensor.dim() == 2 && tensor.sizes() == like.sizes() && tensor.scalar_type() == like.scalar_type(), message);
}

// The generic forms below serve half precision and devices. They keep float32 temporaries to parts of the rows.

void generic_rms_norm(const at::Tensor &x, const at::Tensor &w, double epsilon, at::Tensor &y, at::Tensor &rstd) {
#ifdef LOTA_HAS_FUSED_RMS_NORM
  if (x.device().is_cuda()) {
    const auto [output, statistics] = at::_fused_rms_norm(x, {x.size(1)}, w, epsilon);
    y.copy_(output);
    rstd.copy_(statistics.view(-1));
    return;
  }
#endif
  for_row_parts(x.size(0), x.size(1), [&](int64_t start, int64_t count) {
    const at::Tensor part = x.narrow(0, start, count), wide = part.to(compute_type(x));
    at::Tensor r = rstd.narrow(0, start, count);
    r.copy_(at::rsqrt(wide.square().mean(-1) + epsilon));
    y.narrow(0, start, count).copy_(w * (wide * r.unsqueeze(1)).to(x.scalar_type()));
  });
}

void generic_rms_norm_backward(const at::Tensor &dy, const at::Tensor &x, const at::Tensor &w, const at::Tensor &rstd, at::Tensor &dx,
                               at::Tensor *dw) {
#ifdef LOTA_HAS_FUSED_RMS_NORM
  if (x.device().is_cuda()) {
    const auto [input, weight] = at::_fused_rms_norm_backward(dy, x, {x.size(1)}, rstd.unsqueeze(1), w, {true, dw != nullptr});
    dx.add_(input);
    if (dw != nullptr) dw->add_(weight);
    return;
  }
#endif
  const at::ScalarType wide = compute_type(x);
  at::Tensor total = dw == nullptr ? at::Tensor() : at::zeros(dw->sizes(), dw->options().dtype(wide));
  for_row_parts(x.size(0), x.size(1), [&](int64_t start, int64_t count) {
    const at::Tensor r = rstd.narrow(0, start, count).unsqueeze(1), gradient = dy.narrow(0, start, count).to(wide);
    const at::Tensor normalized = x.narrow(0, start, count).to(wide) * r, scaled = gradient * w.to(wide);
    dx.narrow(0, start, count).add_((r * (scaled - normalized * (scaled * normalized).mean(-1, true))).to(dx.scalar_type()));
    if (dw != nullptr) total.add_((gradient * normalized).sum(0));
  });
  if (dw != nullptr) dw->add_(total.to(dw->scalar_type()));
}

void generic_rotary(const at::Tensor &halves, const at::Tensor &cosines, const at::Tensor &sines) {
  at::Tensor first = halves.select(2, 0), second = halves.select(2, 1);
  const at::Tensor a = first.to(cosines.scalar_type()), b = second.to(cosines.scalar_type());
  // Both before either is written: a and b are the halves themselves where no conversion was needed.
  const at::Tensor turned_first = a * cosines - b * sines, turned_second = b * cosines + a * sines;
  first.copy_(turned_first);
  second.copy_(turned_second);
}

/// Every operation rounds to the tensors' own type, as in PyTorch's graph of the same layer.
void generic_swiglu_backward(at::Tensor gate, at::Tensor up, at::Tensor gradient_to_hidden) {
  const at::Tensor activated = at::silu(gate);
  const at::Tensor gate_gradient = at::silu_backward(gradient_to_hidden * up, gate), up_gradient = activated * gradient_to_hidden;
  at::mul_out(gradient_to_hidden, activated, up);
  up.copy_(up_gradient);
  gate.copy_(gate_gradient);
}

}  // namespace

extern "C" {

ct_status ct_rms_norm(ct_tensor xND, ct_tensor wD, double epsilon, ct_tensor yND, ct_tensor rstdN) noexcept {
  return boundary("RMS norm", [&] {
    const at::Tensor &x = get(xND), &w = get(wD);
    at::Tensor &y = get(yND), &rstd = get(rstdN);
    require_matrix(y, x, "output and input differ in shape or type");
    require(w.dim() == 1 && w.size(0) == x.size(1), "the weight does not fit the width");
    require(rstd.dim() == 1 && rstd.size(0) == x.size(0), "rstd does not fit the rows");
    if (is_fast(x) && is_fast(w) && is_fast(y) && is_fast(rstd)) {
      kernels::rms_norm(x.data_ptr<float>(), w.data_ptr<float>(), static_cast<float>(epsilon), y.data_ptr<float>(),
                        rstd.data_ptr<float>(), x.size(0), x.size(1));
      return;
    }
    generic_rms_norm(x, w, epsilon, y, rstd);
  });
}

ct_status ct_rms_norm_backward(ct_tensor dyND, ct_tensor xND, ct_tensor wD, ct_tensor rstdN, ct_tensor dxAccumulateND,
                               ct_tensor dwAccumulateD) noexcept {
  return boundary("RMS norm backward", [&] {
    const at::Tensor &dy = get(dyND), &x = get(xND), &w = get(wD), &rstd = get(rstdN);
    at::Tensor &dx = get(dxAccumulateND);
    require_matrix(dy, x, "the gradient and the input differ in shape or type");
    require_matrix(dx, x, "the result and the input differ in shape or type");
    require(w.dim() == 1 && w.size(0) == x.size(1), "the weight does not fit the width");
    require(rstd.dim() == 1 && rstd.size(0) == x.size(0), "rstd does not fit the rows");
    at::Tensor *dw = dwAccumulateD == nullptr ? nullptr : &get(dwAccumulateD);
    require(dw == nullptr || dw->sizes() == w.sizes(), "the weight's gradient does not fit the weight");
    if (is_fast(dy) && is_fast(x) && is_fast(w) && is_fast(rstd) && is_fast(dx) && (dw == nullptr || is_fast(*dw))) {
      kernels::rms_norm_backward(dy.data_ptr<float>(), x.data_ptr<float>(), w.data_ptr<float>(), rstd.data_ptr<float>(),
                                 dx.data_ptr<float>(), x.size(0), x.size(1));
      if (dw != nullptr)
        kernels::rms_norm_weight_backward(dy.data_ptr<float>(), x.data_ptr<float>(), rstd.data_ptr<float>(),
                                          dw->data_ptr<float>(), x.size(0), x.size(1));
      return;
    }
    generic_rms_norm_backward(dy, x, w, rstd, dx, dw);
  });
}

ct_status ct_rotary(ct_tensor x, int64_t heads, ct_tensor cosine, ct_tensor sine, ct_tensor positions, bool inverse) noexcept {
  return boundary("rotary embedding", [&] {
    at::Tensor &rows = get(x);
    const at::Tensor &c = get(cosine), &s = get(sine), &at_position = get(positions);
    require(rows.dim() == 2 && rows.stride(1) == 1 && heads > 0 && rows.size(1) % (2 * heads) == 0, "the rows do not fit the heads");
    const int64_t head_size = rows.size(1) / heads;
    require(c.dim() == 2 && c.size(1) == head_size / 2 && s.sizes() == c.sizes(), "the angle tables do not fit the head size");
    require(at_position.dim() == 1 && at_position.size(0) == rows.size(0), "there must be one position a row");
    if (rows.device().is_cpu() && rows.scalar_type() == at::kFloat && is_fast(c) && is_fast(s) && at_position.is_contiguous() &&
        at_position.scalar_type() == at::kLong) {
      const int64_t *first = at_position.data_ptr<int64_t>();
      for (int64_t n = 0; n < rows.size(0); ++n)
        require(first[n] >= 0 && first[n] < c.size(0), "a position lies beyond the angle tables");
      kernels::rotary(rows.data_ptr<float>(), rows.stride(0), heads, head_size, c.data_ptr<float>(), s.data_ptr<float>(), first,
                      rows.size(0), inverse);
      return;
    }
    const at::Tensor cosines = c.index_select(0, at_position).unsqueeze(1);
    at::Tensor sines = s.index_select(0, at_position).unsqueeze(1);
    if (inverse) sines = sines.neg();
    const at::Tensor halves = rows.view({rows.size(0), heads, 2, head_size / 2});
    for_row_parts(rows.size(0), rows.size(1), [&](int64_t start, int64_t count) {
      generic_rotary(halves.narrow(0, start, count), cosines.narrow(0, start, count), sines.narrow(0, start, count));
    });
  });
}

ct_status ct_swiglu(ct_tensor gu, ct_tensor h) noexcept {
  return boundary("SwiGLU", [&] {
    const at::Tensor &both = get(gu);
    at::Tensor &result = get(h);
    require(both.dim() == 2 && result.dim() == 2 && both.size(0) == result.size(0) && both.size(1) == 2 * result.size(1), "the shapes do not fit");
    const int64_t width = result.size(1);
    if (is_fast(both) && is_fast(result)) {
      kernels::swiglu(both.data_ptr<float>(), result.data_ptr<float>(), result.size(0), width);
      return;
    }
    at::silu_out(result, both.narrow(1, 0, width));
    result.mul_(both.narrow(1, width, width));
  });
}

ct_status ct_swiglu_backward(ct_tensor gu, ct_tensor dh_to_h) noexcept {
  return boundary("SwiGLU backward", [&] {
    at::Tensor &both = get(gu), &result = get(dh_to_h);
    require(result.scalar_type() == both.scalar_type(), "the gradient and the gates differ in type");
    require(both.dim() == 2 && both.size(0) == result.size(0) && both.size(1) == 2 * result.size(1), "the shapes do not fit");
    const int64_t width = result.size(1);
    if (is_fast(both) && is_fast(result)) {
      kernels::swiglu_backward(both.data_ptr<float>(), result.data_ptr<float>(), result.size(0), width);
      return;
    }
    for_row_parts(both.size(0), width, [&](int64_t start, int64_t count) {
      const at::Tensor part = both.narrow(0, start, count);
      generic_swiglu_backward(part.narrow(1, 0, width), part.narrow(1, width, width), result.narrow(0, start, count));
    });
  });
}

ct_status ct_cross_entropy(ct_tensor logits, ct_tensor targets, bool gradient, double scale, ct_tensor losses) noexcept {
  return boundary("cross entropy", [&] {
    at::Tensor &x = get(logits), &result = get(losses);
    const at::Tensor &target = get(targets);
    require(x.dim() == 2 && target.dim() == 1 && target.scalar_type() == at::kLong && target.size(0) == x.size(0) &&
                result.dim() == 1 && result.size(0) == x.size(0),
            "the shapes do not fit");
    if (is_fast(x) && is_fast(result) && target.device().is_cpu() && target.is_contiguous()) {
      const int64_t *chosen = target.data_ptr<int64_t>();
      for (int64_t n = 0; n < target.numel(); ++n)
        require(chosen[n] >= 0 && chosen[n] < x.size(1), "a target lies outside the vocabulary");
      kernels::cross_entropy(x.data_ptr<float>(), chosen, gradient, static_cast<float>(scale), result.data_ptr<float>(), x.size(0), x.size(1));
      return;
    }
    at::Tensor log_probabilities = at::log_softmax(x.to(compute_type(x)), -1);
    const at::Tensor column = target.unsqueeze(1);
    result.copy_(log_probabilities.gather(1, column).squeeze(1).neg());
    if (!gradient) return;
    at::Tensor probabilities = log_probabilities.exp_();
    probabilities.scatter_add_(1, column, at::full(column.sizes(), -1.0, probabilities.options()));
    x.copy_(probabilities.mul_(scale));
  });
}

}  // extern "C"
