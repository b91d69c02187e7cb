#include "kernels/parallel.h"

#include <algorithm>
#include <atomic>

#if defined(OFFRAMP_OPENMP)
#include <omp.h>
#else
#include "kernels/thread_pool.h"
#endif

namespace offramp::detail {
namespace {

// One worker of the region: claims chunks until none is left.
struct Region {
  std::atomic<i64> next{0};
  i64 count, grain;
  RangeBody body;
  void* context;

  void work(int worker) {
    for (i64 begin; (begin = next.fetch_add(grain, std::memory_order_relaxed)) < count;)
      body(context, begin, std::min(begin + grain, count), worker);
  }
};

}  // namespace

void parallel_ranges(const Exec& exec, i64 count, i64 grain, RangeBody body, void* context) {
  if (count <= 0) return;
  grain = std::max<i64>(grain, 1);
  const i64 chunks = (count + grain - 1) / grain;
  const int workers = int(std::min<i64>(exec.threads(), chunks));
  Region region{.count = count, .grain = grain, .body = body, .context = context};
  if (workers <= 1) {
    region.work(0);
    return;
  }
#if defined(OFFRAMP_OPENMP)
#pragma omp parallel num_threads(workers)
  region.work(omp_get_thread_num());
#else
  exec.pool().run(
      workers, [](void* shared, int worker) { static_cast<Region*>(shared)->work(worker); }, &region);
#endif
}

}  // namespace offramp::detail
