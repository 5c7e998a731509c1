// Passes over large tensors in parts, for the generic forms: their temporaries then stay small and, on a GPU, in cache.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <array>

namespace lota {

/// Elements a part holds: 32 MB in float32.
constexpr int64_t part_elements = int64_t{1} << 23;

/// Calls body(start, count) for parts of `rows` rows of `width` elements each.
template <class Body>
void for_row_parts(int64_t rows, int64_t width, Body &&body) {
  const int64_t step = std::max<int64_t>(1, part_elements / std::max<int64_t>(1, width));
  for (int64_t start = 0; start < rows; start += step) body(start, std::min(step, rows - start));
}

/// Calls body with matching parts of tensors of equal size; with the tensors themselves where one is not contiguous.
template <size_t Count, class Body>
void for_flat_parts(const std::array<at::Tensor, Count> &tensors, Body &&body) {
  if (!std::all_of(tensors.begin(), tensors.end(), [](const at::Tensor &tensor) { return tensor.is_contiguous(); })) {
    body(tensors);
    return;
  }
  const int64_t total = tensors[0].numel();
  for (int64_t start = 0; start < total; start += part_elements) {
    std::array<at::Tensor, Count> parts;
    for (size_t i = 0; i < Count; ++i) parts[i] = tensors[i].view(-1).narrow(0, start, std::min(part_elements, total - start));
    body(parts);
  }
}

}  // namespace lota
