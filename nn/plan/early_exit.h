// Early-exit inference: computation of a sample really stops at the exit where it is sure enough.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "nn/plan/exit_rule.h"
#include "nn/plan/runner.h"

namespace offramp::nn {

// One per exit but the last, in order. A sample leaves where confidence >= threshold; null = exit off: its
// head is neither run nor charged.
using Thresholds = std::vector<std::optional<float>>;

struct Outcome {
  i64 predicted;     // class
  float confidence;  // at the exit taken
  i64 exit;          // index into exit_costs(plan)
  i64 macs;          // spent on this sample: bodies and heads that were run
};

// leave_macs of every exit when only the exits with a threshold are in use (0 for an exit that is off).
std::vector<i64> leave_macs(std::span<const ExitCost> exits, const Thresholds& thresholds);

class CardRunner;

// Where the context given to run() computes on a card, that runs the plan (nn/plan/card_runner.h): the
// decisions are those of the CPU as far as the logits are.
class EarlyExitRunner {
 public:
  // Samples are computed in groups of at most max_batch, fewer where the arena would grow beyond a gigabyte.
  EarlyExitRunner(std::shared_ptr<const Plan> plan, Target target, i64 max_batch, int threads = 1);
  ~EarlyExitRunner();

  const std::vector<ExitCost>& exits() const { return exits_; }
  PlanRunner& plan_runner() { return runner_; }

  // images [n,height,width,channels] (for a card, in its memory or the host's), any n: taken in groups.
  // Samples that left are moved out, so later stages compute the rest only. Throws Error(usage) when the
  // number of thresholds is not exits - 1, or that of temperatures not exits, or for a learned measure where
  // the plan's exits learn none.
  void run(Exec& exec, const float* images, i64 n, const Thresholds& thresholds, const ExitRule& rule,
           std::span<Outcome> outcomes);

  // Every sample through every exit: logits [n, exits, classes]; in `own`, unless it is null, the logits
  // [n, exits] of learned confidences, infinite (certain) for exits that learn none.
  void run_all(Exec& exec, const float* images, i64 n, float* logits, float* own = nullptr);

 private:
  CardRunner& card(Exec& exec);
  void load(const float* images, i64 n);
  void run_group(Exec& exec, i64 n, const Thresholds& thresholds, std::span<const i64> costs,
                 Outcome* outcomes);

  PlanRunner runner_;
  std::shared_ptr<const Plan> plan_;  // for a card, in builds that know one: the runner packed what it needs
  std::unique_ptr<CardRunner> card_;  // made when a card is first asked for
  std::vector<ExitCost> exits_;
  ExitDecider decider_;
  std::vector<i64> alive_, keep_;  // sample behind each row still computed; rows that stay
};

}  // namespace offramp::nn
