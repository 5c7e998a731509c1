// Matrix products through the fastest library that libtorch brings for the case at hand.
#pragma once

#include <ATen/ATen.h>

namespace lota {

/// result = beta * result + alpha * left right, for matrices that fit.
void matrix_product(const at::Tensor &left, const at::Tensor &right, double alpha, double beta, at::Tensor &result);

/// "oneDNN" or "BLAS": what large float32 products on the CPU run on.
const char *matrix_library();

}  // namespace lota
