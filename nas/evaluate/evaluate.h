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

// Every sample through every exit once: what tuning and offline evaluation work on.
struct ExitAnswers {
  ExitTable table;
  std::shared_ptr<const std::vector<float>> logits;  // [samples][exits][classes]
};
ExitAnswers answer_all(Exec& exec, nn::EarlyExitRunner& runner, data::Loader& loader,
                       const nn::ExitRule& rule, const Watch& watch);

// The table from stored logits [samples][exits][classes]: every sample told what it would be told at run time
// when the early exits `in_use` are.
ExitTable table_of(std::span<const float> logits, std::vector<i32> labels, i64 exits, i64 classes,
                   const nn::ExitRule& rule, const std::vector<bool>& in_use);

// Early exits really taken: one outcome per sample, in the order of the data.
struct TakenExits {
  std::vector<nn::Outcome> outcomes;
  std::vector<i64> labels;
};
TakenExits take_exits(Exec& exec, nn::EarlyExitRunner& runner, data::Loader& loader,
                      const nn::Thresholds& thresholds, const nn::ExitRule& rule, const Watch& watch);

// MACs between exits and of heads, read from the plan.
ExitCosts exit_costs_of(const nn::Plan& plan);

}  // namespace offramp::nas
