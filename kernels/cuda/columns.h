// Threads of a block over rows of a tensor: each keeps to eight neighbouring columns, its rows lie kRowStep
// apart.
#pragma once
#include "kernels/cuda/vector.h"

namespace offramp::cuda {

template <int kThreads, int kN>
struct ColumnThreads {
  static constexpr int kColumns = kN, kGroups = kN / 8, kRowStep = kThreads / kGroups;
  __device__ __forceinline__ static int group() { return int(threadIdx.x) % kGroups; }
  __device__ __forceinline__ static int first_row() { return int(threadIdx.x) / kGroups; }

  // Combines what the threads of each group of columns have, in the order of their rows. True in the threads
  // that then hold the result. Uses kThreads values of dynamic shared memory.
  template <class Value, class Combine>
  __device__ static bool fold_rows(Value& mine, Combine&& combine) {
    Value* const all = dynamic_shared<Value>();
    __syncthreads();
    all[threadIdx.x] = mine;
    __syncthreads();
    if (first_row() != 0) return false;
    for (int r = 1; r < kRowStep; ++r) combine(mine, all[r * kGroups + group()]);
    return true;
  }
};

}  // namespace offramp::cuda
