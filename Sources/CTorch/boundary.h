// What every translation unit of CTorch shares: the handle, and the one place where C++ exceptions end.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include <new>
#include <stdexcept>
#include <string>

#include "ctorch.h"

struct ct_tensor_s {
  at::Tensor value;
};

namespace lota {

void set_last_error(const char *operation, const std::string &message) noexcept;

struct NotSupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

ct_status status_of_current_exception(const char *operation) noexcept;

/// Runs `body` without autograd and turns every exception into a status and a message.
template <class Body>
ct_status boundary(const char *operation, Body &&body) noexcept {
  try {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    body();
    return CT_OK;
  } catch (...) {
    return status_of_current_exception(operation);
  }
}

inline at::Tensor &get(ct_tensor tensor) {
  if (tensor == nullptr) throw std::invalid_argument("a tensor argument is NULL");
  return tensor->value;
}

inline ct_tensor wrap(at::Tensor value) { return new ct_tensor_s{std::move(value)}; }

at::ScalarType scalar_type(ct_dtype dtype);
at::Device device(ct_device device);

inline at::IntArrayRef shape_ref(const int64_t *shape, int32_t rank) {
  if (rank < 0 || (rank > 0 && shape == nullptr)) throw std::invalid_argument("the shape is missing");
  return {shape, static_cast<size_t>(rank)};
}

/// Whether the float32 CPU kernels can read and write this matrix row by row; its rows may lie apart.
inline bool is_float_matrix(const at::Tensor &matrix) {
  return matrix.device().is_cpu() && matrix.scalar_type() == at::kFloat && matrix.dim() == 2 && matrix.stride(1) == 1;
}

/// True when the float32 kernels of kernels.cpp may read and write `tensor` directly.
inline bool is_fast(const at::Tensor &tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

/// Double where the device has it.
inline at::ScalarType sum_type(const at::Tensor &tensor) { return tensor.device().is_mps() ? at::kFloat : at::kDouble; }

/// The type that sums and exponentials are computed in.
inline at::ScalarType compute_type(const at::Tensor &tensor) {
  return tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

}  // namespace lota
