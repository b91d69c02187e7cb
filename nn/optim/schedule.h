// Learning rate over time.
#pragma once
#include "kernels/types.h"

namespace offramp::nn {

// Linear warm-up, then half a cosine. Source: Loshchilov & Hutter 2017 (without restarts).
struct CosineSchedule {
  double base = 0.1, final = 0;  // learning rate after the warm-up and at the end
  i64 steps = 1;                 // in all
  i64 warm_up = 0;               // of them; rate base*(step+1)/warm_up

  // The rate of update number `step`, counted from 0; from `steps` on it is `final`.
  double at(i64 step) const;
};

}  // namespace offramp::nn
