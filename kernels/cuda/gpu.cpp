#ifdef OFFRAMP_CUDA
#include "kernels/cuda/gpu.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/error.h"

namespace offramp::cuda {
namespace {

constexpr i64 kSlab = i64{32} << 20, kLargestOfSlab = i64{1} << 20;
constexpr i64 kAlign = 256;  // as cudaMalloc gives it
i64 aligned(i64 bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

}  // namespace

MemoryPool::MemoryPool(bool keeps)
    : cache_([this](i64 bytes) { return from_card(bytes); },
             [this](std::byte* data, i64 bytes) { to_card(data, bytes); }, keeps ? i64{1} << 40 : 0) {}

MemoryPool::~MemoryPool() {
  cache_.clear();
  for (std::byte* slab : slabs_) release(slab);
}

std::byte* MemoryPool::from_card(i64 bytes) {
  if (fenced() || bytes > kLargestOfSlab) return allocate(bytes);
  if (bytes > left_) {
    std::byte* const slab = allocate(kSlab);
    if (!slab) return nullptr;
    slabs_.push_back(slab);
    next_ = slab;
    left_ = kSlab;
  }
  left_ -= bytes;
  return std::exchange(next_, next_ + bytes);
}

void MemoryPool::to_card(std::byte* data, i64 bytes) noexcept {
  if (fenced() || bytes > kLargestOfSlab) release(data);
}

std::byte* MemoryPool::take(i64 bytes) {
  // Where blocks stand before a fence, they end there: no rounding beyond what 16-byte accesses ask for.
  std::byte* const data = cache_.take(fenced() ? bytes : aligned(BlockCache::rounded(bytes)));
  if (!data) throw Error("cuda: no memory on the card for " + std::to_string(bytes) + " bytes");
  return data;
}

void MemoryPool::give(std::byte* data, i64 bytes) noexcept {
  cache_.give(data, fenced() ? bytes : aligned(BlockCache::rounded(bytes)));
}

bool Gpu::present() { return device_count() > 0; }

// Never destroyed: tensors with static lifetime may outlive any other static object.
Gpu& Gpu::instance() {
  static Gpu& gpu = *new Gpu;
  return gpu;
}

Gpu::Gpu() {
  if (!present()) throw Error("cuda: no card, or no driver for it, on this machine");
  properties_ = cuda::properties();
  stream_ = create_stream();
  pool_ = std::make_shared<MemoryPool>();
  tickets_ = reinterpret_cast<u32*>(pool_->take(kTickets * i64(sizeof(u32))));
  fill_bytes(stream_, tickets_, 0, kTickets * i64(sizeof(u32)));
}

float* Gpu::scratch(i64 floats) {
  const i64 bytes = floats * i64(sizeof(float));
  if (bytes > scratch_bytes_) {
    if (scratch_) outgrown_.push_back(scratch_);
    scratch_bytes_ = std::max(bytes, 2 * scratch_bytes_);
    scratch_ = allocate(scratch_bytes_);
    if (!scratch_)
      throw Error("cuda: no memory on the card for " + std::to_string(bytes) + " bytes of scratch");
  }
  return reinterpret_cast<float*>(scratch_);
}

Graph::Graph(Gpu& gpu, const std::function<void()>& body) : gpu_(gpu), pool_(std::make_shared<MemoryPool>(/*keeps=*/true)) {
  std::swap(gpu_.pool_, pool_);
  begin_capture(gpu_.stream_);
  try {
    body();
  } catch (...) {
    std::swap(gpu_.pool_, pool_);
    try {
      destroy_graph(end_capture(gpu_.stream_));
    } catch (const Error&) {
    }
    throw;
  }
  std::swap(gpu_.pool_, pool_);
  exec_ = end_capture(gpu_.stream_);
}

Graph::~Graph() { destroy_graph(exec_); }

void Graph::launch() { launch_graph(exec_, gpu_.stream_); }

}  // namespace offramp::cuda
#endif
