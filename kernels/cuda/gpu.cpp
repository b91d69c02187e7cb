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

void MemoryPool::let_go() noexcept {
  holds_ = false;
  for (const auto& [data, bytes] : std::exchange(held_, {})) give(data, bytes);
}

void MemoryPool::give(std::byte* data, i64 bytes) noexcept {
  if (holds_) return held_.emplace_back(data, bytes), void();
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
  pool_ = std::make_shared<MemoryPool>();
  open(lanes_[0]);
}

void Gpu::open(Lane& lane) {
  constexpr i64 kBytes = kTickets * i64(sizeof(u32));
  lane.stream = create_stream();
  lane.event = create_event(false);
  lane.tickets = reinterpret_cast<u32*>(allocate(kBytes));
  if (!lane.tickets) throw Error("cuda: no memory on the card for counters");
  fill_bytes(lane.stream, lane.tickets, 0, kBytes);
  cuda::synchronize(lane.stream);
}

void Gpu::note_launch(const char* op, i64 blocks) {
  times->launches.push_back({op, blocks, create_event(true), create_event(true)});
  time_now(times->launches.back().begin);
}

void Gpu::time_now(Event event) {
  if (capturing_)
    record_captured(event, stream());
  else
    record(event, stream());
}

float* Gpu::scratch(i64 floats) {
  Lane& lane = lanes_[at_];
  const i64 bytes = floats * i64(sizeof(float));
  if (bytes > lane.scratch_bytes) {
    if (lane.scratch) outgrown_.push_back(lane.scratch);
    lane.scratch_bytes = std::max(bytes, 2 * lane.scratch_bytes);
    lane.scratch = allocate(lane.scratch_bytes);
    if (!lane.scratch)
      throw Error("cuda: no memory on the card for " + std::to_string(bytes) + " bytes of scratch");
  }
  return reinterpret_cast<float*>(lane.scratch);
}

void Gpu::join() {
  for (int side = 1; side <= kSides; ++side) {
    Lane& lane = lanes_[side];
    if (!std::exchange(lane.busy, false)) continue;
    record(lane.event, lane.stream);
    wait(lanes_[0].stream, lane.event);
  }
  pool_->let_go();
}

Aside::Aside(Gpu& gpu, bool allowed) : gpu_(gpu), active_(allowed && gpu.capturing_ && gpu.at_ == 0) {
  if (!active_) return;
  gpu_.last_side_ = gpu_.last_side_ % Gpu::kSides + 1;
  Gpu::Lane& lane = gpu_.lanes_[gpu_.last_side_];
  record(gpu_.lanes_[0].event, gpu_.lanes_[0].stream);
  wait(lane.stream, gpu_.lanes_[0].event);
  lane.busy = true;
  gpu_.pool_->hold();
  gpu_.at_ = gpu_.last_side_;
}

Aside::~Aside() {
  if (active_) gpu_.at_ = 0;
}

Graph::Graph(Gpu& gpu, const std::function<void()>& body)
    : gpu_(gpu), pool_(std::make_shared<MemoryPool>(/*keeps=*/true)) {
  // Before the capture: opening a lane waits for it.
  for (Gpu::Lane& lane : gpu_.lanes_)
    if (!lane.stream) gpu_.open(lane);
  std::swap(gpu_.pool_, pool_);
  begin_capture(gpu_.stream());
  gpu_.capturing_ = true;
  const auto end = [&] {
    gpu_.join();
    gpu_.capturing_ = false;
    std::swap(gpu_.pool_, pool_);
    return end_capture(gpu_.stream());
  };
  try {
    body();
  } catch (...) {
    try {
      destroy_graph(end());
    } catch (const Error&) {
    }
    throw;
  }
  exec_ = end();
}

Graph::~Graph() { destroy_graph(exec_); }

void Graph::launch() { launch_graph(exec_, gpu_.stream()); }

}  // namespace offramp::cuda
#endif
