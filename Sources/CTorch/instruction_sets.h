// One body, compiled for several instruction sets and chosen when the program runs.
#pragma once

#if defined(__x86_64__) && defined(__clang__)
#define LOTA_HAS_X86_SETS
#define LOTA_AVX512 __attribute__((target("arch=x86-64-v4"), min_vector_width(512)))
#define LOTA_AVX2 __attribute__((target("arch=x86-64-v3"), min_vector_width(256)))

namespace lota::kernels {

/// Of one function's three builds, the one for this processor.
template <class Function>
Function for_this_processor(Function avx512, Function avx2, Function fallback) {
  if (__builtin_cpu_supports("x86-64-v4")) return avx512;
  return __builtin_cpu_supports("x86-64-v3") ? avx2 : fallback;
}

}  // namespace lota::kernels
#endif
