// What a card can do, measured.
#pragma once
#include "kernels/cuda/gpu.h"

namespace offramp::bench {

struct CardLimits {
  double copy_gb_s;       // device to device, bytes read and written
  double tensor_tflop_s;  // bf16 products of the house's own kernel at a large size
  double node_us;         // an empty kernel that waits for the one before it, in a graph
};
CardLimits measure_card(cuda::Gpu& gpu);

// Median milliseconds of `runs` runs of body, each timed by events, after `warm_up` more.
template <class Body>
double median_ms(cuda::Gpu& gpu, int warm_up, int runs, Body&& body);

}  // namespace offramp::bench

#include <algorithm>
#include <vector>

template <class Body>
double offramp::bench::median_ms(cuda::Gpu& gpu, int warm_up, int runs, Body&& body) {
  for (int i = 0; i < warm_up; ++i) body();
  const cuda::Event begin = cuda::create_event(true), end = cuda::create_event(true);
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) {
    cuda::record(begin, gpu.stream());
    body();
    cuda::record(end, gpu.stream());
    times.push_back(double(cuda::milliseconds(begin, end)));
  }
  cuda::destroy_event(begin);
  cuda::destroy_event(end);
  std::nth_element(times.begin(), times.begin() + runs / 2, times.end());
  return times[std::size_t(runs / 2)];
}
