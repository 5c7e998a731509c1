#include "boundary.h"
#include "kernels.h"
#include "sampled_product.h"

using namespace lota;

namespace {

void require(bool condition, const char *message) {
  if (!condition) throw std::invalid_argument(message);
}

bool is_index(const at::Tensor &x) {
  return x.device().is_cpu() && x.scalar_type() == at::kInt && x.dim() == 1 && x.is_contiguous();
}

/// Every row's entries ascend within the row, so that none reads outside the input.
void require_rows(const int32_t *index, const int32_t *row_start, int64_t outputs, int64_t inputs, int64_t count) {
  require(row_start[0] == 0 && row_start[outputs] == count, "the rows do not cover the entries");
  for (int64_t o = 0; o < outputs; ++o) {
    const int64_t begin = row_start[o], end = row_start[o + 1];
    require(begin <= end && end <= count, "the rows do not cover the entries");
    if (begin == end) continue;
    require(index[begin] >= o * inputs && index[end - 1] < (o + 1) * inputs, "an entry lies outside its row");
  }
  require(kernels::ascends(index, count), "the entries do not ascend");
}

}  // namespace

extern "C" {

int64_t ct_turned_size(int64_t rows, int64_t width) noexcept { return kernels::turned_size(rows, width); }

ct_status ct_turn_inputs(ct_tensor x, ct_tensor turned) noexcept {
  return boundary("turn inputs", [&] {
    const at::Tensor &from = get(x);
    at::Tensor &to = get(turned);
    require(is_float_matrix(from) && is_fast(to), "float32 on the CPU is needed");
    require(to.numel() >= kernels::turned_size(from.size(0), from.size(1)), "the target is too small");
    kernels::turned_inputs(from.data_ptr<float>(), from.stride(0), from.size(0), from.size(1), to.data_ptr<float>());
  });
}

ct_status ct_sampled_product(ct_tensor dy, ct_tensor turned, int64_t inputs, ct_tensor index, ct_tensor row_start, bool accumulate,
                             ct_tensor out) noexcept {
  return boundary("sampled product", [&] {
    const at::Tensor &gradient = get(dy), &x = get(turned), &entries = get(index), &rows = get(row_start);
    at::Tensor &result = get(out);
    require(is_float_matrix(gradient) && is_fast(x) && is_fast(result) && is_index(entries) && is_index(rows),
            "float32 and int32 on the CPU are needed");
    const int64_t count = entries.numel(), outputs = gradient.size(1);
    require(inputs > 0 && rows.numel() == outputs + 1 && result.numel() == count, "the shapes do not fit");
    require(x.numel() >= kernels::turned_size(gradient.size(0), inputs), "the inputs do not fit");
    const int32_t *index_data = entries.data_ptr<int32_t>(), *row_data = rows.data_ptr<int32_t>();
    require_rows(index_data, row_data, outputs, inputs, count);
    kernels::sampled_product({gradient.data_ptr<float>(), gradient.stride(0), x.data_ptr<float>(), gradient.size(0), inputs, outputs,
                              index_data, row_data},
                             accumulate, result.data_ptr<float>());
  });
}

}  // extern "C"
