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

// Blocks in groups of about the square root of their number.
inline Parts parts_of(int blocks, i64 length) {
  int size = 1;
  while (size * size < blocks) ++size;
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

// How parts are combined, for element i of their length: sums.
struct AddParts {
  __device__ static void combine(const float* parts, i64 step, int count, i64 i, i64, float* out) {
    double sum = 0;
    for (int p = 0; p < count; ++p) sum += double(parts[p * step + i]);
    out[i] = float(sum);
  }
  static constexpr int kFields = 1;
};

// Count, mean and sum of squared deviations of every channel: a part is [3][channels]. Source: Chan et al.
// 1983 (pairwise combination).
struct MomentParts {
  __device__ static void combine(const float* parts, i64 step, int count, i64 i, i64 channels, float* out) {
    double n = 0, mean = 0, m2 = 0;
    for (int p = 0; p < count; ++p) {
      const float* const part = parts + p * step + i;
      const double more = double(part[0]);
      if (more == 0) continue;
      const double delta = double(part[channels]) - mean, total = n + more;
      mean += delta * (more / total);
      m2 += double(part[2 * channels]) + delta * delta * (n * more / total);
      n = total;
    }
    out[i] = float(n), out[i + channels] = float(mean), out[i + 2 * channels] = float(m2);
  }
  static constexpr int kFields = 3;
};

// Called by all threads of every block once its part, part + (serial * blocks + block) * length, is written.
// True in one block: then *total holds the combination.
template <class How>
__device__ bool combine_parts(const Parts& p, i64 serial, int block, const float** total) {
  __shared__ u32 arrived;
  const int t = int(threadIdx.x), threads = int(blockDim.x);
  const i64 count = p.length / How::kFields;
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
  for (i64 i = t; i < count; i += threads) How::combine(parts, p.length, members, i, count, of_group);
  __threadfence();
  __syncthreads();
  if (t == 0) {
    tickets[group] = 0;
    arrived = atomicAdd(tickets + p.groups, 1u);
  }
  __syncthreads();
  if (arrived != u32(p.groups - 1)) return false;
  __threadfence();
  const float* const groups = p.group + serial * p.groups * p.length;
  float* const out = p.part + serial * p.blocks * p.length;  // read by nobody any more
  for (i64 i = t; i < count; i += threads) How::combine(groups, p.length, p.groups, i, count, out);
  if (t == 0) tickets[p.groups] = 0;
  __threadfence();
  __syncthreads();
  *total = out;
  return true;
}

}  // namespace offramp::cuda
