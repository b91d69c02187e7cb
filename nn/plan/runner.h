// Runs a plan. Everything is allocated when the runner is made; running allocates nothing.
#pragma once
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/exec.h"
#include "nn/plan/arena.h"
#include "nn/plan/plan.h"

namespace offramp::nn {

class PlanRunner {
 public:
  // Packs the weights for `target` and lays out the arena for up to max_batch samples and `threads` threads
  // that each run a group of them; the plan's own weights are not kept. Throws Error when the plan was
  // recorded without weights.
  PlanRunner(const Plan& plan, Target target, i64 max_batch, int threads = 1);
  ~PlanRunner();

  const Plan& plan() const { return plan_; }  // without weights
  i64 max_batch() const { return max_batch_; }
  // Where the caller puts the images: [max_batch, height, width, channels], the first n are used.
  float* input() { return at(0); }

  // Stages in order; n <= max_batch samples lie at the front of every buffer.
  void run_body(Exec& exec, i64 stage, i64 n);
  const float* run_head(Exec& exec, i64 stage, i64 n);  // [n, outputs(stage)], valid until the next run
  // Moves the features of the samples in `keep` (increasing) to the front: samples that left cost nothing
  // more.
  void compact(i64 stage, std::span<const i64> keep);

  // Every step of stages 0..last (bodies and heads, in order), timed inside the running network: medians of
  // `runs` passes over the images in input().
  struct StepTime {
    const Step* step;
    std::string_view kernel;  // row name
    i64 calls, images;        // one call per group; images of the first group, no group is larger
    double us;                // all calls, divided by the threads that shared them
  };
  std::vector<StepTime> time_steps(Exec& exec, i64 last_stage, i64 n, i64 runs);
  // One such pass: microseconds of every step, without the clock's own. Overwrites input().
  void time_pass(Exec& exec, i64 last_stage, i64 n, std::span<double> us);

  // Together what running needs: what kernels take beside it is some hundred values of a layer's channels.
  i64 weight_bytes() const { return i64(weights_.bytes()); }
  i64 arena_bytes() const { return i64(arena_.bytes()); }
  int threads() const { return threads_; }

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
    const float *packed = nullptr, *w = nullptr, *bias = nullptr, *mean = nullptr, *var = nullptr,
                *gamma = nullptr, *beta = nullptr;
  };
  struct Part {  // a body or head
    std::vector<Ready> steps;
    std::vector<Segment> segments;
  };
  struct Group {  // images [first, first + count) of a segment, in the area of one thread
    i64 first, count;
    int worker;
  };
  struct Clock;  // of time_steps

  float* at(int buffer, const Group& group = {0, 0, 0});
  void run(Exec& exec, const Part& part, i64 n, Clock* clock = nullptr);
  i64 groups(const Exec& exec, const Segment& segment, i64 n) const;
  void run_group(Exec& exec, const Part& part, const Segment& segment, const Group& group, Clock* clock);
  void run_step(Exec& exec, const Ready& ready, const Group& group);

  Plan plan_;
  Target target_;
  i64 max_batch_;
  int threads_;
  Tiling tiling_;
  ArenaLayout layout_;
  Memory weights_, arena_;
  std::vector<Part> bodies_, heads_;
  std::vector<std::unique_ptr<Exec>> workers_;  // one per thread; each runs its group alone
};

}  // namespace offramp::nn
