#include "kernels/block_cache.h"

#include <algorithm>
#include <iterator>
#include <new>

namespace offramp {

std::byte* BlockCache::reuse(i64 bytes) {
  const std::lock_guard lock(mutex_);
  const auto found = by_size_.find(bytes);
  if (found == by_size_.end() || found->second.empty()) return nullptr;
  const auto block = found->second.back();
  found->second.pop_back();
  std::byte* data = block->data;
  cached_ -= bytes;
  blocks_.erase(block);
  return data;
}

std::byte* BlockCache::take(i64 bytes) {
  if (std::byte* data = reuse(bytes)) return data;
  if (std::byte* data = from_(bytes)) return data;
  clear();
  return from_(bytes);
}

void BlockCache::give(std::byte* data, i64 bytes) noexcept {
  if (bytes > most_ / 2) return to_(data, bytes);
  const std::lock_guard lock(mutex_);
  try {
    auto& same = by_size_[bytes];
    same.reserve(same.size() + 1);
    blocks_.push_back({data, bytes});
    same.push_back(std::prev(blocks_.end()));
  } catch (const std::bad_alloc&) {
    return to_(data, bytes);
  }
  cached_ += bytes;
  while (cached_ > most_) drop(blocks_.begin());
}

void BlockCache::clear() noexcept {
  const std::lock_guard lock(mutex_);
  while (!blocks_.empty()) drop(blocks_.begin());
}

i64 BlockCache::cached() const {
  const std::lock_guard lock(mutex_);
  return cached_;
}

void BlockCache::clear(const std::function<bool(const std::byte*)>& goes) noexcept {
  const std::lock_guard lock(mutex_);
  for (auto block = blocks_.begin(); block != blocks_.end();) {
    const auto here = block++;
    if (goes(here->data)) drop(here);
  }
}

void BlockCache::each(const std::function<void(const std::byte*, i64)>& f) const {
  const std::lock_guard lock(mutex_);
  for (const Block& block : blocks_) f(block.data, block.bytes);
}

void BlockCache::drop(std::list<Block>::iterator block) noexcept {
  const Block gone = *block;
  auto& same = by_size_[gone.bytes];
  same.erase(std::find(same.begin(), same.end(), block));  // the oldest of a size stands first
  blocks_.erase(block);
  cached_ -= gone.bytes;
  to_(gone.data, gone.bytes);
}

}  // namespace offramp
