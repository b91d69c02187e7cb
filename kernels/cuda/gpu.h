// The card, as kernels and tensors use it: one stream, on which everything runs in the order of the calls,
// memory from a cache of freed blocks, scratch. A block that is freed may be given out again at once, because
// whoever gets it comes later on the stream.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "kernels/block_cache.h"
#include "kernels/cuda/runtime.h"

namespace offramp::cuda {

// How a card computes. f32: floats, multiplied exactly, on the ordinary units. tf32: floats, multiplied by
// tensor cores with operands rounded to 10 bits of mantissa, sums in float. bf16: activations of training are
// Bf16 (who makes the first one decides), parameters and sums float; floats that meet are multiplied as tf32.
enum class Math : u8 { f32, tf32, bf16 };

// Device memory of tensors. Sizes are rounded so that networks that differ a little share blocks.
class MemoryPool {
 public:
  std::byte* take(i64 bytes);  // throws Error when memory is short
  void give(std::byte* data, i64 bytes) noexcept;

  // keeps: freed blocks stay with the pool even where memory is fenced (a graph's launches go on using them).
  explicit MemoryPool(bool keeps = !fenced());
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

 private:
  // Small blocks are cut from slabs: one call of the run-time for thousands of parameters.
  std::byte* from_card(i64 bytes);
  void to_card(std::byte* data, i64 bytes) noexcept;

  std::vector<std::byte*> slabs_;
  std::byte* next_ = nullptr;
  i64 left_ = 0;
  BlockCache cache_;
};

// Every launch with an event before and after it, while somebody asks for it.
struct LaunchTimes {
  struct One {
    const char* op;
    i64 blocks;
    Event begin, end;
  };
  std::vector<One> launches;
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
  Stream stream() const { return stream_; }
  const std::shared_ptr<MemoryPool>& pool() const { return pool_; }
  void synchronize() { cuda::synchronize(stream_); }

  // Contents undefined, 256-byte aligned, until the next call.
  float* scratch(i64 floats);
  // kTickets counters that are zero between launches: the last block of a kernel, found by counting, sets its
  // counter back to zero.
  static constexpr i64 kTickets = 4096;
  u32* tickets() const { return tickets_; }

  LaunchTimes* times = nullptr;  // eager launches are noted there

 private:
  Gpu();
  Properties properties_;
  Stream stream_;
  std::shared_ptr<MemoryPool> pool_;
  u32* tickets_ = nullptr;
  std::byte* scratch_ = nullptr;
  i64 scratch_bytes_ = 0;
  std::vector<std::byte*> outgrown_;  // graphs may still point there
  friend class Graph;
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
  Gpu& gpu_;
  std::shared_ptr<MemoryPool> pool_;
  GraphExec exec_ = nullptr;
};

}  // namespace offramp::cuda
