// Memory of the card: pools keep freed blocks, and when the card is short of memory give back what they may.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/block_cache.h"
#include "kernels/cuda/runtime.h"

namespace offramp::cuda {

// Straight from the card, counted. Null when it is short.
std::byte* from_card(i64 bytes);
// The same; when the card is short, once more after every pool of the process has given back what it may.
// Throws an Error that says for what, how much was wanted and who holds the rest.
std::byte* from_card_or_throw(i64 bytes, const std::string& what);
void to_card(std::byte* data, i64 bytes) noexcept;
// What every pool may give back goes back now. It waits for the card where there is any.
void release_unused() noexcept;
i64 cached_till_short();  // bytes that this would be, at most

// Device memory of tensors. Sizes are rounded so that networks that differ a little share blocks.
class MemoryPool {
 public:
  // What becomes of a freed block. It goes back at once: where memory is fenced, an access to it is to fault.
  // It stays until memory is short. It stays as long as the pool: a graph's launches go on using it.
  enum class Keeps { nothing, till_short, always };
  explicit MemoryPool(Keeps keeps = fenced() ? Keeps::nothing : Keeps::till_short);
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  std::byte* take(i64 bytes);  // throws Error when memory is short
  void give(std::byte* data, i64 bytes) noexcept;

  // Between the two, freed blocks are not given out again: somebody on another stream may still read them.
  void hold() { holds_ = true; }
  void let_go() noexcept;

  Keeps keeps() const { return keeps_; }
  i64 cached() const { return cache_.cached(); }
  void release_unused() noexcept;

 private:
  // Small blocks are cut from slabs: one call of the run-time for thousands of parameters. Not where each
  // block is to stand before a fence.
  struct Slab {
    std::byte* data;
    i64 bytes, cut = 0, cached = 0;  // given out ever; of that, in the cache (while release_unused looks)
  };
  bool cuts(i64 bytes) const;
  i64 size_of(i64 bytes) const;
  std::byte* cut(i64 bytes);
  void add_slab();
  Slab* slab_of(const std::byte* data);

  const Keeps keeps_;
  const bool rounds_;  // no block stands before a fence
  std::vector<std::pair<std::byte*, i64>> held_;
  bool holds_ = false;
  std::vector<Slab> slabs_;  // the last one has room
  BlockCache cache_;
};

}  // namespace offramp::cuda
