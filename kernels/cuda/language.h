// What device code is written in: CUDA C++ where nvcc compiles it, and the same words with a host meaning
// where a plain compiler does (emulate/language.h), so that kernels can be tested without a card. Beside the
// words themselves:
//   launch(gpu, {.op, .grid, .block, .shared}, kernel, arguments...)
//   grid_barrier(gpu.barrier())        all threads of a launch whose blocks run `together` wait for each
//   other dynamic_shared<T>()                the launch's `shared` bytes, 16-byte aligned copy_async16/4,
//   _commit, _wait<n>  from global to shared memory, 16 or 4 bytes a thread, in groups check_aligned(p,
//   bytes)            before a wide access; nothing on a card, which looks itself mma_*, ldmatrix_* products
//   of tensor cores, one warp together (fragments as in the PTX manual)
// Only for .cu files and what only they include.
#pragma once
#include <initializer_list>
#include <string>

#include "kernels/bf16.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/launch.h"
#include "kernels/types.h"

namespace offramp::cuda {

// Gpu::live as a kernel asks it, for things of which every sample has `each`.
struct LiveRows {
  const i32* count;
  i64 each;
#if defined(__CUDACC__)
  __device__
#endif
      bool
      beyond(i64 index) const {
    return count && index >= i64(*count) * each;
  }
};
inline LiveRows live_rows(const Gpu& gpu, i64 all) {
  return {gpu.live.count, gpu.live.count ? all / gpu.live.batch : 0};
}

constexpr i64 ceil_div(i64 a, i64 b) { return (a + b - 1) / b; }

}  // namespace offramp::cuda

#if defined(__CUDACC__)
#include "kernels/cuda/language_nvcc.h"
#else
#include "kernels/cuda/emulate/language.h"
#endif
