// The one stopwatch: warm-up, repeats, median and spread.
#pragma once
#include <functional>
#include <vector>

#include "kernels/types.h"

namespace offramp {

struct Timing {
  double median_us = 0, p10_us = 0, p90_us = 0, min_us = 0;
  i64 runs = 0;
};

struct TimingOptions {
  int warm_up = 3;
  i64 min_runs = 5, max_runs = 1000;
  double min_seconds = 0.2;  // stop after max_runs, or once min_runs and min_seconds are both reached
};

Timing timing_of(std::vector<double> us);

Timing measure(const std::function<void()>& body, const TimingOptions& options = {});

// Seconds of a monotonic clock, for progress and rates.
double now_seconds();

// What one reading of that clock costs: the median step between readings made back to back, in microseconds.
double clock_overhead_us();

}  // namespace offramp
