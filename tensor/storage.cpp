#include "tensor/storage.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "kernels/block_cache.h"
#include "kernels/cuda/built.h"
#include "kernels/cuda/gpu.h"
#include "kernels/error.h"
#include "tensor/storage_limit.h"

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

void ask_for_huge_pages([[maybe_unused]] std::byte* data, [[maybe_unused]] i64 bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr auto kPage = std::uintptr_t(2) << 20;
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  const auto first = (begin + kPage - 1) / kPage * kPage,
             end = (begin + std::uintptr_t(bytes)) / kPage * kPage;
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#endif
}

namespace {

constexpr i64 kAlign = 64;
constexpr i64 kMaxBytes = i64{1} << 39;  // of one block of memory: more is a mistake, not a wish

#ifdef OFFRAMP_ASAN
constexpr i64 kMaxCached = 0;  // a reused block would hide a use after free
#else
constexpr i64 kMaxCached = i64{1} << 30;  // bytes kept at most
#endif

#if defined(__linux__) && defined(MADV_HUGEPAGE)
constexpr i64 kHugePage = i64{2} << 20;
#else
constexpr i64 kHugePage = kMaxBytes;      // none
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
  ask_for_huge_pages(page, whole);
  return page + start;
}

void to_system(std::byte* data, i64 bytes) {
  if (bytes >= kHugePage) data -= reinterpret_cast<std::uintptr_t>(data) % std::uintptr_t(kHugePage);
  std::free(data);
}

// Never destroyed: tensors with static lifetime may outlive any other static object.
BlockCache& cache() {
  static BlockCache& instance = *new BlockCache(from_system, to_system, kMaxCached);
  return instance;
}

// Addresses no process can own (beyond 2^56): a read of one faults at once and none equals a real pointer.
std::byte* allocate_meta(i64 bytes) {
  static std::atomic<u64> next{u64{1} << 56};
  return reinterpret_cast<std::byte*>(next.fetch_add(u64(bytes), std::memory_order_relaxed));
}

std::byte* allocate_cpu(i64 bytes) {
  if (std::byte* data = cache().take(bytes)) return data;
  throw Error("storage: no memory for " + std::to_string(bytes) + " bytes");
}

}  // namespace

std::shared_ptr<Storage> Storage::allocate(i64 bytes, Device device) {
  if (bytes < 0 || (device != Device::meta && bytes > kMaxBytes))
    throw Error("storage: cannot allocate " + std::to_string(bytes) + " bytes");
  const i64 room = BlockCache::rounded(bytes);
  std::shared_ptr<Storage> storage(new Storage(bytes, device));
  if (device == Device::meta) {
    storage->data_ = allocate_meta(room);
    return storage;
  }
  detail::reserve_storage(room);
  storage->counted_ = room;
  if (device == Device::cpu) {
    storage->data_ = allocate_cpu(room);
  } else if constexpr (cuda::kBuilt) {
    storage->pool_ = cuda::Gpu::instance().pool();
    storage->data_ = storage->pool_->take(room);
  } else {
    throw usage_error("this build has no CUDA backend");
  }
  return storage;
}

Storage::~Storage() {
  detail::release_storage(counted_);
  if (!data_) return;
  if (device_ == Device::cpu) cache().give(data_, BlockCache::rounded(bytes_));
  if constexpr (cuda::kBuilt)
    if (device_ == Device::cuda) pool_->give(data_, BlockCache::rounded(bytes_));
}

}  // namespace offramp
