#include "kernels/block_cache.h"

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
  while (cached_ > most_) drop_oldest();
}

void BlockCache::clear() noexcept {
  const std::lock_guard lock(mutex_);
  while (!blocks_.empty()) drop_oldest();
}

i64 BlockCache::cached() const {
  const std::lock_guard lock(mutex_);
  return cached_;
}

void BlockCache::drop_oldest() noexcept {
  const Block oldest = blocks_.front();
  auto& same = by_size_[oldest.bytes];
  same.erase(same.begin());  // blocks of one size stand in the order they were freed
  blocks_.pop_front();
  cached_ -= oldest.bytes;
  to_(oldest.data, oldest.bytes);
}

}  // namespace offramp
