// Times of work on the card, by the card's own clock.
#pragma once
#include <functional>

#include "kernels/cuda/gpu.h"
#include "kernels/timing.h"

namespace offramp::cuda {

// Runs of body, each between two events and waited for; options as for the host's.
Timing measure(Gpu& gpu, const std::function<void()>& body, const TimingOptions& options = {});

// What `work` launches, launch by launch as the host gives them and as a captured graph. Work only launches:
// it neither waits for the device nor reads its memory.
struct LaunchedTiming {
  Timing eager, graph;
  i64 nodes = 0;  // of the graph
};
LaunchedTiming measure_launches(Gpu& gpu, const std::function<void()>& work,
                                const TimingOptions& options = {});

}  // namespace offramp::cuda
