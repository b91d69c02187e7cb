#ifdef OFFRAMP_CUDA
#include "kernels/cuda/timing.h"

#include <utility>

namespace offramp::cuda {
namespace {

struct Events {
  Event begin = create_event(true), end = create_event(true);
  ~Events() { destroy_event(begin), destroy_event(end); }
};

}  // namespace

Timing measure(Gpu& gpu, const std::function<void()>& body, const TimingOptions& options) {
  for (int i = 0; i < options.warm_up; ++i) body();
  gpu.synchronize();
  const Events run;
  std::vector<double> us;
  const double start = now_seconds();
  for (i64 i = 0; i < options.max_runs; ++i) {
    if (i >= options.min_runs && now_seconds() - start >= options.min_seconds) break;
    record(run.begin, gpu.stream());
    body();
    record(run.end, gpu.stream());
    us.push_back(1e3 * double(milliseconds(run.begin, run.end)));
  }
  return timing_of(std::move(us));
}

LaunchedTiming measure_launches(Gpu& gpu, const std::function<void()>& work, const TimingOptions& options) {
  LaunchedTiming out{.eager = measure(gpu, work, options)};  // first: it finds the memory that work needs
  Graph graph(gpu, work);
  out.nodes = graph.nodes();
  out.graph = measure(
      gpu, [&] { graph.launch(); }, options);
  return out;
}

}  // namespace offramp::cuda
#endif
