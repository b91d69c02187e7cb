#ifdef OFFRAMP_CUDA
#include "kernels/cuda/gpu.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/error.h"

namespace offramp::cuda {

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
  constexpr i64 kBytes = (kTickets + 1) * i64(sizeof(u32));
  lane.stream = create_stream();
  lane.event = create_event(false);
  lane.tickets = reinterpret_cast<u32*>(from_card_or_throw(kBytes, "counters"));
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
    const auto old = std::pair(std::exchange(lane.scratch, nullptr), std::exchange(lane.scratch_bytes, 0));
    if (old.first && graphs_ > 0)
      outgrown_.push_back(old);
    else if (old.first)
      to_card(old.first, old.second);
    // Room to grow where there is some.
    const i64 more = std::max(bytes, 2 * old.second);
    if (more > bytes) lane.scratch = from_card(more);
    lane.scratch_bytes = lane.scratch ? more : 0;
    if (!lane.scratch) {
      lane.scratch = from_card_or_throw(bytes, "scratch");
      lane.scratch_bytes = bytes;
    }
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

Graph::Counted::Counted(Gpu& g) : gpu(g) { ++gpu.graphs_; }
Graph::Counted::~Counted() {
  if (--gpu.graphs_ > 0) return;
  for (const auto& [data, bytes] : std::exchange(gpu.outgrown_, {})) to_card(data, bytes);
}

Graph::Graph(Gpu& gpu, const std::function<void()>& body)
    : gpu_(gpu), counted_(gpu), pool_(std::make_shared<MemoryPool>(MemoryPool::Keeps::always)) {
  // Before the capture: opening a lane waits for it.
  for (Gpu::Lane& lane : gpu_.lanes_)
    if (!lane.stream) gpu_.open(lane);
  // The graph will take about what its body took before, when it ran, and that is what is cached now. Given
  // back here, for in a capture it is the last resort.
  if (const i64 cached = cached_till_short(); cached > 0 && free_memory() < cached) release_unused();
  std::swap(gpu_.pool_, pool_);
  gpu_.capturing_ = true;
  try {
    begin_capture(gpu_.stream());
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

GraphExec Graph::end() {
  const struct Restore {  // whatever happens
    Graph& graph;
    ~Restore() {
      graph.gpu_.capturing_ = false;
      std::swap(graph.gpu_.pool_, graph.pool_);
    }
  } restore{*this};
  gpu_.join();
  return end_capture(gpu_.stream());
}

Graph::~Graph() { destroy_graph(exec_); }

void Graph::launch() { launch_graph(exec_, gpu_.stream()); }

}  // namespace offramp::cuda
#endif
