// Runs a plan. Everything is allocated when the runner is made; running allocates nothing.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "kernels/exec.h"
#include "nn/plan/arena.h"
#include "nn/plan/plan.h"

namespace offramp::nn {

class PlanRunner {
 public:
  // Packs the weights for `target` and lays out the arena for up to max_batch samples. Throws Error when the
  // plan was recorded without weights.
  PlanRunner(std::shared_ptr<const Plan> plan, Target target, i64 max_batch);

  const Plan& plan() const { return *plan_; }
  i64 max_batch() const { return max_batch_; }
  // Where the caller puts the images: [max_batch, height, width, channels], the first n are used.
  float* input() { return at(0); }

  // Stages in order; n <= max_batch samples lie at the front of every buffer.
  void run_body(Exec& exec, i64 stage, i64 n);
  const float* run_head(Exec& exec, i64 stage, i64 n);  // logits [n, classes], valid until the next run
  // Moves the features of the samples in `keep` (increasing) to the front: samples that left cost nothing
  // more.
  void compact(i64 stage, std::span<const i64> keep);

  // Median time of every step of stages 0..last (bodies and heads, in order), each timed inside the running
  // network. Microseconds, `runs` passes.
  std::vector<double> time_steps(Exec& exec, i64 last_stage, i64 n, i64 runs);

  i64 weight_bytes() const { return i64(weights_.bytes()); }
  i64 arena_bytes() const { return i64(arena_.bytes()); }

 private:
  class Memory {  // 64-byte aligned floats
   public:
    void allocate(i64 floats);
    float* data() const { return data_.get(); }
    size_t bytes() const { return bytes_; }

   private:
    struct Free {
      void operator()(float* p) const;
    };
    std::unique_ptr<float, Free> data_;
    size_t bytes_ = 0;
  };
  struct Ready {  // a step with its weights in place
    const Step* step;
    const float *packed = nullptr, *bias = nullptr, *mean = nullptr, *var = nullptr, *gamma = nullptr,
                *beta = nullptr;
  };

  float* at(int buffer) { return buffer < 0 ? nullptr : arena_.data() + layout_.offsets[size_t(buffer)]; }
  void run(Exec& exec, const std::vector<Ready>& steps, i64 n);
  void run_step(Exec& exec, const Ready& ready, i64 n);

  std::shared_ptr<const Plan> plan_;
  Target target_;
  i64 max_batch_;
  ArenaLayout layout_;
  Memory weights_, arena_;
  std::vector<std::vector<Ready>> bodies_, heads_;
};

}  // namespace offramp::nn
