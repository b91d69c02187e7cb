// Bodies of language.h for a plain compiler: the blocks of a launch run one after the other (or by turns,
// where they wait for each other), the threads of a block as fibers of one operating-system thread that
// change places where CUDA's threads wait for each other. Blocks, and threads between two waits, run in an
// order that changes from launch to launch (the same in every run of a program), so that a missing barrier
// shows, and a sum that depends on who is done first. Shared memory is filled with NaN before every block.
// What a card refuses is an Error: grids, blocks and shared memory that are too large, wide accesses that are
// not aligned.
#pragma once
#include <cmath>
#include <cstring>
#include <functional>
#include <tuple>
#include <utility>

#include "kernels/cuda/emulate/memory.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static thread_local  // so that they lie side by side (block.cpp)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))

struct uint3 {
  unsigned x, y, z;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

namespace offramp::cuda::emulate {

// Of the thread that runs now.
extern uint3 thread_index, block_index, block_size, grid_size;

void block_barrier();
void grid_barrier();
void warp_barrier(unsigned mask);
// Every lane of the mask gives `bytes` (at most 64) and gets what `from` gave; lanes outside the mask are not
// asked.
void exchange(unsigned mask, const void* mine, void* of_lane_from, int from, int bytes);
// Every lane's contribution, [32][bytes], valid until the next warp operation; all 32 lanes take part.
const std::byte* gather(const void* mine, int bytes);
std::byte* dynamic_shared_memory();
int lane();

[[noreturn]] void misaligned(const void* p, int bytes);

// Runs the launch, or notes it when the stream is being captured.
void run(Gpu& gpu, const Launch& launch, std::function<void()> thread);

}  // namespace offramp::cuda::emulate

#define threadIdx (::offramp::cuda::emulate::thread_index)
#define blockIdx (::offramp::cuda::emulate::block_index)
#define blockDim (::offramp::cuda::emulate::block_size)
#define gridDim (::offramp::cuda::emulate::grid_size)

inline void __syncthreads() { offramp::cuda::emulate::block_barrier(); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { offramp::cuda::emulate::warp_barrier(mask); }
inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T>
T __shfl_sync(unsigned mask, T v, int from, int width = 32) {
  const int me = offramp::cuda::emulate::lane(), first = me / width * width;
  T out;
  offramp::cuda::emulate::exchange(mask, &v, &out, first + (from & (width - 1)), sizeof(T));
  return out;
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32) {
  (void)width;
  T out;
  offramp::cuda::emulate::exchange(mask, &v, &out, offramp::cuda::emulate::lane() ^ bits, sizeof(T));
  return out;
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32) {
  const int me = offramp::cuda::emulate::lane(), end = me / width * width + width;
  T out;
  offramp::cuda::emulate::exchange(mask, &v, &out, me + int(by) < end ? me + int(by) : me, sizeof(T));
  return out;
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32) {
  const int me = offramp::cuda::emulate::lane(), first = me / width * width;
  T out;
  offramp::cuda::emulate::exchange(mask, &v, &out, me - int(by) >= first ? me - int(by) : me, sizeof(T));
  return out;
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  unsigned out = 0;
  for (int lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1) {
      int other = 0;
      const int mine = predicate != 0;
      offramp::cuda::emulate::exchange(mask, &mine, &other, lane, sizeof(int));
      out |= unsigned(other) << lane;
    }
  return out;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __ffs(int v) { return __builtin_ffs(v); }
// One block runs at a time, so any read-modify-write is atomic.
template <class T>
T atomicAdd(T* p, T v) {
  return std::exchange(*p, T(*p + v));
}
template <class T>
T __ldg(const T* p) {
  return *p;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
inline float __uint_as_float(unsigned v) { return std::bit_cast<float>(v); }
inline unsigned __float_as_uint(float v) { return std::bit_cast<unsigned>(v); }
inline float __saturatef(float v) { return v > 0 ? (v < 1 ? v : 1.0f) : 0.0f; }
inline float __expf(float v) { return std::exp(v); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float v) { return 1.0f / std::sqrt(v); }
using std::isfinite;
using std::max;
using std::min;
using std::signbit;

namespace offramp::cuda {

template <class... P, class... A>
void launch(Gpu& gpu, const Launch& l, void (*kernel)(P...), A&&... arguments) {
  if (l.grid < 1 || l.grid_y < 1 || l.grid_z < 1) return;  // nothing to do
  gpu.launch_begins(l.op, l.grid * l.grid_y * l.grid_z);
  if (emulate::before_launch) emulate::before_launch(l);
  emulate::run(gpu, l, [kernel, held = std::tuple<P...>(P(std::forward<A>(arguments))...)] {
    std::apply(kernel, held);
  });
  gpu.launch_ends();
}

template <class T>
T* dynamic_shared() {
  return reinterpret_cast<T*>(emulate::dynamic_shared_memory());
}

inline void grid_barrier(u32*) { emulate::grid_barrier(); }

inline void check_aligned(const void* p, int bytes) {
  if (reinterpret_cast<uintptr_t>(p) % unsigned(bytes)) emulate::misaligned(p, bytes);
}

// Done when the thread waits for them, not before: what reads too early reads what was there.
void copy_async16(void* to, const void* from, bool valid = true);
void copy_async4(void* to, const void* from, bool valid = true);
void copy_async_commit();
void finish_copies(int groups_left);
template <int n>
void copy_async_wait() {
  finish_copies(n);
}

inline u32 to_tf32(float v) {
  const u32 b = std::bit_cast<u32>(v);
  if ((b & 0x7f800000) == 0x7f800000) return b;
  return (b + 0x1000) & 0xffffe000;
}
inline u32 pack_bf16(float low, float high) { return u32(Bf16(low).bits) | u32(Bf16(high).bits) << 16; }

void mma_bf16(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]);
inline void mma_bf16_first(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  for (float& v : d) v = 0;
  mma_bf16(d, a, b);
}
void mma_tf32(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]);
void ldmatrix_x4(u32 (&r)[4], const void* row);
void ldmatrix_x4_transposed(u32 (&r)[4], const void* row);

}  // namespace offramp::cuda
