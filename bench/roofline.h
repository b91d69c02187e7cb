// What one thread of this machine can do at most: multiply-adds, and bytes from each level of its caches.
#pragma once
#include <string>
#include <vector>

#include "kernels/cost.h"

namespace offramp::bench {

struct Roofline {
  struct Level {
    i64 footprint;  // bytes touched
    double read_bytes_per_second;
    double update_bytes_per_second;  // every value read and written back in place: read + written
  };
  double macs_per_second = 0;  // fused multiply-adds on registers, widest vectors
  std::vector<Level> levels;   // ascending, from inside the first cache to main memory

  // The least seconds a call of this cost can take on `threads` threads whose rates add up, when it is
  // repeated on the same operands: the larger of its MACs at peak and its bytes at the rates of the largest
  // level not above it.
  double seconds(const Cost& cost, int threads = 1) const;
  std::string text() const;
};

Roofline measure_roofline();

// A clock for differences: the processor time of this thread, so that other programs on a busy machine do not
// count. `wall`: real time, for work on several threads.
double seconds_spent(bool wall = false);

}  // namespace offramp::bench
