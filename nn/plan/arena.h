// Where each buffer of a plan lives: buffers whose lifetimes do not meet share memory.
#pragma once
#include <vector>

#include "nn/plan/plan.h"

namespace offramp::nn {

struct ArenaLayout {
  std::vector<i64> offsets;  // floats from the start, one per buffer, 64-byte aligned
  i64 floats = 0;            // size of the arena
};

// Layout for up to `batch` samples. A stage's features live until its head is done, since the samples that
// stay are moved together there.
ArenaLayout lay_out(const Plan& plan, i64 batch);

}  // namespace offramp::nn
