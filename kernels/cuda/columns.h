// Threads of a block over rows of a tensor: each keeps to eight neighbouring columns, its rows lie kRowStep
// apart.
#pragma once
#include "kernels/cuda/vector.h"
#include "kernels/cuda/warp.h"

namespace offramp::cuda {

template <int kThreads, int kN>
struct ColumnThreads {
  static constexpr int kColumns = kN, kGroups = kN / 8, kRowStep = kThreads / kGroups;
  __device__ __forceinline__ static int group() { return int(threadIdx.x) % kGroups; }
  __device__ __forceinline__ static int first_row() { return int(threadIdx.x) / kGroups; }

  // Sums of fields over the threads of each column, in a fixed order: v's sums are then out[field][kN] for
  // every thread to read. `out`: shared memory of sum_floats(fields) floats that nobody else uses.
  template <int kFields>
  __device__ static void sum_rows(Floats<8> (&v)[kFields], float* out) {
    const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
#pragma unroll
    for (int bit = 16; bit >= kGroups; bit /= 2)
#pragma unroll
      for (int f = 0; f < kFields; ++f)
#pragma unroll
        for (int i = 0; i < 8; ++i) v[f].v[i] += __shfl_xor_sync(kAllLanes, v[f].v[i], bit);
    __syncthreads();
    if (lane < kGroups) {
#pragma unroll
      for (int f = 0; f < kFields; ++f) store<8>(out + (warp * kFields + f) * kN + lane * 8, v[f]);
    }
    __syncthreads();
    for (int i = int(threadIdx.x); i < kFields * kN; i += kThreads) {
      float sum = out[i];
#pragma unroll
      for (int w = 1; w < kThreads / 32; ++w) sum += out[w * kFields * kN + i];
      out[i] = sum;
    }
    __syncthreads();
  }
  static constexpr i64 sum_floats(int fields) { return i64(kThreads) / 32 * fields * kN; }
  static_assert(kGroups <= 32 && 32 % kGroups == 0);
};

}  // namespace offramp::cuda
