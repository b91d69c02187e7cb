// Sums over all blocks of a launch inside that launch, in an order that does not depend on which block is
// done first: every block leaves its part; the last of each group of blocks adds up the group's parts, the
// last group adds up the groups'. Two short walks instead of one long one at the end of every kernel.
#pragma once
#include "kernels/cuda/language.h"

namespace offramp::cuda {

// Where the parts of one reduction lie. `series` independent reductions may share a launch.
struct Parts {
  float* part;   // [series][blocks][length]
  float* group;  // [series][groups][length]
  u32* tickets;  // [series][groups + 1]
  int blocks, groups, group_size;
  i64 length;  // floats of one part
};

// Up to 32 blocks are one group, more are cut into groups of about the square root of their number.
inline Parts parts_of(int blocks, i64 length) {
  int size = 1;
  while (size * size < blocks) ++size;
  if (blocks <= 32) size = blocks;
  return {.part = nullptr,
          .group = nullptr,
          .tickets = nullptr,
          .blocks = blocks,
          .groups = int(ceil_div(blocks, size)),
          .group_size = size,
          .length = length};
}
inline i64 parts_floats(const Parts& p, i64 series) { return series * (p.blocks + p.groups) * p.length; }
inline void place_parts(Parts& p, i64 series, float* scratch, u32* tickets) {
  p.part = scratch;
  p.group = scratch + series * p.blocks * p.length;
  p.tickets = tickets;
}

// How parts are combined, element by element: a part is [kFields][count] floats, whose sums are taken in
// double.
struct AddParts {
  static constexpr int kFields = 1;
  __device__ static void open(double (&)[1]) {}
  __device__ static void close(double (&)[1]) {}
};

// Count, mean and sum of squared deviations of every channel. Sums of powers in double lose nothing that a
// float would keep, and need one division for all members.
struct MomentParts {
  static constexpr int kFields = 3;
  __device__ static void open(double (&v)[3]) {
    const double sum = v[0] * v[1];
    v[2] += sum * v[1];
    v[1] = sum;
  }
  __device__ static void close(double (&v)[3]) {
    const double mean = v[0] == 0 ? 0.0 : v[1] / v[0], m2 = v[2] - v[1] * mean;
    v[1] = mean;
    v[2] = m2 > 0 ? m2 : 0.0;
  }
};

// out = the combination of `members` parts, `step` floats apart. All threads of the block call; where there
// are several threads for an element, each takes every so manieth member, then their results are combined.
template <class How>
__device__ void combine_members(const float* parts, i64 step, int members, i64 count, float* out) {
  constexpr int kFields = How::kFields, kBatch = 8;  // loads under way before the first is needed
  __shared__ double exchange[kFields][256];
  const int t = int(threadIdx.x), threads = int(blockDim.x) < 256 ? int(blockDim.x) : 256;
  int shares = 1;
  while (2 * shares * count <= threads && shares < 8) shares *= 2;
  const int width = threads / shares, share = t / width;
  struct Sums {
    double v[kFields] = {};
  };
  const auto of_members = [&](i64 i) {
    Sums sum;
    for (int first = share; first < members; first += kBatch * shares) {
      float part[kBatch][kFields];
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        const int m = first + b * shares;
#pragma unroll
        for (int f = 0; f < kFields; ++f) part[b][f] = m < members ? parts[m * step + f * count + i] : 0.0f;
      }
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        double opened[kFields];
#pragma unroll
        for (int f = 0; f < kFields; ++f) opened[f] = double(part[b][f]);
        How::open(opened);
#pragma unroll
        for (int f = 0; f < kFields; ++f) sum.v[f] += opened[f];
      }
    }
    return sum;
  };
  const auto put = [&](i64 i, Sums sum) {
    How::close(sum.v);
#pragma unroll
    for (int f = 0; f < kFields; ++f) out[f * count + i] = float(sum.v[f]);
  };
  if (shares == 1) {
    if (t < threads)
      for (i64 i = t; i < count; i += threads) put(i, of_members(i));
    return;
  }
  const i64 i = t % width;
  Sums sum;
  if (t < threads && i < count) sum = of_members(i);
  if (t < threads) {
#pragma unroll
    for (int f = 0; f < kFields; ++f) exchange[f][t] = sum.v[f];
  }
  __syncthreads();
  if (share != 0 || i >= count) return;
  for (int other = 1; other < shares; ++other) {
#pragma unroll
    for (int f = 0; f < kFields; ++f) sum.v[f] += exchange[f][other * width + int(i)];
  }
  put(i, sum);
}

// Called by all threads of every block once its part, [kFields][count] floats at part + (serial * blocks +
// block) * length, is written. True in one block: then *total holds the combination, [kFields][count].
template <class How>
__device__ bool combine_parts(const Parts& p, i64 serial, int block, i64 count, const float** total) {
  __shared__ u32 arrived;
  const int t = int(threadIdx.x);
  u32* const tickets = p.tickets + serial * (p.groups + 1);
  const int group = block / p.group_size, first = group * p.group_size;
  const int members = p.blocks - first < p.group_size ? p.blocks - first : p.group_size;
  float* const of_group = p.group + (serial * p.groups + group) * p.length;
  const float* const parts = p.part + (serial * p.blocks + first) * p.length;

  __threadfence();
  __syncthreads();
  if (t == 0) arrived = atomicAdd(tickets + group, 1u);
  __syncthreads();
  if (arrived != u32(members - 1)) return false;
  __threadfence();
  combine_members<How>(parts, p.length, members, count, of_group);
  if (t == 0) tickets[group] = 0;
  *total = of_group;
  __threadfence();
  __syncthreads();
  if (p.groups == 1) return true;
  if (t == 0) arrived = atomicAdd(tickets + p.groups, 1u);
  __syncthreads();
  if (arrived != u32(p.groups - 1)) return false;
  __threadfence();
  float* const out = p.part + serial * p.blocks * p.length;  // read by nobody any more
  combine_members<How>(p.group + serial * p.groups * p.length, p.length, p.groups, count, out);
  if (t == 0) tickets[p.groups] = 0;
  *total = out;
  __threadfence();
  __syncthreads();
  return true;
}

}  // namespace offramp::cuda
