// Data-parallel loops on the very threads that libtorch uses, so that two pools never compete for the cores.
#pragma once

#include <cstdint>
#include <type_traits>

namespace lota {

/// Calls body(context, begin, end) on disjoint ranges that cover [0, count), each at least `grain` long where possible.
void parallel_ranges(int64_t count, int64_t grain, void (*body)(void *, int64_t, int64_t), void *context);

template <class Body>
void parallel_for(int64_t count, int64_t grain, Body &&body) {
  using Plain = std::remove_reference_t<Body>;
  parallel_ranges(
      count, grain, [](void *context, int64_t begin, int64_t end) { (*static_cast<Plain *>(context))(begin, end); },
      const_cast<void *>(static_cast<const void *>(&body)));
}

}  // namespace lota
