// Runs a plan on the card: weights, buffers and the decisions of the exits stay there; samples that left are
// moved out without asking the host.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/exec.h"
#include "nn/plan/early_exit.h"

namespace offramp::nn {

class CardRunner {
 public:
  // Activations as exec.math() says: Bf16 in mixed precision, else floats; weights are floats. `exec` must
  // compute on a card. Throws Error when the plan was recorded without weights or memory is short.
  static std::unique_ptr<CardRunner> make(Exec& exec, std::shared_ptr<const Plan> plan, i64 max_batch);
  virtual ~CardRunner() = default;

  // Images [n,height,width,channels], of the host or the card, to where the plan reads them; n <= max_batch.
  virtual void load(Exec& exec, const float* images, i64 n) = 0;
  // What load() brought, from the image to the exits' answers: launches only, nothing waits.
  virtual void forward(Exec& exec, i64 n, const Thresholds& thresholds, const ExitRule& rule) = 0;
  // load, forward (captured as a graph when it is asked for again) and the answers.
  virtual void run(Exec& exec, const float* images, i64 n, const Thresholds& thresholds, const ExitRule& rule,
                   std::span<const i64> costs, Outcome* outcomes) = 0;
  // Every sample through every exit, as EarlyExitRunner::run_all.
  virtual void run_all(Exec& exec, const float* images, i64 n, float* logits, float* own) = 0;

  // Bodies and heads of stages 0..last, nobody leaving, over what lies where load() put its images (results
  // come to lie there too): launches only.
  virtual void pass(Exec& exec, i64 last_stage, i64 n) = 0;
  // Every kernel call of such a pass, in order, timed by events inside its captured graph: medians of `runs`
  // launches.
  struct StepTime {
    std::span<const Step> steps;  // one, or those of a block (nn/plan/blocks.h) that are one call
    std::string_view kernel;      // row name
    std::string dims;             // "conv2d n=1 h=32 ...", as dims_text prints a step's
    double us;
  };
  virtual std::vector<StepTime> time_steps(Exec& exec, i64 last_stage, i64 n, i64 runs) = 0;

  // Device memory: the plan's weights; activations and what the exits decide on.
  virtual i64 weight_bytes() const = 0;
  virtual i64 arena_bytes() const = 0;
};

}  // namespace offramp::nn
