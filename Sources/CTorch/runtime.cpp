#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "boundary.h"
#include "product.h"
#include "version.h"

namespace lota {
namespace {

thread_local std::string last_error;

bool tells_of_memory(const std::string &message) {
  for (const char *words : {"not enough memory", "out of memory", "can't allocate memory"})
    if (message.find(words) != std::string::npos) return true;
  return false;
}

std::string first_line(const std::string &message) { return message.substr(0, message.find('\n')); }

}  // namespace

void set_last_error(const char *operation, const std::string &message) noexcept {
  try {
    last_error = std::string(operation) + ": " + message;
  } catch (...) {
    last_error.clear();
  }
}

ct_status status_of_current_exception(const char *operation) noexcept {
  try {
    throw;
  } catch (const NotSupported &error) {
    set_last_error(operation, error.what());
    return CT_NOT_SUPPORTED;
  } catch (const c10::OutOfMemoryError &error) {
    set_last_error(operation, first_line(error.what_without_backtrace()));
    return CT_OUT_OF_MEMORY;
  } catch (const c10::NotImplementedError &error) {
    set_last_error(operation, first_line(error.what_without_backtrace()));
    return CT_NOT_SUPPORTED;
  } catch (const c10::Error &error) {
    const std::string message = first_line(error.what_without_backtrace());
    set_last_error(operation, message);
    return tells_of_memory(message) ? CT_OUT_OF_MEMORY : CT_INVALID_ARGUMENT;
  } catch (const std::bad_alloc &) {
    set_last_error(operation, "out of memory");
    return CT_OUT_OF_MEMORY;
  } catch (const std::invalid_argument &error) {
    set_last_error(operation, error.what());
    return CT_INVALID_ARGUMENT;
  } catch (const std::exception &error) {
    set_last_error(operation, error.what());
    return CT_FAILED;
  } catch (...) {
    set_last_error(operation, "unknown failure");
    return CT_FAILED;
  }
}

at::Device device(ct_device device) {
  switch (device.kind) {
    case CT_CPU: return at::Device(at::kCPU);
    case CT_CUDA: return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device.index));
    case CT_MPS: return at::Device(at::kMPS, 0);
  }
  throw std::invalid_argument("unknown device kind");
}

}  // namespace lota

using namespace lota;

extern "C" {

const char *ct_last_error(void) noexcept { return last_error.c_str(); }

const char *ct_version(void) noexcept { return TORCH_VERSION; }

const char *ct_cpu_capability(void) noexcept {
  try {
    static const std::string name = at::get_cpu_capability();
    return name.c_str();
  } catch (...) {
    return "unknown";
  }
}

const char *ct_matrix_library(void) noexcept {
  try {
    return lota::matrix_library();
  } catch (...) {
    return "unknown";
  }
}

void ct_keep_freed_memory(void) noexcept {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 0x7fffffff);
#endif
}

void ct_trim_memory(void) noexcept {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

ct_status ct_set_threads(int32_t count) noexcept {
  return boundary("set threads", [&] {
    if (count < 1) throw std::invalid_argument("the number of threads must be at least 1");
    at::set_num_threads(count);
  });
}

int32_t ct_threads(void) noexcept {
  try {
    return at::get_num_threads();
  } catch (...) {
    return 1;
  }
}

}  // extern "C"
