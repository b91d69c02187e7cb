// Accuracy and cost of a deployed network on labelled images: every figure is counted over the plan that
// ships.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "data/loader.h"
#include "nas/progress.h"
#include "nas/thresholds/policy.h"
#include "nn/plan/early_exit.h"

namespace offramp::nas {

// answer_all and take_exits walk one epoch of a source of floats that goes by the data's order; for a card its
// images may lie there or on the host.

// Every sample through every exit once: what tuning and offline evaluation work on.
struct ExitLogits {
  i64 exits = 0, classes = 0;
  std::vector<float> values;  // [samples][exits][classes]
  std::vector<i32> labels;    // [samples]
  std::vector<float> own;     // [samples][exits], logits of learned confidences; empty where exits learn none
};
std::shared_ptr<const ExitLogits> answer_all(Exec& exec, nn::EarlyExitRunner& runner,
                                             data::BatchSource& source, const Watch& watch);

// Every sample told what it would be told at run time. Throws Error(usage) for a learned measure where exits
// learn none.
ExitTable exit_table(std::shared_ptr<const ExitLogits> logits, const nn::ExitRule& rule);

// Early exits really taken: one outcome per sample, in the order of the data.
struct TakenExits {
  std::vector<nn::Outcome> outcomes;
  std::vector<i64> labels;
};
TakenExits take_exits(Exec& exec, nn::EarlyExitRunner& runner, data::BatchSource& source,
                      const nn::Thresholds& thresholds, const nn::ExitRule& rule, const Watch& watch);

// MACs between exits and of heads, read from the plan.
ExitCosts exit_costs_of(const nn::Plan& plan);

}  // namespace offramp::nas
