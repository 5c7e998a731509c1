// One thread's memory, kept from call to call.
#pragma once

#include <cstdint>
#include <vector>

namespace lota::kernels {

struct Scratch {
  /// `count` floats from a cache line on, with whatever an earlier call left there; until the next call.
  float *take(int64_t count) {
    constexpr size_t line = 64;
    const size_t needed = static_cast<size_t>(count) + line / sizeof(float);
    if (memory.size() < needed) memory.resize(needed);
    const auto place = reinterpret_cast<uintptr_t>(memory.data());
    return memory.data() + (line - place % line) % line / sizeof(float);
  }

 private:
  std::vector<float> memory;
};

}  // namespace lota::kernels
