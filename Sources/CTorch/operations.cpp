#include "boundary.h"
#include "kernels.h"
#include "product.h"
#include "row_product.h"

using namespace lota;

namespace {

at::Tensor indices_as_long(const at::Tensor &index) {
  return index.scalar_type() == at::kLong ? index : index.to(at::kLong);
}

void require_int32_or_int64(const at::Tensor &index) {
  if (index.scalar_type() != at::kInt && index.scalar_type() != at::kLong)
    throw std::invalid_argument("indices must be int32 or int64");
}

void require_within(const at::Tensor &index, int64_t limit) {
  if (!kernels::indices_within(index.data_ptr<int32_t>(), index.numel(), limit)) throw std::invalid_argument("an index lies out of range");
}

bool is_fast_index(const at::Tensor &index) {
  return index.device().is_cpu() && index.scalar_type() == at::kInt && index.is_contiguous();
}

}  // namespace

extern "C" {

ct_status ct_gemm(ct_tensor a, bool transpose_a, ct_tensor b, bool transpose_b, double alpha, double beta, ct_tensor out) noexcept {
  return boundary("matrix product", [&] {
    const at::Tensor left = transpose_a ? get(a).t() : get(a), right = transpose_b ? get(b).t() : get(b);
    at::Tensor &result = get(out);
    if (left.dim() != 2 || right.dim() != 2 || result.dim() != 2 || left.size(1) != right.size(0) ||
        result.size(0) != left.size(0) || result.size(1) != right.size(1))
      throw std::invalid_argument("the shapes do not fit");
    matrix_product(left, right, alpha, beta, result);
  });
}

ct_status ct_row_product(ct_tensor x, ct_tensor w, bool accumulate, ct_tensor out) noexcept {
  return boundary("row product", [&] {
    const at::Tensor &left = get(x), &right = get(w);
    at::Tensor &result = get(out);
    if (left.dim() != 2 || right.dim() != 2 || result.dim() != 2 || left.size(1) != right.size(1) ||
        result.size(0) != left.size(0) || result.size(1) != right.size(0))
      throw std::invalid_argument("the shapes do not fit");
    if (is_float_matrix(left) && is_float_matrix(right) && is_float_matrix(result)) {
      kernels::row_product({left.data_ptr<float>(), left.stride(0), right.data_ptr<float>(), right.stride(0), result.data_ptr<float>(),
                            result.stride(0), left.size(0), left.size(1), right.size(0), accumulate});
      return;
    }
    matrix_product(left, right.t(), 1, accumulate ? 1 : 0, result);
  });
}

bool ct_row_product_suits_many(void) noexcept { return kernels::row_product_suits_many(); }

ct_status ct_add(ct_tensor out, ct_tensor source, double alpha) noexcept {
  return boundary("add", [&] { get(out).add_(get(source), alpha); });
}

ct_status ct_add_product(ct_tensor out, ct_tensor a, ct_tensor b) noexcept {
  return boundary("add product", [&] { get(out).addcmul_(get(a), get(b)); });
}

ct_status ct_scale(ct_tensor tensor, double factor) noexcept {
  return boundary("scale", [&] { get(tensor).mul_(factor); });
}

ct_status ct_sum(ct_tensor tensor, double *out) noexcept {
  return boundary("sum", [&] {
    const at::Tensor &x = get(tensor);
    *out = is_fast(x) ? kernels::sum(x.data_ptr<float>(), x.numel()) : x.sum(sum_type(x)).item<double>();
  });
}

ct_status ct_sum_of_squares(ct_tensor tensor, double *out) noexcept {
  return boundary("sum of squares", [&] {
    const at::Tensor &x = get(tensor);
    *out = is_fast(x) ? kernels::sum_of_squares(x.data_ptr<float>(), x.numel())
                      : x.to(sum_type(x)).square().sum().item<double>();
  });
}

ct_status ct_accumulate_column_sums(ct_tensor source, ct_tensor out) noexcept {
  return boundary("column sums", [&] { get(out).add_(get(source).sum(0)); });
}

ct_status ct_gather_rows(ct_tensor table, ct_tensor rows, ct_tensor out) noexcept {
  return boundary("gather rows", [&] { at::index_select_out(get(out), get(table), 0, get(rows)); });
}

ct_status ct_accumulate_rows(ct_tensor table, ct_tensor rows, ct_tensor source) noexcept {
  return boundary("accumulate rows", [&] { get(table).index_add_(0, get(rows), get(source)); });
}

ct_status ct_gather_flat(ct_tensor source, ct_tensor index, bool accumulate, ct_tensor out) noexcept {
  return boundary("gather", [&] {
    const at::Tensor &from = get(source), &at_index = get(index);
    at::Tensor &to = get(out);
    require_int32_or_int64(at_index);
    if (!from.is_contiguous() || at_index.numel() != to.numel()) throw std::invalid_argument("the shapes do not fit");
    if (is_fast(from) && is_fast(to) && is_fast_index(at_index)) {
      require_within(at_index, from.numel());
      kernels::gather(from.data_ptr<float>(), at_index.data_ptr<int32_t>(), accumulate, to.data_ptr<float>(), to.numel());
      return;
    }
    const at::Tensor picked = from.view(-1).index_select(0, at_index);
    if (accumulate)
      to.add_(picked);
    else
      to.copy_(picked);
  });
}

ct_status ct_scatter_flat(ct_tensor destination, ct_tensor index, ct_tensor values) noexcept {
  return boundary("scatter", [&] {
    at::Tensor &to = get(destination);
    const at::Tensor &at_index = get(index), &from = get(values);
    require_int32_or_int64(at_index);
    if (!to.is_contiguous() || at_index.numel() != from.numel()) throw std::invalid_argument("the shapes do not fit");
    if (is_fast(to) && is_fast(from) && is_fast_index(at_index)) {
      require_within(at_index, to.numel());
      kernels::scatter(to.data_ptr<float>(), at_index.data_ptr<int32_t>(), from.data_ptr<float>(), from.numel());
      return;
    }
    to.view(-1).index_copy_(0, indices_as_long(at_index), from.to(to.scalar_type()));
  });
}

}  // extern "C"
