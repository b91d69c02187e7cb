// Accuracy and cost of a deployed network on labelled images: every figure is counted over the plan that
// ships.
#pragma once
#include <vector>

#include "data/loader.h"
#include "nas/progress.h"
#include "nas/thresholds/policy.h"
#include "nn/plan/early_exit.h"

namespace offramp::nas {

// Every sample through every exit once: what tuning and offline evaluation work on.
struct ExitAnswers {
  ExitTable table;
  std::vector<float> logits;  // [samples][exits][classes]; empty unless wanted
};
ExitAnswers answer_all(Exec& exec, nn::EarlyExitRunner& runner, data::Loader& loader, nn::Confidence kind,
                       const Watch& watch, bool keep_logits = false);

// Early exits really taken: one outcome per sample, in the order of the data.
struct TakenExits {
  std::vector<nn::Outcome> outcomes;
  std::vector<i64> labels;
};
TakenExits take_exits(Exec& exec, nn::EarlyExitRunner& runner, data::Loader& loader,
                      const nn::Thresholds& thresholds, nn::Confidence kind, const Watch& watch);

// MACs between exits and of heads, read from the plan.
ExitCosts exit_costs_of(const nn::Plan& plan);

}  // namespace offramp::nas
