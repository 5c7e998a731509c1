#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#if defined(__linux__)
#include <dlfcn.h>
#include <unistd.h>
#endif

#include "version.h"

// Allocators tell their statistics without the headers of CUDA from 2.9 on.
#if LOTA_TORCH_AT_LEAST(9)
#define LOTA_HAS_DEVICE_STATISTICS
#include <c10/core/CachingDeviceAllocator.h>
#endif

#include <mutex>

#include "boundary.h"

using namespace lota;

namespace {

struct CudaLibrary {
  std::string path;
  std::string problem;
};

/// A program linked against libtorch_cpu alone never loads the CUDA half, whose initialisers register the device. It is
/// loaded here from beside libtorch_cpu, before anything asks for CUDA: the first question fixes the answer.
CudaLibrary load_cuda() {
#if defined(__linux__)
  Dl_info engine{};
  if (dladdr(reinterpret_cast<void *>(&at::get_num_threads), &engine) == 0 || engine.dli_fname == nullptr)
    return {"", "the system does not tell where libtorch_cpu lies"};
  const std::string cpu = engine.dli_fname;
  const std::string path = cpu.substr(0, cpu.rfind('/') + 1) + "libtorch_cuda.so";
  if (access(path.c_str(), F_OK) != 0) return {"", "this libtorch is a build without CUDA: there is no " + path};
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char *reason = dlerror();
    return {"", reason == nullptr ? "cannot load " + path : reason};
  }
  // Partial sums of long products stay in float32: a weight's gradient adds up all tokens.
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
  at::globalContext().setAllowFP16ReductionCuBLAS(false);
  return {path, ""};
#else
  return {"", "CUDA is for Linux"};
#endif
}

const CudaLibrary &cuda_library() {
  static const CudaLibrary library = load_cuda();
  return library;
}

}  // namespace

extern "C" {

ct_status ct_cuda_library(const char **path) noexcept {
  return boundary("CUDA library", [&] {
    const CudaLibrary &library = cuda_library();
    if (!library.problem.empty()) throw NotSupported(library.problem);
    *path = library.path.c_str();
  });
}

int32_t ct_device_count(ct_device_kind kind) noexcept {
  try {
    switch (kind) {
      case CT_CPU: return 1;
      case CT_CUDA:
        cuda_library();
        return at::globalContext().hasCUDA() ? static_cast<int32_t>(at::getNumGPUs()) : 0;
      case CT_MPS: return at::globalContext().hasMPS() ? 1 : 0;
    }
  } catch (...) {
  }
  return 0;
}

ct_status ct_synchronize(ct_device where) noexcept {
  return boundary("synchronize", [&] {
    if (where.kind == CT_CPU) return;
    const at::Device target = device(where);
    c10::impl::VirtualGuardImpl guard(target.type());
    guard.synchronizeDevice(target.index());
  });
}

ct_status ct_peak_device_memory(ct_device where, bool reset, int64_t *bytes) noexcept {
  return boundary("device memory", [&] {
    if (where.kind == CT_CPU) throw std::invalid_argument("the CPU's memory belongs to the process");
#ifdef LOTA_HAS_DEVICE_STATISTICS
    c10::DeviceAllocator *allocator = c10::getDeviceAllocator(device(where).type());
    const auto index = static_cast<c10::DeviceIndex>(where.index);
    const auto statistics = allocator->getDeviceStats(index);
    const int64_t peak = statistics.reserved_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
    if (reset) allocator->resetPeakStats(index);
    *bytes = peak;
#else
    throw NotSupported("device memory is told by libtorch 2.9 or later");
#endif
  });
}

}  // extern "C"
