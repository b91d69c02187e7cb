// What this machine can do at most, measured in the same run as whatever is held against it: multiply-adds,
// and bytes from each level of its caches. Source: Williams, Waterman & Patterson 2009, "Roofline".
#pragma once
#include <string>
#include <vector>

#include "kernels/cost.h"
#include "kernels/target.h"

namespace offramp::kernels {

struct Roofline {
  struct Level {
    i64 footprint;  // bytes touched again and again
    double read_bytes_per_second;
    double update_bytes_per_second;  // every value read and written back in place: read + written
  };
  Target target = Target::portable;    // whose instructions were used
  double macs_per_second = 0;          // fused multiply-adds on registers
  double stream_bytes_per_second = 0;  // y = f(x) out of cache, stored past the caches: read + written
  std::vector<Level> levels;           // ascending, from inside the first cache to main memory

  // The level that bytes come from when `footprint` bytes are touched between two uses of them.
  const Level& level(i64 footprint) const;
  // Seconds of moving so many bytes of a footprint. A write costs what an update takes beyond reading.
  double transfer_seconds(i64 read, i64 written, i64 footprint) const;

  // The least seconds a call can take on `threads` threads whose rates add up: the largest of its MACs at
  // peak, its weights and its other operands, each at the rate of the level in which they lie.
  struct Call {
    Cost cost;                 // with the MACs that must be done: of depthwise those inside the image
    i64 weight_bytes = 0;      // of cost.bytes_read
    i64 weight_footprint = 0;  // bytes touched between two uses of the weights; 0: only those of this call
  };
  double seconds(const Call& call, int threads = 1) const;

  std::string text() const;
};

// With the widest instructions this CPU has; about a second.
Roofline measure_roofline();

// A clock for differences: the processor time of this thread, so that other programs on a busy machine do not
// count. `wall`: real time, for work on several threads.
double seconds_spent(bool wall = false);

}  // namespace offramp::kernels
