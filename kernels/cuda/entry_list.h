// Many arrays in few launches: a list of entries travels in a launch's parameters, and each entry has blocks
// of its own.
#pragma once
#include <span>

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/language.h"

namespace offramp::cuda {

template <class E, int most>
struct EntryList {
  static constexpr int kMost = most;
  using Entry = E;
  E entry[most];
  i32 first_block[most + 1];
  int entries;
  i32 blocks() const { return first_block[entries]; }
};

// Calls f(list, number of blocks before it) for parts that fit a launch. Returns the blocks of all.
template <class List, class Blocks, class F>
i64 for_parts(std::span<const typename List::Entry> all, Blocks&& blocks_of, F&& f) {
  i64 before = 0;
  for (std::size_t begin = 0; begin < all.size(); begin += List::kMost) {
    static_assert(sizeof(List) <= 32 * 1024 - 256,
                  "of what a launch's parameters may hold, with room for others");
    List list;
    list.entries = int(all.size() - begin < List::kMost ? all.size() - begin : List::kMost);
    i32 blocks = 0;
    for (int i = 0; i < list.entries; ++i) {
      list.entry[i] = all[begin + std::size_t(i)];
      list.first_block[i] = blocks;
      blocks += i32(blocks_of(list.entry[i]));
    }
    list.first_block[list.entries] = blocks;
    f(list, before);
    before += blocks;
  }
  return before;
}

// The entry that this block works for.
template <class List>
__device__ __forceinline__ int entry_of(const List& list) {
  const i32 block = i32(blockIdx.x);
  int low = 0, high = list.entries;  // first_block[low] <= block < first_block[high]
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (list.first_block[middle] <= block)
      low = middle;
    else
      high = middle;
  }
  return low;
}

}  // namespace offramp::cuda
