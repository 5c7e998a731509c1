#include "product.h"

#include <ATen/Context.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#if !defined(_WIN32)
#include <dlfcn.h>
#endif

namespace lota {
namespace {

// libtorch's float32 products go to MKL, whose kernels for processors of other makers than Intel use half the vector
// width: on AVX-512 machines oneDNN, which is in the same library, is up to twice as fast. Its entry point takes an
// output and a factor for it, but stands in no public header, so it is looked up and may be missing.
using Product = void (*)(const at::Tensor &, const at::Tensor &, const at::Tensor &, float beta, float alpha);

Product find_onednn() {
  const char *choice = std::getenv("LOTA_GEMM");
  if (choice != nullptr && std::strcmp(choice, "blas") == 0) return nullptr;
#if defined(__x86_64__) && !defined(_WIN32)
  if (at::get_cpu_capability().find("AVX512") == std::string::npos) return nullptr;
  // oneDNN compiles a kernel for every shape and keeps 1024 of them, and so does the layer between it and libtorch, which reads
  // the other variable. A step of unpadded rows has some twenty shapes that the next step does not share, so the last few are
  // enough. Read at the first product.
  setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64", 0);
  setenv("LRU_CACHE_CAPACITY", "64", 0);
  return reinterpret_cast<Product>(dlsym(RTLD_DEFAULT, "_ZN2at6native13mkldnn_matmulERKNS_6TensorES3_S3_ff"));
#else
  return nullptr;
#endif
}

Product onednn() {
  static const Product found = find_onednn();
  return found;
}

/// oneDNN slows down by a fifth where sums run over a whole vocabulary; in parts it does not.
constexpr int64_t longest_sum = 6144;

void in_parts(const at::Tensor &left, const at::Tensor &right, float alpha, float beta, at::Tensor &result) {
  const int64_t depth = left.size(1), parts = depth < 2 * longest_sum ? 1 : (depth + longest_sum - 1) / longest_sum;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t begin = depth * part / parts, count = depth * (part + 1) / parts - begin;
    onednn()(left.narrow(1, begin, count), right.narrow(0, begin, count), result, part == 0 ? beta : 1.0f, alpha);
  }
}

/// Matrix-vector products are bound by memory, and BLAS has a kernel for them.
constexpr int64_t fewest_rows = 4;

bool is_plain(const at::Tensor &matrix) {
  return matrix.device().is_cpu() && matrix.scalar_type() == at::kFloat &&
         ((matrix.stride(1) == 1 && matrix.stride(0) >= matrix.size(1)) ||
          (matrix.stride(0) == 1 && matrix.stride(1) >= matrix.size(0)));
}

}  // namespace

void matrix_product(const at::Tensor &left, const at::Tensor &right, double alpha, double beta, at::Tensor &result) {
  const bool is_large = std::min({left.size(0), left.size(1), right.size(1)}) >= fewest_rows;
  if (is_large && is_plain(left) && is_plain(right) && is_plain(result) && result.is_contiguous() && onednn() != nullptr) {
    in_parts(left, right, static_cast<float>(alpha), static_cast<float>(beta), result);
    return;
  }
  if (beta == 0 && alpha == 1)
    at::mm_out(result, left, right);
  else
    at::addmm_out(result, result, left, right, beta, alpha);
}

const char *matrix_library() { return onednn() != nullptr ? "oneDNN" : "BLAS"; }

}  // namespace lota
