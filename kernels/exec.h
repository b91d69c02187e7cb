// Execution context: passed down every call, never global, so parallel evaluations cannot disturb each other.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/target.h"
#include "kernels/types.h"

namespace offramp {

struct Recorder;
class ThreadPool;
namespace cuda {
class Gpu;
enum class Math : u8;
}  // namespace cuda

class Exec {
 public:
  // threads < 1 means one. Throws Error(usage) when `target` cannot run on this CPU, unless record_only.
  explicit Exec(Target target = default_target(), int threads = 1, bool record_only = false);
  // Computes on the card: arrays handed to the doors are device memory. Host work beside it runs on
  // default_target() with so many threads.
  explicit Exec(cuda::Gpu& gpu, cuda::Math math, int threads = 1);
  ~Exec();
  Exec(const Exec&) = delete;
  Exec& operator=(const Exec&) = delete;

  Target target() const { return target_; }
  int threads() const { return threads_; }
  cuda::Gpu* gpu() const { return gpu_; }    // null: the host computes
  cuda::Math math() const { return math_; }  // of tensors of float on the card

  // Scratch memory, 64-byte aligned, contents undefined. Grows, then stays: a repeated call allocates
  // nothing. The shared buffer belongs to the door function now running (doors that hold it call no other
  // door); the worker buffer to one worker of the parallel region. Valid until the next call for the same
  // buffer.
  float* shared_scratch(i64 floats);
  float* worker_scratch(int worker, i64 floats);

  // The workers of parallel_for where it does not use OpenMP; started by the first region.
  ThreadPool& pool() const;

  // When set, every kernel call is noted there before it runs; a dry recorder notes it and runs nothing.
  Recorder* recorder = nullptr;

 private:
  struct Buffer;
  Target target_;
  int threads_;
  cuda::Gpu* gpu_ = nullptr;
  cuda::Math math_{};
  std::vector<Buffer> buffers_;  // [0] shared, [1 + worker]
  mutable std::unique_ptr<ThreadPool> pool_;
};

}  // namespace offramp
