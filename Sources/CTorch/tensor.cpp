#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "boundary.h"

namespace lota {

at::ScalarType scalar_type(ct_dtype dtype) {
  switch (dtype) {
    case CT_FLOAT32: return at::kFloat;
    case CT_FLOAT64: return at::kDouble;
    case CT_FLOAT16: return at::kHalf;
    case CT_BFLOAT16: return at::kBFloat16;
    case CT_INT64: return at::kLong;
    case CT_INT32: return at::kInt;
    case CT_INT16: return at::kShort;
    case CT_INT8: return at::kChar;
    case CT_UINT8: return at::kByte;
    case CT_BOOL: return at::kBool;
  }
  throw std::invalid_argument("unknown element type");
}

namespace {

constexpr size_t large_block = size_t{1} << 20;

/// Asks Linux for pages of 2 MiB where a large block lies: products walk along rows that are pages apart. Blocks of the heap
/// follow each other, so whole pages around the ends belong to it as well. Without effect where the system has none.
at::Tensor with_large_pages(at::Tensor tensor) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (tensor.device().is_cpu() && tensor.nbytes() >= large_block) {
    static const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const uintptr_t first = reinterpret_cast<uintptr_t>(tensor.data_ptr()) / page * page;
    const uintptr_t last = (reinterpret_cast<uintptr_t>(tensor.data_ptr()) + tensor.nbytes() + page - 1) / page * page;
    (void)madvise(reinterpret_cast<void *>(first), last - first, MADV_HUGEPAGE);
  }
#endif
  return tensor;
}

}  // namespace

}  // namespace lota

using namespace lota;

extern "C" {

void ct_release(ct_tensor tensor) noexcept { delete tensor; }

ct_status ct_empty(const int64_t *shape, int32_t rank, ct_dtype dtype, ct_device where, ct_tensor *out) noexcept {
  return boundary("empty", [&] {
    *out = wrap(with_large_pages(at::empty(shape_ref(shape, rank), at::TensorOptions().dtype(scalar_type(dtype)).device(device(where)))));
  });
}

ct_status ct_full(const int64_t *shape, int32_t rank, double value, ct_dtype dtype, ct_device where, ct_tensor *out) noexcept {
  return boundary("full", [&] {
    const auto options = at::TensorOptions().dtype(scalar_type(dtype)).device(device(where));
    *out = wrap(with_large_pages(at::empty(shape_ref(shape, rank), options)).fill_(value));
  });
}

ct_status ct_borrow(void *data, const int64_t *shape, int32_t rank, ct_dtype dtype, void (*release)(void *), void *context, ct_tensor *out) noexcept {
  return boundary("borrow", [&] {
    const auto deleter = [release, context](void *) {
      if (release != nullptr) release(context);
    };
    *out = wrap(at::from_blob(data, shape_ref(shape, rank), deleter, at::TensorOptions().dtype(scalar_type(dtype))));
  });
}

int32_t ct_rank(ct_tensor tensor) noexcept { return tensor == nullptr ? 0 : static_cast<int32_t>(tensor->value.dim()); }

int64_t ct_size(ct_tensor tensor, int32_t dimension) noexcept {
  if (dimension < 0 || dimension >= ct_rank(tensor)) return 0;
  return tensor->value.sizes()[static_cast<size_t>(dimension)];
}

ct_dtype ct_dtype_of(ct_tensor tensor) noexcept {
  if (tensor == nullptr) return CT_FLOAT32;
  switch (tensor->value.scalar_type()) {
    case at::kDouble: return CT_FLOAT64;
    case at::kHalf: return CT_FLOAT16;
    case at::kBFloat16: return CT_BFLOAT16;
    case at::kLong: return CT_INT64;
    case at::kInt: return CT_INT32;
    case at::kShort: return CT_INT16;
    case at::kChar: return CT_INT8;
    case at::kByte: return CT_UINT8;
    case at::kBool: return CT_BOOL;
    default: return CT_FLOAT32;
  }
}

ct_device ct_device_of(ct_tensor tensor) noexcept {
  if (tensor == nullptr) return {CT_CPU, 0};
  const at::Device where = tensor->value.device();
  if (where.is_cuda()) return {CT_CUDA, where.index()};
  if (where.is_mps()) return {CT_MPS, 0};
  return {CT_CPU, 0};
}

bool ct_is_contiguous(ct_tensor tensor) noexcept { return tensor != nullptr && tensor->value.is_contiguous(); }

void *ct_data(ct_tensor tensor) noexcept { return tensor == nullptr ? nullptr : tensor->value.data_ptr(); }

ct_status ct_reshape_view(ct_tensor source, const int64_t *shape, int32_t rank, ct_tensor *out) noexcept {
  return boundary("view", [&] { *out = wrap(get(source).view(shape_ref(shape, rank))); });
}

ct_status ct_narrow(ct_tensor source, int32_t dimension, int64_t start, int64_t length, ct_tensor *out) noexcept {
  return boundary("narrow", [&] { *out = wrap(get(source).narrow(dimension, start, length)); });
}

ct_status ct_transpose(ct_tensor source, int32_t first, int32_t second, ct_tensor *out) noexcept {
  return boundary("transpose", [&] { *out = wrap(get(source).transpose(first, second)); });
}

ct_status ct_convert(ct_tensor source, ct_dtype dtype, ct_device where, ct_tensor *out) noexcept {
  return boundary("convert", [&] {
    const auto options = at::TensorOptions().dtype(scalar_type(dtype)).device(device(where));
    *out = wrap(get(source).to(options, /*non_blocking=*/false, /*copy=*/true, at::MemoryFormat::Contiguous));
  });
}

ct_status ct_copy(ct_tensor destination, ct_tensor source) noexcept {
  return boundary("copy", [&] {
    if (get(destination).sizes() != get(source).sizes()) throw std::invalid_argument("the shapes differ");
    get(destination).copy_(get(source));
  });
}

ct_status ct_fill(ct_tensor tensor, double value) noexcept {
  return boundary("fill", [&] { get(tensor).fill_(value); });
}

ct_status ct_fill_normal(ct_tensor tensor, double deviation, uint64_t seed) noexcept {
  return boundary("random numbers", [&] {
    at::Generator generator = at::globalContext().defaultGenerator(get(tensor).device()).clone();
    generator.set_current_seed(seed);
    get(tensor).normal_(0, deviation, generator);
  });
}

}  // extern "C"
