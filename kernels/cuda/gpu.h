// The card, as kernels and tensors use it: one stream, on which everything runs in the order of the calls,
// memory from a cache of freed blocks, scratch. A block that is freed may be given out again at once, because
// whoever gets it comes later on the stream. In a graph, work that nobody waits for soon (gradients of
// weights) may go aside, to streams of its own.
#pragma once
#include <array>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/cuda/memory_pool.h"
#include "kernels/cuda/runtime.h"

namespace offramp::cuda {

// How a card computes. f32: floats, multiplied exactly, on the ordinary units. tf32: floats, multiplied by
// tensor cores with operands rounded to 10 bits of mantissa, sums in float. bf16: activations of training are
// Bf16 (who makes the first one decides), parameters and sums float; floats that meet are multiplied as tf32.
enum class Math : u8 { f32, tf32, bf16 };

// Every launch with an event before and after it, while somebody asks for it. Launches that are captured are
// timed by every launch of their graph, which must be gone before these.
struct LaunchTimes {
  struct One {
    const char* op;
    i64 blocks;
    Event begin, end;
  };
  std::vector<One> launches;
  LaunchTimes() = default;
  LaunchTimes(const LaunchTimes&) = delete;
  LaunchTimes& operator=(const LaunchTimes&) = delete;
  ~LaunchTimes() {
    for (const One& l : launches) destroy_event(l.begin), destroy_event(l.end);
  }
};

class Gpu {
 public:
  static bool present();
  // The one card of this process. Throws Error(failed) when there is none.
  static Gpu& instance();

  const Properties& properties() const { return properties_; }
  // From now on kernels choose their tiles and cut their sums as on a card of so many multiprocessors: what
  // large batches run on any card, tests reach with small ones.
  void suppose_multiprocessors(int count) { properties_.multiprocessors = count; }
  Stream stream() const { return lanes_[at_].stream; }
  const std::shared_ptr<MemoryPool>& pool() const { return pool_; }
  void synchronize() { cuda::synchronize(stream()); }

  // Contents undefined, 256-byte aligned, until the next call. Throws Error when memory is short.
  float* scratch(i64 floats);
  // kTickets counters that are zero between launches: the last block of a kernel, found by counting, sets its
  // counter back to zero.
  static constexpr i64 kTickets = 4096;
  u32* tickets() const { return lanes_[at_].tickets; }
  u32* barrier() const { return lanes_[at_].tickets + kTickets; }  // grid_barrier's, for nobody else

  // What went aside is waited for by all later work: called by whoever reads a gradient of weights.
  void join();

  // While set: of the `batch` samples that launches are made for, only the first *count (device memory) are
  // still wanted. Kernels that write rows leave the others alone where that saves work.
  struct Live {
    const i32* count = nullptr;
    i64 batch = 0;
  };
  Live live;

  LaunchTimes* times = nullptr;  // launches are noted there
  // Around every launch.
  void launch_begins(const char* op, i64 blocks) {
    if (times) note_launch(op, blocks);
  }
  void launch_ends() {
    if (times) time_now(times->launches.back().end);
  }

 private:
  // A stream with what launches on it may not share with those on others.
  struct Lane {
    Stream stream = nullptr;
    u32* tickets = nullptr;
    std::byte* scratch = nullptr;
    i64 scratch_bytes = 0;
    Event event = nullptr;
    bool busy = false;  // aside: not joined yet
  };
  static constexpr int kSides = 4;

  Gpu();
  void open(Lane& lane);
  void note_launch(const char* op, i64 blocks);
  void time_now(Event event);
  Properties properties_;
  std::array<Lane, 1 + kSides> lanes_;
  int at_ = 0, last_side_ = 0;
  bool capturing_ = false;
  int graphs_ = 0;  // alive, the one that is being captured too
  std::shared_ptr<MemoryPool> pool_;
  std::vector<std::pair<std::byte*, i64>> outgrown_;  // scratch that graphs may still point to
  friend class Graph;
  friend class Aside;
};

// While it lives, launches go to a side stream if a graph is being captured; otherwise nothing changes. They
// must read only what is not written again, and be read by nobody, before the next Gpu::join().
class Aside {
 public:
  explicit Aside(Gpu& gpu, bool allowed = true);
  ~Aside();
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;

 private:
  Gpu& gpu_;
  bool active_;
};

// A sequence of launches, captured once and replayed. Memory that `body` takes comes from a pool of the
// graph's own and is not given to anybody else while the graph lives.
class Graph {
 public:
  // Runs `body`, whose launches are recorded and not executed. It must neither wait for the device nor read
  // its memory.
  Graph(Gpu& gpu, const std::function<void()>& body);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void launch();
  i64 nodes() const { return graph_nodes(exec_); }

 private:
  struct Counted {  // from before the capture until after the graph is gone
    explicit Counted(Gpu& gpu);
    ~Counted();
    Gpu& gpu;
  };
  GraphExec end();

  Gpu& gpu_;
  Counted counted_;
  std::shared_ptr<MemoryPool> pool_;
  GraphExec exec_ = nullptr;
};

}  // namespace offramp::cuda
