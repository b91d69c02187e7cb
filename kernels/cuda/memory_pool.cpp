#ifdef OFFRAMP_CUDA
#include "kernels/cuda/memory_pool.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "kernels/cuda/problem.h"
#include "kernels/error.h"

namespace offramp::cuda {
namespace {

constexpr i64 kSlab = i64{32} << 20, kLargestOfSlab = i64{1} << 20;
constexpr i64 kAlign = 256;  // as cudaMalloc gives it
i64 aligned(i64 bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

std::atomic<i64> on_card{0};  // bytes, of all pools and of scratch

struct Pools {
  std::mutex mutex;
  std::vector<MemoryPool*> all;

  i64 cached(MemoryPool::Keeps keeps) {
    const std::lock_guard lock(mutex);
    i64 bytes = 0;
    for (const MemoryPool* pool : all)
      if (pool->keeps() == keeps) bytes += pool->cached();
    return bytes;
  }
};
// Never destroyed: pools may outlive any other static object.
Pools& pools() {
  static Pools& instance = *new Pools;
  return instance;
}

}  // namespace

std::byte* from_card(i64 bytes) {
  std::byte* const data = allocate(bytes);
  if (data) on_card += bytes;
  return data;
}

std::byte* from_card_or_throw(i64 bytes, const std::string& what) {
  if (std::byte* const data = from_card(bytes)) return data;
  const i64 could = cached_till_short();
  release_unused();
  if (std::byte* const data = from_card(bytes)) return data;
  const i64 parts = cached_till_short(), graphs = pools().cached(MemoryPool::Keeps::always);
  const std::string last = problem().text();
  throw Error("cuda: no memory on the card for " + std::to_string(bytes) + " bytes of " + what +
              (last.empty() ? "" : " (last computed: " + last + ")") + ": " +
              std::to_string(on_card - parts - graphs) + " in use, " + std::to_string(graphs) +
              " kept for graphs, " + std::to_string(parts) + " cached (" + std::to_string(could) +
              " before they went back), " + std::to_string(free_memory()) +
              " free; a smaller batch needs less");
}

void to_card(std::byte* data, i64 bytes) noexcept {
  release(data);
  on_card -= bytes;
}

void release_unused() noexcept {
  const std::lock_guard lock(pools().mutex);
  for (MemoryPool* pool : pools().all) pool->release_unused();
}

i64 cached_till_short() { return pools().cached(MemoryPool::Keeps::till_short); }

MemoryPool::MemoryPool(Keeps keeps)
    : keeps_(keeps),
      rounds_(!fenced() || keeps == Keeps::till_short),
      // Throws where a cache would clear itself and try again: a graph's blocks must stay.
      cache_([this](i64 bytes) { return cuts(bytes) ? cut(bytes) : from_card_or_throw(bytes, "a tensor"); },
             [this](std::byte* data, i64 bytes) {
               if (!cuts(bytes)) to_card(data, bytes);
             },
             keeps == Keeps::nothing ? 0 : i64{1} << 40) {
  const std::lock_guard lock(pools().mutex);
  pools().all.push_back(this);
}

MemoryPool::~MemoryPool() {
  {
    const std::lock_guard lock(pools().mutex);
    std::erase(pools().all, this);
  }
  cache_.clear();
  for (const Slab& slab : slabs_) to_card(slab.data, slab.bytes);
}

bool MemoryPool::cuts(i64 bytes) const {
  return rounds_ && keeps_ != Keeps::nothing && bytes <= kLargestOfSlab;
}

// Where blocks stand before a fence, they end there: no rounding beyond what 16-byte accesses ask for.
i64 MemoryPool::size_of(i64 bytes) const { return rounds_ ? aligned(BlockCache::rounded(bytes)) : bytes; }

std::byte* MemoryPool::cut(i64 bytes) {
  if (slabs_.empty() || slabs_.back().cut + bytes > slabs_.back().bytes) add_slab();
  Slab& slab = slabs_.back();
  return slab.data + std::exchange(slab.cut, slab.cut + bytes);
}

// Of the usual size, or as much as there is; no less than the largest block asks for.
void MemoryPool::add_slab() {
  std::byte* data = from_card(kSlab);
  if (!data) {
    cuda::release_unused();
    data = from_card(kSlab);
  }
  if (data) return slabs_.push_back({data, kSlab});
  slabs_.push_back({from_card_or_throw(kLargestOfSlab, "small tensors"), kLargestOfSlab});
}

MemoryPool::Slab* MemoryPool::slab_of(const std::byte* data) {
  for (Slab& slab : slabs_)
    if (data >= slab.data && data < slab.data + slab.bytes) return &slab;
  return nullptr;
}

std::byte* MemoryPool::take(i64 bytes) { return cache_.take(size_of(bytes)); }

void MemoryPool::let_go() noexcept {
  holds_ = false;
  for (const auto& [data, bytes] : std::exchange(held_, {})) give(data, bytes);
}

void MemoryPool::give(std::byte* data, i64 bytes) noexcept {
  if (holds_) return held_.emplace_back(data, bytes), void();
  cache_.give(data, size_of(bytes));
}

// Of slabs only those that nobody uses any part of; what is cached of the others stays useful.
void MemoryPool::release_unused() noexcept {
  if (keeps_ == Keeps::always) return;
  for (Slab& slab : slabs_) slab.cached = 0;
  cache_.each([this](const std::byte* data, i64 bytes) {
    if (Slab* const slab = slab_of(data)) slab->cached += bytes;
  });
  cache_.clear([this](const std::byte* data) {
    const Slab* const slab = slab_of(data);
    return !slab || slab->cached == slab->cut;
  });
  std::erase_if(slabs_, [](const Slab& slab) {
    if (slab.cached < slab.cut) return false;
    to_card(slab.data, slab.bytes);
    return true;
  });
}

}  // namespace offramp::cuda
#endif
