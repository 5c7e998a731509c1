// One body, compiled for several instruction sets and chosen when the program runs.
#pragma once

#if defined(__x86_64__) && defined(__clang__)
#define LOTA_HAS_X86_SETS
#define LOTA_AVX512 __attribute__((target("arch=x86-64-v4"), min_vector_width(512)))
#define LOTA_AVX2 __attribute__((target("arch=x86-64-v3"), min_vector_width(256)))

namespace lota::kernels {

inline bool has_avx512() { return __builtin_cpu_supports("x86-64-v4"); }
inline bool has_avx2() { return __builtin_cpu_supports("x86-64-v3"); }

}  // namespace lota::kernels
#endif
