#include "kernels/exec.h"

#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include "kernels/error.h"
#include "kernels/thread_pool.h"

namespace offramp {

struct Exec::Buffer {
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> data;
  i64 floats = 0;

  float* at_least(i64 wanted) {
    if (wanted > floats) {
      constexpr i64 kLine = 16;  // floats in 64 bytes
      const i64 rounded = (wanted + kLine - 1) / kLine * kLine;
      data.reset();
      floats = 0;
      data.reset(static_cast<float*>(std::aligned_alloc(64, size_t(rounded) * sizeof(float))));
      if (!data) throw std::bad_alloc();
      floats = rounded;
    }
    return data.get();
  }
};

Exec::Exec(Target target, int threads, bool record_only)
    : target_(target), threads_(threads < 1 ? 1 : threads), buffers_(size_t(threads_) + 1) {
  if (!record_only && !cpu_supports(target))
    throw usage_error("target " + std::string(target_name(target)) +
                      " was asked for, but this CPU or operating system does not support it");
}

Exec::Exec(cuda::Gpu& gpu, cuda::Math math, int threads) : Exec(default_target(), threads) {
  gpu_ = &gpu;
  math_ = math;
}

Exec::~Exec() = default;

ThreadPool& Exec::pool() const {
  if (!pool_) pool_ = std::make_unique<ThreadPool>(threads_);
  return *pool_;
}

float* Exec::shared_scratch(i64 floats) { return buffers_[0].at_least(floats); }
float* Exec::worker_scratch(int worker, i64 floats) { return buffers_[size_t(worker) + 1].at_least(floats); }

}  // namespace offramp
