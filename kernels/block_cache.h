// Freed blocks of memory, kept for the next one who asks for the size: the most recent of a size is reused
// first, the one unused for longest goes back to the system first.
#pragma once
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/types.h"

namespace offramp {

class BlockCache {
 public:
  using FromSystem = std::function<std::byte*(i64 bytes)>;  // null when memory is short
  using ToSystem = std::function<void(std::byte* data, i64 bytes)>;

  // Keeps at most `most` bytes; 0: every block goes back at once.
  BlockCache(FromSystem from, ToSystem to, i64 most)
      : from_(std::move(from)), to_(std::move(to)), most_(most) {}
  ~BlockCache() { clear(); }
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  // Sizes are rounded to 64 bytes, large ones to an eighth of their power of two: tensors that differ a
  // little share blocks, at most 12.5 % is wasted. take and give expect a rounded size.
  static constexpr i64 rounded(i64 bytes) {
    i64 step = 64;
    while (step * 16 <= bytes) step *= 2;
    return bytes == 0 ? 64 : (bytes + step - 1) / step * step;
  }

  // From the cache or else the system; when that is short, after everything cached was returned. Null: no
  // memory.
  std::byte* take(i64 bytes);
  void give(std::byte* data, i64 bytes) noexcept;
  void clear() noexcept;
  void clear(const std::function<bool(const std::byte* data)>& goes) noexcept;  // those for which it is true
  void each(const std::function<void(const std::byte* data, i64 bytes)>& f) const;
  i64 cached() const;

 private:
  struct Block {
    std::byte* data;
    i64 bytes;
  };
  std::byte* reuse(i64 bytes);
  void drop(std::list<Block>::iterator block) noexcept;

  const FromSystem from_;
  const ToSystem to_;
  const i64 most_;
  mutable std::mutex mutex_;
  i64 cached_ = 0;
  std::list<Block> blocks_;
  std::unordered_map<i64, std::vector<std::list<Block>::iterator>> by_size_;
};

}  // namespace offramp
