#include "tensor/storage_limit.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <string>

namespace offramp {
namespace {

constexpr i64 kNone = std::numeric_limits<i64>::max();

std::atomic<i64> in_use{0}, most{kNone};

}  // namespace

i64 storage_in_use() { return in_use.load(std::memory_order_relaxed); }

StorageLimit::StorageLimit(i64 bytes) : before_(most.load()) {
  if (bytes > 0) most.store(std::min(before_, storage_in_use() + bytes));
}
StorageLimit::~StorageLimit() { most.store(before_); }

namespace detail {

// Relaxed: a count orders nothing else, and the mutex of the block cache behind it costs more than both.
void reserve_storage(i64 bytes) {
  const i64 now = in_use.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  const i64 limit = most.load(std::memory_order_relaxed);
  if (now <= limit) return;
  release_storage(bytes);
  throw StorageExceeded("storage: " + std::to_string(bytes) + " bytes for a tensor beside " +
                        std::to_string(now - bytes) + " in use, " + std::to_string(limit) + " is the limit");
}

void release_storage(i64 bytes) noexcept { in_use.fetch_sub(bytes, std::memory_order_relaxed); }

}  // namespace detail
}  // namespace offramp
