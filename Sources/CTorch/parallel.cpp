#include "parallel.h"

#include <ATen/Parallel.h>

#include <algorithm>

#if defined(__APPLE__)
#include <dispatch/dispatch.h>
#else
#include <dlfcn.h>
#endif

namespace lota {
namespace {

struct Job {
  int64_t count;
  int64_t parts;
  void (*body)(void *, int64_t, int64_t);
  void *context;

  void run(int64_t part) const {
    const int64_t begin = count * part / parts, end = count * (part + 1) / parts;
    if (begin < end) body(context, begin, end);
  }
};

#if !defined(__APPLE__)
// libtorch's own OpenMP runtime. ATen's at::parallel_for is serial in code compiled without -fopenmp, and a second
// OpenMP runtime would oversubscribe the cores, so its entry points are looked up in the process.
using ParallelRegion = void (*)(void (*)(void *), void *, unsigned, unsigned);
using Count = int (*)();

const ParallelRegion parallel_region = reinterpret_cast<ParallelRegion>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
const Count thread_number = reinterpret_cast<Count>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
const Count team_size = reinterpret_cast<Count>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));

void region_entry(void *context) {
  const Job &job = *static_cast<const Job *>(context);
  const int64_t team = team_size();
  for (int64_t part = thread_number(); part < job.parts; part += team) job.run(part);
}
#endif

}  // namespace

void parallel_ranges(int64_t count, int64_t grain, void (*body)(void *, int64_t, int64_t), void *context) {
  if (count <= 0) return;
  const int64_t threads = std::max(1, at::get_num_threads());
  const int64_t parts = std::min<int64_t>(threads, std::max<int64_t>(1, count / std::max<int64_t>(1, grain)));
  Job job{count, parts, body, context};
  if (parts == 1) return job.run(0);
#if defined(__APPLE__)
  dispatch_apply_f(static_cast<size_t>(parts), DISPATCH_APPLY_AUTO, &job,
                   [](void *context, size_t part) { static_cast<const Job *>(context)->run(static_cast<int64_t>(part)); });
#else
  if (parallel_region != nullptr && thread_number != nullptr && team_size != nullptr) {
    parallel_region(region_entry, &job, static_cast<unsigned>(parts), 0);
  } else {
    for (int64_t part = 0; part < parts; ++part) job.run(part);
  }
#endif
}

}  // namespace lota
