// A network that can be timed: built with weights that only have to be ordinary numbers, run on one image.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nas/space/space.h"
#include "nn/plan/runner.h"

namespace offramp::nas {

// The deployed plan of a genotype. With weights: drawn cheaply, so that activations stay of ordinary size.
std::shared_ptr<const nn::Plan> plan_of(const Space& space, const Genotype& genotype, const Task& task,
                                        bool with_weights);

class TimedNetwork {
 public:
  // The plan must have weights.
  TimedNetwork(std::shared_ptr<const nn::Plan> plan, Target target);

  const nn::Plan& plan() const { return runner_.plan(); }
  i64 steps() const { return steps_; }
  i64 bytes() const;  // in memory: packed weights and arena

  // One image through every body and head, in microseconds without the clock's own.
  double time_whole(Exec& exec);
  // The same with the time of each step, in the order of nn::calls_of.
  void time_steps(Exec& exec, std::span<double> us);

 private:
  void load();

  nn::PlanRunner runner_;
  i64 last_stage_, steps_ = 0;
  std::vector<float> image_;
};

}  // namespace offramp::nas
