// What this machine can do, measured in the same run as whatever is held against it.
#pragma once
#include "kernels/cost.h"
#include "kernels/exec.h"

namespace offramp::nas {

struct Roofline {
  double macs_per_second;   // the best gemm row on operands that stay in cache
  double bytes_per_second;  // copying a block far larger than the caches, read + written

  // The least time a call of this cost can take.
  double seconds(const Cost& cost) const {
    const double compute = double(cost.macs) / macs_per_second;
    const double memory = double(cost.bytes_read + cost.bytes_written) / bytes_per_second;
    return compute > memory ? compute : memory;
  }
};

Roofline measure_roofline(Exec& exec);

}  // namespace offramp::nas
