// Where each buffer of a plan lives: buffers whose lifetimes do not meet share memory.
#pragma once
#include <vector>

#include "nn/plan/tiling.h"

namespace offramp::nn {

// Buffers that cross segments lie in one area shared by all threads, with room for every sample; the others
// in one area per thread, with room for one group. 64-byte aligned.
struct ArenaLayout {
  std::vector<i64> offsets;  // floats from the start of its area, one per buffer
  i64 shared_floats = 0;     // size of the shared area
  i64 worker_floats = 0;     // size of each thread's area
  i64 floats(i64 workers) const { return shared_floats + workers * worker_floats; }
};

// Layout for up to `batch` samples. A stage's features live until its head is done, since the samples that
// stay are moved together there.
ArenaLayout lay_out(const Plan& plan, const Tiling& tiling, i64 batch);

}  // namespace offramp::nn
