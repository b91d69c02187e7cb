// What this machine can do, measured in the same run as whatever is held against it.
#pragma once
#include "kernels/cost.h"
#include "kernels/exec.h"

namespace offramp::nas {

struct Roofline {
  double macs_per_second;         // the best gemm row on operands that stay in cache
  double bytes_per_second;        // copying a block far larger than the caches, read + written
  double cached_bytes_per_second;  // copying a block that stays in a core's own cache

  static constexpr i64 kCached = i64{1} << 20;  // a call that moves less finds its operands in cache

  // The least time a call of this cost can take.
  double seconds(const Cost& cost) const {
    const double compute = double(cost.macs) / macs_per_second;
    const i64 bytes = cost.bytes_read + cost.bytes_written;
    const double memory = double(bytes) / (bytes < kCached ? cached_bytes_per_second : bytes_per_second);
    return compute > memory ? compute : memory;
  }
};

Roofline measure_roofline(Exec& exec);

}  // namespace offramp::nas
