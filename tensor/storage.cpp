#include "tensor/storage.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <list>
#include <mutex>
#include <new>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernels/error.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define OFFRAMP_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OFFRAMP_ASAN 1
#endif
#endif

namespace offramp {

namespace {

constexpr i64 kAlign = 64;
constexpr i64 kMaxCached = i64{1} << 30;  // bytes kept at most
constexpr i64 kMaxBytes = i64{1} << 39;   // of one block of memory: more is a mistake, not a wish

#ifdef OFFRAMP_ASAN
constexpr bool kCaching = false;  // a reused block would hide a use after free
#else
constexpr bool kCaching = true;
#endif

// Sizes are rounded to 64 bytes, large ones to an eighth of their power of two: genotypes whose tensors
// differ a little share blocks, at most 12.5 % is wasted.
i64 rounded(i64 bytes) {
  i64 step = kAlign;
  while (step * 16 <= bytes) step *= 2;
  return bytes == 0 ? kAlign : (bytes + step - 1) / step * step;
}

#if defined(__linux__) && defined(MADV_HUGEPAGE)
constexpr i64 kHugePage = i64{2} << 20;
#else
constexpr i64 kHugePage = kMaxBytes;  // none
#endif

// Large blocks ask for huge pages: a strided walk over an activation otherwise misses the TLB at every pixel.
// They start at different places of their first page: blocks that all begin at a multiple of a large power of
// two fall into the same sets of the caches.
std::byte* from_system(i64 bytes) {
  if (bytes < kHugePage) return static_cast<std::byte*>(std::aligned_alloc(size_t(kAlign), size_t(bytes)));
  static std::atomic<u32> blocks{0};
  const i64 start = i64(blocks.fetch_add(1, std::memory_order_relaxed) % 16) * (i64{8192} + 5 * kAlign);
  const i64 whole = (bytes + start + kHugePage - 1) / kHugePage * kHugePage;
  auto* const page = static_cast<std::byte*>(std::aligned_alloc(size_t(kHugePage), size_t(whole)));
  if (!page) return nullptr;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  madvise(page, size_t(whole), MADV_HUGEPAGE);
#endif
  return page + start;
}

void to_system(std::byte* data, i64 bytes) {
  if (bytes >= kHugePage) data -= reinterpret_cast<std::uintptr_t>(data) % std::uintptr_t(kHugePage);
  std::free(data);
}

// Freed blocks, the most recent of a size reused first, the longest unused returned to the system first.
class Cache {
 public:
  std::byte* take(i64 bytes) {
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

  // Takes the block over; false when it does not fit at all.
  bool give(std::byte* data, i64 bytes) noexcept {
    if (bytes > kMaxCached / 2) return false;
    const std::lock_guard lock(mutex_);
    try {
      auto& same = by_size_[bytes];
      same.reserve(same.size() + 1);
      blocks_.push_back({data, bytes});
      same.push_back(std::prev(blocks_.end()));
    } catch (const std::bad_alloc&) {
      return false;
    }
    cached_ += bytes;
    while (cached_ > kMaxCached) drop_oldest();
    return true;
  }

  void clear() {
    const std::lock_guard lock(mutex_);
    while (!blocks_.empty()) drop_oldest();
  }

 private:
  struct Block {
    std::byte* data;
    i64 bytes;
  };

  void drop_oldest() {
    const Block oldest = blocks_.front();
    auto& same = by_size_[oldest.bytes];
    same.erase(same.begin());  // blocks of one size stand in the order they were freed
    blocks_.pop_front();
    cached_ -= oldest.bytes;
    to_system(oldest.data, oldest.bytes);
  }

  std::mutex mutex_;
  i64 cached_ = 0;
  std::list<Block> blocks_;
  std::unordered_map<i64, std::vector<std::list<Block>::iterator>> by_size_;
};

// Never destroyed: tensors with static lifetime may outlive any other static object.
Cache& cache() {
  static Cache& instance = *new Cache;
  return instance;
}

std::byte* allocate_cpu(i64 bytes) {
  if (kCaching)
    if (std::byte* data = cache().take(bytes)) return data;
  std::byte* data = from_system(bytes);
  if (!data && kCaching) {
    cache().clear();
    data = from_system(bytes);
  }
  if (!data) throw Error("storage: no memory for " + std::to_string(bytes) + " bytes");
  return data;
}

// Addresses no process can own (beyond 2^56): a read of one faults at once and none equals a real pointer.
std::byte* allocate_meta(i64 bytes) {
  static std::atomic<u64> next{u64{1} << 56};
  return reinterpret_cast<std::byte*>(next.fetch_add(u64(bytes), std::memory_order_relaxed));
}

}  // namespace

std::shared_ptr<Storage> Storage::allocate(i64 bytes, Device device) {
  if (bytes < 0 || (device == Device::cpu && bytes > kMaxBytes))
    throw Error("storage: cannot allocate " + std::to_string(bytes) + " bytes");
  const i64 room = rounded(bytes);
  std::byte* data = device == Device::meta ? allocate_meta(room) : allocate_cpu(room);
  try {
    return std::shared_ptr<Storage>(new Storage(data, bytes, device));
  } catch (...) {
    if (device == Device::cpu) to_system(data, room);
    throw;
  }
}

Storage::~Storage() {
  if (device_ == Device::meta) return;
  if (!kCaching || !cache().give(data_, rounded(bytes_))) to_system(data_, rounded(bytes_));
}

}  // namespace offramp
