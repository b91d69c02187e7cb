// What the 32 threads of a warp find together; every lane gets the result.
#pragma once
#include "kernels/cuda/language.h"

namespace offramp::cuda {

inline constexpr unsigned kAllLanes = 0xffffffffu;

__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
  for (int bit = 16; bit > 0; bit /= 2) v += __shfl_xor_sync(kAllLanes, v, bit);
  return v;
}
__device__ __forceinline__ float warp_max(float v) {
#pragma unroll
  for (int bit = 16; bit > 0; bit /= 2) v = fmaxf(v, __shfl_xor_sync(kAllLanes, v, bit));
  return v;
}

// Sum over the threads of a block of up to 1024, in a fixed order; every thread gets it. All must call.
__device__ __forceinline__ float block_sum(float v) {
  __shared__ float of_warp[32];
  v = warp_sum(v);
  __syncthreads();
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = v;
  __syncthreads();
  float sum = 0;
  for (int w = 0; w < int(blockDim.x) / 32; ++w) sum += of_warp[w];
  return sum;
}

}  // namespace offramp::cuda
