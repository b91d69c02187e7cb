// How a kernel is launched, and what is said when that fails.
#pragma once
#include <string>

#include "kernels/error.h"
#include "kernels/types.h"

namespace offramp::cuda {

struct Launch {
  const char* op;  // row name, for errors
  i64 grid;        // blocks: blockIdx.x; grid_y, grid_z below
  int block;       // threads
  i64 shared = 0;  // bytes of dynamic shared memory
  i64 grid_y = 1, grid_z = 1;
  bool together = false;  // all blocks at once, so that they may wait for each other: a card refuses too many
};

// "op: reason (dims; grid, block, shared)": the dims that the op's door noted.
Error launch_error(const Launch& launch, const std::string& reason);

}  // namespace offramp::cuda
