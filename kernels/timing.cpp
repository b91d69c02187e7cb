#include "kernels/timing.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

namespace offramp {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Timing timing_of(std::vector<double> us) {
  std::sort(us.begin(), us.end());
  const auto quantile = [&](double q) {
    return us.empty() ? 0.0 : us[size_t(q * double(us.size() - 1) + 0.5)];
  };
  return {.median_us = quantile(0.5),
          .p10_us = quantile(0.1),
          .p90_us = quantile(0.9),
          .min_us = quantile(0),
          .runs = i64(us.size())};
}

Timing measure(const std::function<void()>& body, const TimingOptions& options) {
  for (int i = 0; i < options.warm_up; ++i) body();
  std::vector<double> us;
  const double start = now_seconds();
  for (i64 run = 0; run < options.max_runs; ++run) {
    if (run >= options.min_runs && now_seconds() - start >= options.min_seconds) break;
    const double before = now_seconds();
    body();
    us.push_back((now_seconds() - before) * 1e6);
  }
  return timing_of(std::move(us));
}

double clock_overhead_us() {
  static const double overhead = [] {
    constexpr size_t kReadings = 2001;
    std::vector<double> seconds(kReadings);
    for (double& s : seconds) s = now_seconds();
    for (size_t i = 0; i + 1 < kReadings; ++i) seconds[i] = seconds[i + 1] - seconds[i];
    seconds.pop_back();
    std::nth_element(seconds.begin(), seconds.begin() + kReadings / 2, seconds.end());
    return seconds[kReadings / 2] * 1e6;
  }();
  return overhead;
}

}  // namespace offramp
